"""An ECP5: what a component takes there, and how fast it may be clocked."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from hw.emit import emit
from hw.measure.harness import UNIT, Harness
from hw.measure.tools import Tool, Yosys
from spec.errors import Failure

PART = "LFE5U-85F, CABGA756, speed grade 6"
_PART = ("--85k", "--package", "CABGA756", "--speed", "6")

GOAL_MHZ = 100
"""What nextpnr is asked for; it goes on to the best that it finds."""


def small_logic(delay_ps: float) -> tuple[str, ...]:
    """Passes in front of synthesis: logic is made small, and no faster than asked for, with a
    script of abc's that gives fewer lookup tables than the usual one."""
    return (
        "scratchpad -copy abc9.script.flow2 abc9.script",
        f"scratchpad -set abc9.D {delay_ps:.0f}",
    )


FOR_GOAL = small_logic(1e6 / GOAL_MHZ)

TOP = "harness"


@dataclass(frozen=True)
class Area:
    """Cells of a component alone.

    Attributes
    ----------
    lut4 : int
        Lookup tables of four inputs: those of logic, two in every carry cell, four in every
        distributed memory.
    carry : int
        Carry cells, of two bits each.
    ff, block_rams, multipliers : int
        Registers; block RAMs of 18 Kbit; multipliers of 18 x 18 bits.
    """

    lut4: int
    carry: int
    ff: int
    block_rams: int
    multipliers: int


@dataclass(frozen=True)
class Fit:
    """A placed and routed component.

    Attributes
    ----------
    mhz : float
        The highest clock.
    slowest : str
        The path that it is limited by: first and last register.
    """

    mhz: float
    slowest: str


def verilog(component: wiring.Component, module: str) -> dict[str, str]:
    """Verilog of the component within its harness: text of each file."""
    return emit(Harness(component, module), TOP)


def synthesize(yosys: Yosys, module: str, folder: Path, before: Sequence[str] = ()) -> Area:
    """Synthesize the Verilog in ``folder``: the component alone for its area, the harness for
    placing, both after the passes ``before``. Netlists that are there are taken as they are."""
    cells, netlist = folder / "cells.json", folder / f"{TOP}.json"
    if not netlist.exists():
        read = f"read_verilog {' '.join(sorted(path.name for path in folder.glob('*.v')))}"
        counted, fresh = _fresh(cells), _fresh(netlist)
        count = [f"synth_ecp5 -top {module}", f"tee -q -o {counted.name} stat -json"]
        yosys.passes([read, *before, *count], folder)
        yosys.passes([read, *before, f"synth_ecp5 -top {TOP} -json {fresh.name}"], folder)
        counted.replace(cells)
        fresh.replace(netlist)
    return area_of(json.loads(cells.read_text())["design"]["num_cells_by_type"])


def _fresh(file: Path) -> Path:
    """Where this process writes a file before it is whole; others may be at the same one."""
    return file.with_name(f".{os.getpid()}-{file.name}")


def area_of(cells: Mapping[str, int]) -> Area:
    """The area of cells by kind."""

    def count(kind: str) -> int:
        return cells.get(kind, 0)

    return Area(
        lut4=count("LUT4") + 2 * count("CCU2C") + 4 * count("TRELLIS_DPR16X4"),
        carry=count("CCU2C"),
        ff=count("TRELLIS_FF"),
        block_rams=count("DP16KD"),
        multipliers=count("MULT18X18D"),
    )


def place(nextpnr: Tool, seed: int, folder: Path) -> Fit:
    """Place and route the harness; a report of the same netlist and seed is taken as it is."""
    report = folder / f"seed{seed}.json"
    if not report.exists():
        fresh = _fresh(report)
        goal = ("--freq", str(GOAL_MHZ), "--timing-allow-fail", "--lpf-allow-unconstrained")
        files = ("--json", f"{TOP}.json", "--report", fresh.name)
        nextpnr.run([*_PART, *goal, *files, "--seed", str(seed), "--quiet"], folder)
        fresh.replace(report)
    return read_fit(json.loads(report.read_text()))


def read_fit(report: Mapping[str, Any]) -> Fit:
    """The clock in nextpnr's report, and the path that limits it."""
    if len(report["fmax"]) != 1:
        raise Failure(f"nextpnr reports {len(report['fmax'])} clocks, must be one")
    (clock,) = report["fmax"]
    paths = [path["path"] for path in report["critical_paths"] if _within(path, clock)]
    hops = paths[0]
    ends = hops[0]["from"]["cell"], hops[-1]["to"]["cell"]
    return Fit(report["fmax"][clock]["achieved"], " -> ".join(map(register, ends)))


def _within(path: Mapping[str, Any], clock: str) -> bool:
    return all(clock in path[end] for end in ("from", "to"))


def register(cell: str) -> str:
    """What a person calls a register, of what yosys made of it."""
    name = re.split(r"_(?:TRELLIS|MULT18|DP16KD|LUT4|CCU2C|PFUMX|L6MUX)", cell)[0]
    return name.removeprefix(f"{UNIT}.")
