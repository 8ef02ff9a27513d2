"""How fast the tools are. Every figure is one run on an otherwise idle machine."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from sim.eie.native import NativePort
from sim.tools import versions
from spec.eie.config import preset
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from sw.compile import compile_network
from sw.host.eie.driver import BusDevice

SEED = 1


def run() -> dict:
    """Measure everything; the result file's contents."""
    return {
        "command": "python -m sim.bench targets",
        "machine": {"system": platform.system(), "cores": os.cpu_count(), "cpu": _cpu()},
        "tools": versions(),
        "figures": {
            name: measure() for name, measure in tqdm(TARGETS.items(), "measure", leave=False)
        },
    }


def emission(pes: int) -> Callable[[], dict]:
    """Seconds of ``python -m hw.build``, the start of Python included."""

    def measure() -> dict:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "hw.build",
                "--pes",
                str(pes),
                "--out",
                f"{folder}/out",
            ]
            started = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return {"seconds": _since(started)}

    return measure


def compilation(inputs: int, outputs: int, density: float) -> Callable[[], dict]:
    """Seconds from a state dict in memory to a checked program."""

    def measure() -> dict:
        started = time.monotonic()
        program = _layer(inputs, outputs, density)
        return {"seconds": _since(started), "weights": program.layers[0].weights}

    return measure


def prediction(inputs: int, outputs: int, density: float) -> Callable[[], dict]:
    """Seconds that the golden model takes for outputs and cycles of one image, decoding
    included."""

    def measure() -> dict:
        program = _layer(inputs, outputs, density)
        started = time.monotonic()
        _, counts = GoldenModel(program).run(_acts(inputs, 1))
        return {"seconds": _since(started), "cycles": int(sum(c.array[0, 0] for c in counts))}

    return measure


def simulation(pes: int) -> Callable[[], dict]:
    """Clock cycles per second of the native Verilator model while the array computes."""

    def measure() -> dict:
        config = preset("default", pes=pes)
        program = _layer(4096, 4096, 0.1)
        started = time.monotonic()
        with closing(NativePort(config)) as port:
            built = _since(started)
            device = BusDevice(port, "verilator")
            device.load(program)
            device.run(_acts(4096, 1))
            # The activations stay in their half of the store: the same run, again and again.
            started = time.monotonic()
            cycles = sum(port.run(1_000_000)[0] for _ in range(50))
            seconds = _since(started)
        return {
            "open_seconds": built,
            "run_seconds": seconds,
            "cycles": cycles,
            "cycles_per_second": round(cycles / seconds),
        }

    return measure


TARGETS: dict[str, Callable[[], dict]] = {
    "hw.build, 64 PEs": emission(64),
    "hw.build, 256 PEs": emission(256),
    "compile 4096x4096, 10 %": compilation(4096, 4096, 0.1),
    "golden model 25088x4096, 4 %": prediction(25088, 4096, 0.04),
    "Verilator, 64 PEs": simulation(64),
}


def _layer(inputs: int, outputs: int, density: float) -> Program:
    """A random layer with shared weights, compiled for the default preset."""
    rng = np.random.default_rng(SEED)
    values = np.concatenate([-np.arange(1, 8), np.arange(1, 9)]).astype(np.float32) / 64
    weight = np.zeros((outputs, inputs), np.float32)
    kept = rng.random(weight.shape, np.float32) < density
    weight[kept] = rng.choice(values, int(kept.sum()))
    state = {"fc.weight": torch.from_numpy(weight)}
    samples = np.abs(rng.standard_normal((4, inputs), np.float32))
    return compile_network(state, samples, preset("default"), check_count=1).program


def _acts(inputs: int, images: int) -> np.ndarray:
    """Activations as behind a ReLU: about a third are not zero."""
    rng = np.random.default_rng(SEED)
    kept = rng.random((images, inputs)) < 0.35
    return rng.integers(1, 1 << 14, (images, inputs)) * kept


def _since(started: float) -> float:
    return round(time.monotonic() - started, 2)


def _cpu() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def table(document: dict) -> str:
    """The figures for people."""
    figures = document["figures"]
    width = max(map(len, figures))
    return "\n".join(
        f"{name.ljust(width)}  " + ", ".join(f"{key} {value}" for key, value in figure.items())
        for name, figure in figures.items()
    )
