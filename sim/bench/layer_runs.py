"""What the layers of a network cost that an N:M array computes one by one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from spec.errors import Failure
from spec.nm.counters import CAUSES
from spec.nm.cycles import RunCounts
from spec.nm.program import Program, useful_slots
from spec.nm.summary import inspect
from sw.host.compare import Result, first_difference
from sw.host.nm.device import NmDevice


class Call(NamedTuple):
    """A run of the array."""

    number: int
    outputs: np.ndarray
    counts: RunCounts

    @property
    def tokens(self) -> int:
        return len(self.outputs)


class Recorder:
    """Runs layers of a program on a device (``run_layer`` of :func:`sw.compile.nm.on_device`), and
    keeps what came of each call."""

    def __init__(self, device: NmDevice, program: Program) -> None:
        device.load(program)
        self.device = device
        self.program = program
        self.calls: list[Call] = []

    def __call__(self, number: int, acts: np.ndarray) -> np.ndarray:
        outputs = self.device.run_layer(number, acts)
        (counts,) = self.device.counters()
        self.calls.append(Call(number, outputs, counts))
        return outputs


def check_equal(one: Recorder, other: Recorder) -> None:
    """Hold the calls of one device to those of another.

    Raises
    ------
    Failure
        Names the first call, and the first output or counter of it, in which they differ.
    """
    order = [call.number for call in one.calls]
    if order != [call.number for call in other.calls]:
        raise Failure(f"{one.device.name} and {other.device.name} ran different layers")
    for mine, theirs in zip(one.calls, other.calls, strict=True):
        results = (
            Result(who.device.name, call.outputs, [call.counts], who.device.paced)
            for who, call in ((one, mine), (other, theirs))
        )
        difference = first_difference(one.program, *results)
        if difference:
            raise Failure(f"layer {one.program.layers[mine.number].name}: {difference}")


def account(recorder: Recorder, kind_of: Callable[[str], str]) -> dict:
    """Cycles, their causes, utilization and storage of a program, in all and by kind of layer.

    Parameters
    ----------
    kind_of : callable
        From a layer's name: layers of one kind are told together.
    """
    layers = recorder.program.layers
    stored = [one["bits"] for one in inspect(recorder.program)["layers"]]
    kinds: dict[str, list[int]] = {}
    for number, layer in enumerate(layers):
        kinds.setdefault(kind_of(layer.name), []).append(number)
    rows = []
    for kind, chosen in kinds.items():
        first = layers[chosen[0]]
        size = {"inputs": first.inputs, "outputs": first.outputs, "layers": len(chosen)}
        rows.append({"kind": kind} | size | _sums(recorder, stored, chosen))
    return {"kinds": rows} | _sums(recorder, stored, range(len(layers)))


def _sums(recorder: Recorder, stored: Sequence[dict], chosen: Sequence[int]) -> dict:
    """Of some layers; ``stored`` tells the bits of each."""
    program, layers = recorder.program, recorder.program.layers
    calls = [call for call in recorder.calls if call.number in chosen]
    useful = sum(useful_slots(layers[call.number], call.tokens) for call in calls)
    counted = {name: sum(call.counts.of(name) for call in calls) for name in ("cycles", *CAUSES)}
    bits = {name: sum(stored[number][name] for number in chosen) for name in stored[0]}
    return counted | {
        "utilization": useful / (counted["cycles"] * program.config.slots),
        "weights": sum(layers[number].inputs * layers[number].outputs for number in chosen),
        "bytes": sum(bits.values()) // 8,
        "bytes_of_weights": (bits["values"] + bits["places"]) // 8,
    }
