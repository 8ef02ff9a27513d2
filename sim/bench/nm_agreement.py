"""Layers at full size in the simulated N:M array: outputs, cycles and counters as predicted.

Every mode of the array, and TVW, which uses the gather stage. Speed is that of whole runs: the host
sends weights and activations and takes the results meanwhile.
"""

import time
from collections.abc import Sequence
from contextlib import closing

import numpy as np
from tqdm import tqdm

from sim.bench.gemms import BERT, SEED, Gemm, gemms
from sim.bench.nm import PRESETS, SMALL
from sim.bench.patterns import PATTERNS, Pattern, in_groups, random_program
from sim.devices import open_device
from sim.tools import versions
from spec.errors import Failure
from spec.nm.config import NmConfig, preset
from spec.numbers import signed_bounds
from sw.host.compare import first_difference, run_on
from sw.host.device import Device

GATHERED = "tvw-75"


def run(names: Sequence[str] = (), on: str = "verilator") -> dict:
    """Simulate random layers on every preset, and compare; the result file's contents.

    Parameters
    ----------
    names : sequence of str
        See :func:`sim.bench.gemms.gemm`; BERT's and a small one by default.
    on : str
        Device that is held to the golden model.

    Raises
    ------
    Failure
        If anything differs; says what.
    """
    layers, figures = gemms(names or (*BERT, SMALL)), []
    for name in tqdm(PRESETS, "presets", leave=False):
        config = preset(name)
        with closing(open_device(on, config)) as device:
            for pattern in tqdm(patterns(config), "patterns", leave=False):
                figures += [
                    {"preset": name, **_simulate(device, layer, pattern)} for layer in layers
                ]
    return {
        "command": "python -m sim.bench nm --on verilator",
        "seed": SEED,
        "tools": versions(),
        "config_digests": {name: preset(name).digest for name in PRESETS},
        "layers": figures,
    }


def patterns(config: NmConfig) -> list[Pattern]:
    """All that the array can do."""
    return [*map(in_groups, config.modes), PATTERNS[GATHERED]]


def _simulate(device: Device, layer: Gemm, pattern: Pattern) -> dict:
    """One layer in one pattern."""
    config = device.config
    program, acts = random_program(layer, pattern, config), activations(layer, config)
    with closing(open_device("golden", config)) as golden:
        predicted = run_on(golden, program, acts)
    started = time.perf_counter()
    found = run_on(device, program, acts)
    seconds = time.perf_counter() - started
    difference = first_difference(program, predicted, found)
    if difference:
        raise Failure(f"{layer.name}, {pattern.title}: {difference}")
    cycles = found.counts[0].of("cycles")
    return {
        "name": layer.name,
        "pattern": pattern.title,
        "equal": True,
        "cycles": cycles,
        "outputs": found.outputs.size,
        "distinct": len(np.unique(found.outputs)),
        "seconds": seconds,
        "cycles_per_second": round(cycles / seconds),
    }


def activations(layer: Gemm, config: NmConfig) -> np.ndarray:
    """Any integers, the most negative one included; int64, shape (tokens, inputs)."""
    low, high = signed_bounds(config.act_bits)
    rng = np.random.default_rng([SEED, layer.inputs, layer.tokens])
    return rng.integers(low, high + 1, (layer.tokens, layer.inputs))


def table(document: dict) -> str:
    """The figures for people."""
    lines = [
        f"{'layer':<15}{'preset':>9}{'pattern':>10}{'cycles':>10}{'equal':>7}{'seconds':>9}"
        f"{'cycles/s':>10}"
    ]
    lines += [
        f"{one['name']:<15}{one['preset']:>9}{one['pattern']:>10}{one['cycles']:>10}{'yes':>7}"
        f"{one['seconds']:>9.1f}{one['cycles_per_second']:>10}"
        for one in document["layers"]
    ]
    return "\n".join(lines)
