"""Same bits, same cycles: one batch on two devices, and the first difference between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import PassCounts
from spec.eie.program import Program
from sw.host.device import Device, Tick, quiet


@dataclass(frozen=True)
class Result:
    """What a device made of a batch.

    Attributes
    ----------
    paced : bool
        Counters that depend on the host's pace, :data:`OF_PACE`, are exact.
    """

    device: str
    outputs: np.ndarray
    counts: list[PassCounts]
    paced: bool = True


OF_PACE = ("hidden",)
"""Counters that are not compared with those of a device which is not paced."""


def run_on(device: Device, program: Program, batch: np.ndarray, tick: Tick = quiet) -> Result:
    """Load a program and run a batch."""
    device.load(program)
    return run_loaded(device, batch, tick)


def run_loaded(device: Device, batch: np.ndarray, tick: Tick = quiet) -> Result:
    """Run a batch on what is loaded."""
    outputs = device.run(batch, tick)
    return Result(device.name, outputs, device.counters(), device.paced)


def first_difference(program: Program, one: Result, other: Result) -> str | None:
    """The first output or counter in which two results differ, or None.

    Outputs come before counters, counters of the array before those of PEs, earlier passes first.
    """
    found = _differ(one.outputs, other.outputs)
    if found is not None:
        image, *step, output = found
        place = "".join([f"image {image}, ", *(f"step {one}, " for one in step)])
        values = _values(one, other, one.outputs, other.outputs, found)
        return f"{place}output {output}: {values}"
    skipped = () if one.paced and other.paced else OF_PACE
    for number, (_, _, step) in enumerate(program.passes()):
        place = f"pass {number} ({program.layers[step.layer].name})"
        mine, theirs = one.counts[number], other.counts[number]
        found = _differ(mine.array, theirs.array, [ARRAY_COUNTERS.index(name) for name in skipped])
        if found is not None:
            images = _images(program, found[0], len(mine.array), len(one.outputs))
            values = _values(one, other, mine.array, theirs.array, found)
            return f"{place}, {images}, {ARRAY_COUNTERS[found[1]]}: {values}"
        found = _differ(mine.pe, theirs.pe)
        if found is not None:
            time, pe, counter = found
            images = _images(program, time, len(mine.array), len(one.outputs))
            values = _values(one, other, mine.pe, theirs.pe, found)
            return f"{place}, {images}, PE {pe}, {PE_COUNTERS[counter]}: {values}"
    return None


def _differ(
    one: np.ndarray, other: np.ndarray, skipped: Sequence[int] = ()
) -> tuple[int, ...] | None:
    """Index of the first difference between arrays of one shape, some of the last axis skipped."""
    differs = one != other
    differs[..., list(skipped)] = False
    where = np.argwhere(differs)
    return tuple(where[0].tolist()) if len(where) else None


def _images(program: Program, time: int, times: int, images: int) -> str:
    """The images that were computed at that time, and the step if the pass ran at several."""
    lanes = program.config.lanes
    groups = -(-images // lanes)
    group, step = divmod(time, times // groups)
    first, last = group * lanes, min((group + 1) * lanes, images) - 1
    place = f"image {first}" if first == last else f"images {first} to {last}"
    return f"{place}, step {step}" if times > groups else place


def _values(
    one: Result, other: Result, mine: np.ndarray, theirs: np.ndarray, at: tuple[int, ...]
) -> str:
    return f"{one.device} {mine[at]}, {other.device} {theirs[at]}"
