"""The paper's layers at full size in Verilator: the same outputs, cycles and counters as predicted.

Beside the verdict stand two ratios of seconds, each simulation over prediction: of a whole job,
memories included, and of the run alone, against the part of the golden model that counts cycles.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from tqdm import tqdm

from sim.bench.eie import Machine, machines
from sim.bench.layers import Drawn, check_names, draw
from sim.eie.native import NativePort
from sim.tools import versions
from spec.eie.cycles import count_pass
from spec.eie.golden import GoldenModel
from spec.errors import Failure
from sw.host.compare import first_difference, run_on
from sw.host.device import Device
from sw.host.eie.driver import BusDevice
from sw.host.eie.golden import GoldenDevice

FULL_SIZE = {64: ("Alex-7", "VGG-6", "NT-We", "NT-LSTM"), 256: ("NT-We",)}
"""Layers that are simulated unless others are asked for, by the number of PEs."""


def run(names: Sequence[str] = (), pes: int | None = None) -> dict:
    """Simulate random layers on both presets, and compare; the result file's contents.

    Raises
    ------
    Failure
        If anything differs; says what.
    """
    check_names(names)
    chosen = (
        FULL_SIZE
        if not names and pes is None
        else {64 if pes is None else pes: names or FULL_SIZE[64]}
    )
    jobs = [(machine, own) for count, own in chosen.items() for machine in machines(count)]
    figures = []
    for machine, own in tqdm(jobs, "machines", leave=False):
        with closing(NativePort(machine.config)) as port:
            device = BusDevice(port, "verilator")
            figures += [_simulate(machine, device, draw("random", name)) for name in own]
    return {
        "command": "python -m sim.bench eie --on verilator",
        "tools": versions(),
        "layers": figures,
    }


def _simulate(machine: Machine, device: Device, layer: Drawn) -> dict:
    """One layer on one machine."""
    program = machine.program(layer)
    golden = GoldenDevice(machine.config)
    predicted, model = _timed(lambda: run_on(golden, program, layer.acts))
    decoded = GoldenModel(program)
    _ = decoded.decoded
    counting, _ = _timed(lambda: _count(decoded, layer))
    simulated, found = _timed(lambda: run_on(device, program, layer.acts))
    difference = first_difference(program, model, found)
    if difference:
        raise Failure(f"{layer.name} on {machine.name}, {machine.config.pes} PEs: {difference}")
    # What it computes from stays in the array: the first run of the image, again.
    running, _ = _timed(lambda: device.run(layer.acts))
    cycles = int(sum(one.of("cycles").sum() for one in found.counts))
    loads = int(sum(one.of("loads").sum() for one in found.counts))
    return {
        "name": layer.name,
        "preset": machine.name,
        "pes": machine.config.pes,
        "equal": True,
        "cycles": cycles,
        "loads": loads,
        "seconds": {
            "prediction": predicted,
            "simulation": simulated,
            "counting": counting,
            "simulated_run": running,
        },
        "job_ratio": simulated / predicted,
        "run_ratio": running / counting,
    }


def _count(model: GoldenModel, layer: Drawn) -> None:
    """What the cycle model does for a layer whose matrix is known."""
    for (_, _, step), matrix in zip(model.program.passes(), model.decoded, strict=True):
        span = slice(step.first_input, step.first_input + step.inputs)
        count_pass(model.config, step.descriptor, (layer.acts != 0)[:, span], matrix.work)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def table(document: dict) -> str:
    """The figures for people."""
    lines = [
        f"{'layer':<10}{'preset':>9}{'PEs':>5}{'cycles':>9}{'equal':>7}"
        f"{'job: model faster':>20}{'run: model faster':>20}"
    ]
    lines += [
        f"{one['name']:<10}{one['preset']:>9}{one['pes']:>5}{one['cycles']:>9}{'yes':>7}"
        f"{one['job_ratio']:>19.1f}x{one['run_ratio']:>19.1f}x"
        for one in document["layers"]
    ]
    return "\n".join(lines)
