"""Whether a design has room on a part: what can be told before synthesis, and cells after it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from boards.board import Part
from hw.measure.ecp5 import area_of
from spec.config import Config
from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm.config import NmConfig

_MEMORY = re.compile(r"^\s*reg (?:\[(\d+):0\] )?\w+ \[0:(\d+)\];", re.MULTILINE)
_INSTANCE = re.compile(r"^  (\w+) \w+ \($", re.MULTILINE)

BIG_RAM = "SB_SPRAM256KA"

BLOCK_WIDTHS = {
    18_432: (36, 18, 9, 4, 2, 1),
    36_864: (72, 36, 18, 9, 4, 2, 1),
    4_096: (16, 8, 4, 2, 1),
}
"""Widths that a block RAM of so many bits can have."""

_BLOCK_COST, _TABLE_COST, _BIT_COST = 64, 4, 1
"""What yosys weighs a memory by: block RAMs against tables of 16 x 4 bits, or else registers."""

_TABLE = (4, 16)
"""Width and depth of a memory in lookup tables; an iCE40 has none."""


def block_rams(width: int, depth: int, bits: int) -> int:
    """Block RAMs of ``bits`` that a memory takes, in whichever width is best; 0 if it goes into
    lookup tables or registers."""
    # A ninth bit of each byte is there in the wider shapes only.
    plain = bits if bits == 4_096 else bits // 9 * 8
    counts = []
    for each in BLOCK_WIDTHS[bits]:
        words = (bits if each % 9 == 0 else plain) // each
        counts.append(-(-width // each) * -(-depth // words))
    other = width * depth * _BIT_COST
    if bits != 4_096:
        other = -(-width // _TABLE[0]) * -(-depth // _TABLE[1]) * _TABLE_COST
    return min(counts) if min(counts) * _BLOCK_COST < other else 0


def modules(files: Mapping[str, str], top: str) -> Counter[str]:
    """How often each module, or primitive, stands in the Verilog of a design."""

    def inside(module: str) -> Counter[str]:
        if module not in known:
            found = Counter([module])
            for child in _INSTANCE.findall(files.get(f"{module}.v", "")):
                found += inside(child)
            known[module] = found
        return known[module]

    known: dict[str, Counter[str]] = {}
    return inside(top)


def memories(files: Mapping[str, str], top: str) -> Counter[tuple[int, int]]:
    """How many memories of each width and depth there are in the Verilog of a design."""
    found: Counter[tuple[int, int]] = Counter()
    for module, count in modules(files, top).items():
        for high, last in _MEMORY.findall(files.get(f"{module}.v", "")):
            found[int(high or 0) + 1, int(last) + 1] += count
    return found


def multipliers(configs: Sequence[Config]) -> int:
    """Multipliers that the arrays take at least: one for each product in a cycle, but for those
    made of logic."""
    counts = {
        EieConfig: lambda one: one.pes * one.lanes,
        NmConfig: lambda one: one.dedicated_multipliers,
    }
    return sum(counts[type(config)](config) for config in configs)


def check_before(part: Part, files: Mapping[str, str], top: str, configs: Sequence[Config]) -> None:
    """Refuse a design whose memories or multipliers the part has not.

    Raises
    ------
    UserError
        With what runs out, and by how much.
    """
    found = memories(files, top)
    rams = sum(n * block_rams(*shape, part.block_ram_bits) for shape, n in found.items())
    _check(part, "block RAMs", rams, part.block_rams)
    _check(part, "single-port RAMs", modules(files, top)[BIG_RAM], part.big_rams)
    _check(part, "multipliers", multipliers(configs), part.multipliers)


def check_after(part: Part, luts: int) -> None:
    """Refuse a design that is too large, before it is placed."""
    _check(part, "lookup tables", luts, part.luts)


def luts(cells: Mapping[str, int]) -> int:
    """Lookup tables in a netlist, by the cells of each kind."""
    return area_of(cells).lut4 + cells.get("SB_LUT4", 0)


def _check(part: Part, what: str, wanted: int, there: int) -> None:
    if wanted > there:
        raise UserError(
            f"the design does not fit: it takes {wanted} {what}, {part.name} has {there}, "
            f"{wanted - there} too few"
        )
