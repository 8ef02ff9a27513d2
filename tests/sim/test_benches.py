"""The cocotb regression: CSC streams of the compiler drive the array and its units, in any traffic.

Each test builds a design, or finds it built, and runs the cocotb tests of one module of
``tests/sim/benches`` on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hw.eie.array import EieArray
from hw.eie.pe import ProcessingElement
from hw.eie.pointer_read import PointerRead
from sim.cocotb_build import run_bench
from sim.native import SHARED, TOP
from spec.eie.config import EieConfig
from spec.eie.iomap import Error
from sw.compile import compile_network
from sw.host.inputs import quantize_input
from tests.hw.eie.array_bench import Job as Right
from tests.hw.eie.test_array_errors import mistakes
from tests.programs import random_acts, random_case, random_program
from tests.sim.benches.jobs import Job, write_jobs
from tests.sim.test_agreement import CONFIGS
from tests.sw.compile.networks import set_weights

pytestmark = pytest.mark.verilator

NAMES = ["published, eight PEs", "default, five PEs"]
"""Both presets' behaviours. The arrays are those that the executors' agreement is tested on."""


@pytest.fixture(params=NAMES)
def config(request: pytest.FixtureRequest) -> EieConfig:
    return CONFIGS[request.param]


@pytest.fixture
def run(tmp_path: Path, seed: int, waves: Path | None) -> Callable[..., list[str]]:
    """Runs a module of benches on a component; gives the names of the tests that passed."""

    def run(component, top: str, module: str, jobs: Sequence[Job], **options) -> list[str]:
        return run_bench(
            component,
            top,
            f"tests.sim.benches.{module}",
            environment=write_jobs(jobs, tmp_path),
            seed=seed,
            waves=waves or False,
            **options,
        )

    return run


def compiled(name: str, rng: np.random.Generator, config: EieConfig, sizes: list[int]) -> Job:
    """A small torch network with few weights and shared ones, compiled, and some inputs."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = set_weights(nn.Sequential(*layers[:-1]), rng)
    samples = rng.normal(size=(20, sizes[0])) * (rng.random((20, sizes[0])) < 0.5)
    program = compile_network(network, samples, config).program
    return Job(name, program, quantize_input(program, samples[:2]))
