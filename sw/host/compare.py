"""Same bits, same cycles: one batch on two devices, and the first difference between them."""

from dataclasses import dataclass

import numpy as np

from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import PassCounts
from spec.eie.program import Program
from sw.host.device import Device, Tick, quiet


@dataclass(frozen=True)
class Result:
    """What a device made of a batch."""

    device: str
    outputs: np.ndarray
    counts: list[PassCounts]


def run_on(device: Device, program: Program, batch: np.ndarray, tick: Tick = quiet) -> Result:
    """Load a program and run a batch."""
    device.load(program)
    outputs = device.run(batch, tick)
    return Result(device.name, outputs, device.counters())


def first_difference(program: Program, one: Result, other: Result) -> str | None:
    """The first output or counter in which two results differ, or None.

    Outputs come before counters, counters of the array before those of PEs, earlier passes first.
    """
    found = _differ(one.outputs, other.outputs)
    if found is not None:
        image, output = found
        values = _values(one, other, one.outputs, other.outputs, found)
        return f"image {image}, output {output}: {values}"
    for number, (_, _, step) in enumerate(program.passes()):
        place = f"pass {number} ({program.layers[step.layer].name})"
        mine, theirs = one.counts[number], other.counts[number]
        found = _differ(mine.array, theirs.array)
        if found is not None:
            values = _values(one, other, mine.array, theirs.array, found)
            return f"{place}, image {found[0]}, {ARRAY_COUNTERS[found[1]]}: {values}"
        found = _differ(mine.pe, theirs.pe)
        if found is not None:
            image, pe, counter = found
            values = _values(one, other, mine.pe, theirs.pe, found)
            return f"{place}, image {image}, PE {pe}, {PE_COUNTERS[counter]}: {values}"
    return None


def _differ(one: np.ndarray, other: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first difference between arrays of one shape."""
    where = np.argwhere(one != other)
    return tuple(where[0].tolist()) if len(where) else None


def _values(
    one: Result, other: Result, mine: np.ndarray, theirs: np.ndarray, at: tuple[int, ...]
) -> str:
    return f"{one.device} {mine[at]}, {other.device} {theirs[at]}"
