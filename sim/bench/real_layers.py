"""Layers of two real networks on the array: predicted, simulated, and held to the integer model.

Each is compiled for preset ``isca16``, rows interleaved plainly, and for the default preset. It
runs on its own network's activations, on the golden model and in Verilator, which must agree.
"""

from contextlib import closing

import numpy as np
import torch
from tqdm import tqdm

from sim.bench.eie import Machine, machines
from sim.bench.real import REAL, RealLayer
from sim.eie.native import NativePort
from sim.tools import versions
from spec.errors import Failure
from sw.compile import compile_network
from sw.compress.share import kmeans
from sw.host.compare import first_difference, run_on
from sw.host.device import Device
from sw.host.eie.driver import BusDevice
from sw.host.eie.golden import GoldenDevice
from sw.host.quantities import quantize_input
from sw.host.report import make_report

STEPS = 40
"""Steps of a sequence that are run; each takes all layers of an LSTM."""


def run() -> dict:
    """Measure all; the result file's contents."""
    layers = [make() for make in REAL.values()]
    for layer in layers:
        share(layer)
    figures = []
    for machine in tqdm(machines(64), "machines", leave=False):
        with closing(NativePort(machine.config)) as port:
            device = BusDevice(port, "verilator")
            figures += [_measure(machine, device, layer) for layer in layers]
    return {"command": "python -m sim.bench real", "tools": versions(), "layers": figures}


def share(layer: RealLayer) -> None:
    """Give each matrix 15 values besides zero; in place."""
    with torch.no_grad():
        for weight in layer.weights.values():
            weight.copy_(kmeans(weight).expand())


def _measure(machine: Machine, device: Device, layer: RealLayer) -> dict:
    """One layer on one machine.

    Raises
    ------
    Failure
        If any output or counter differs.
    """
    acts = layer.acts[:, :STEPS] if layer.acts.ndim == 3 else layer.acts
    # The compiler itself holds the packed image to the dense integer reference.
    result = compile_network(
        layer.module, acts, machine.config, headroom=0, balance=machine.balance, check_count=2
    )
    batch = quantize_input(result.program, acts)
    golden = GoldenDevice(machine.config)
    predicted = run_on(golden, result.program, batch)
    simulated = run_on(device, result.program, batch)
    difference = first_difference(result.program, predicted, simulated)
    if difference:
        raise Failure(f"{layer.name} on {machine.name}: {difference}")
    report = make_report(golden, result.program, predicted.outputs, predicted.counts)
    return {
        "name": layer.name,
        "source": layer.source,
        "preset": machine.name,
        "kept": layer.kept,
        "images": len(batch),
        "steps": batch.shape[1] if batch.ndim == 3 else 1,
        "equal": True,
        "largest_error": result.steps[-1].total,
        "nonzero_inputs": float(np.count_nonzero(batch) / batch.size),
        **{name: report[name] for name in ("cycles", "macs", "utilization", "lost", "loading")},
        "clusters": [one["clusters"] for one in result.layers],
        "run_bits": [one["run_bits"] for one in result.layers],
    }


def table(document: dict) -> str:
    """The figures for people."""
    lines = [
        f"{'layer':<20}{'preset':>9}{'images':>8}{'steps':>7}{'MACs':>10}{'cycles':>10}"
        f"{'used':>8}{'equal':>7}"
    ]
    lines += [_row(one) for one in document["layers"]]
    return "\n".join(lines)


def _row(one: dict) -> str:
    return (
        f"{one['name']:<20}{one['preset']:>9}{one['images']:>8}{one['steps']:>7}{one['macs']:>10}"
        f"{one['cycles']:>10}{one['utilization']:>8.1%}{'yes':>7}"
    )
