"""Same bits, same cycles: one batch on two devices, and the first difference between them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spec.eie.engine import EIE
from spec.image import Program, engine_of
from spec.mixed import MIXED, Mixed
from spec.nm.engine import NM
from sw.host.device import Device, Tick, quiet
from sw.host.difference import Difference, first_index
from sw.host.eie.compare import first_difference as _of_eie
from sw.host.nm.compare import first_difference as _of_nm


@dataclass(frozen=True)
class Result:
    """What a device made of a batch.

    Attributes
    ----------
    counts : list
        What the device's ``counters`` gives.
    paced : bool
        Counters that depend on the host's pace are exact.
    """

    device: str
    outputs: np.ndarray
    counts: list[Any]
    paced: bool = True


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

    Outputs come before counters. Counters that depend on the host's pace are not compared if one of
    the devices is not paced.
    """
    found = _of_outputs(one.outputs, other.outputs)
    if found is None:
        paced = one.paced and other.paced
        find = _OF_COUNTERS[engine_of(program).name]
        found = find(program, one.counts, other.counts, len(one.outputs), paced=paced)
    if found is None:
        return None
    return f"{found.place}: {one.device} {found.mine}, {other.device} {found.theirs}"


def _of_outputs(one: np.ndarray, other: np.ndarray) -> Difference | None:
    if one.shape != other.shape:
        return Difference("shape of the outputs", one.shape, other.shape)
    found = first_index(one, other)
    if found is None:
        return None
    image, *step, output = found
    place = "".join([f"image {image}, ", *(f"step {number}, " for number in step)])
    return Difference(f"{place}output {output}", one[found], other[found])


def _of_stages(
    program: Mixed, one: list[Any], other: list[Any], images: int, *, paced: bool
) -> Difference | None:
    """Earlier stages first."""
    for number, (stage, mine, theirs) in enumerate(zip(program.stages, one, other, strict=True)):
        found = _OF_COUNTERS[engine_of(stage).name](stage, mine, theirs, images, paced=paced)
        if found:
            return found._replace(place=f"stage {number}, {found.place}")
    return None


_OF_COUNTERS: dict[str, Callable[..., Difference | None]] = {
    EIE.name: _of_eie,
    NM.name: _of_nm,
    MIXED.name: _of_stages,
}
"""What finds the first difference between counters, by the engine of a program."""
