"""Families of FPGAs, and what a unit takes there."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hw.measure import ecp5
from hw.measure.tools import Yosys
from hw.measure.up5k import up5k
from spec.errors import Failure

CELLS, DEPTH = "cells.json", "depth.txt"


@dataclass(frozen=True)
class Figures:
    """What a unit alone takes after synthesis.

    Attributes
    ----------
    lut4 : int
        Lookup tables of logic and of carry chains, and those that distributed memories stand in.
    carry : int
        Carry cells: of two bits on an ECP5, of one on an iCE40.
    distributed : int
        Distributed memories of 16 x 4 bits.
    ff, block_rams, big_rams, multipliers : int
        Registers; block RAMs (18 Kbit, or 4 Kbit on an iCE40); single-port RAMs of 256 Kbit;
        multipliers.
    depth : int
        Lookup tables, carry cells and their multiplexers on the longest way between two registers.
    """

    lut4: int
    carry: int
    distributed: int
    ff: int
    block_rams: int
    big_rams: int
    multipliers: int
    depth: int


@dataclass(frozen=True)
class Family:
    """Attributes
    ----------
    part : str
    passes : tuple of str
        What synthesizes, with the place of the top module's name.
    logic : tuple of str
        Kinds of cells that the depth counts.
    count : callable
        Figures from the number of cells of each kind, and the depth.
    swap : callable
        The Verilog, with memories that the family has replaced.
    """

    part: str
    passes: tuple[str, ...]
    logic: tuple[str, ...]
    count: Callable[[Mapping[str, int], int], Figures]
    swap: Callable[[Mapping[str, str]], Mapping[str, str]] = dict


def _count_ecp5(cells: Mapping[str, int], depth: int) -> Figures:
    area = asdict(ecp5.area_of(cells))
    return Figures(**area, distributed=cells.get("TRELLIS_DPR16X4", 0), big_rams=0, depth=depth)


def _count_ice40(cells: Mapping[str, int], depth: int) -> Figures:
    return Figures(
        lut4=cells.get("SB_LUT4", 0),
        carry=cells.get("SB_CARRY", 0),
        distributed=0,
        ff=sum(count for kind, count in cells.items() if kind.startswith("SB_DFF")),
        block_rams=cells.get("SB_RAM40_4K", 0),
        big_rams=cells.get("SB_SPRAM256KA", 0),
        multipliers=cells.get("SB_MAC16", 0),
        depth=depth,
    )


FAMILIES: dict[str, Family] = {
    "ecp5": Family(
        ecp5.PART,
        (*ecp5.FOR_GOAL, "synth_ecp5 -top {top}"),
        ("LUT4", "CCU2C", "PFUMX", "L6MUX21"),
        _count_ecp5,
    ),
    "ice40": Family(
        "UP5K",
        ("synth_ice40 -device u -dsp -top {top}",),
        ("SB_LUT4", "SB_CARRY"),
        _count_ice40,
        up5k,
    ),
}


def measure(yosys: Yosys, family: Family, top: str, folder: Path) -> Figures:
    """Synthesize the Verilog in ``folder`` and count."""
    files = " ".join(sorted(path.name for path in folder.glob("*.v")))
    synthesis = [one.format(top=top) for one in family.passes]
    logic = " ".join(["w:*", *(f"t:{kind}" for kind in family.logic)])
    count = [f"tee -q -o {CELLS} stat -json", f"tee -q -o {DEPTH} ltp {logic}"]
    yosys.passes([f"read_verilog {files}", *synthesis, *count], folder)
    cells = json.loads((folder / CELLS).read_text())["design"]["num_cells_by_type"]
    return family.count(cells, depth_of((folder / DEPTH).read_text()))


def depth_of(text: str) -> int:
    """The length of the longest way that yosys reports."""
    found = re.search(r"length=(\d+)", text)
    if found is None:
        raise Failure(f"yosys tells no longest path: {text.strip()[:200]}")
    return int(found[1])
