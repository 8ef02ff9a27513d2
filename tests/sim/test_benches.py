"""The cocotb regression: CSC streams of the compiler drive the array and its units, in any traffic.

Each test builds a design, or finds it built, and runs the cocotb tests of one module of
``tests/sim/benches`` on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hw.eie.array import EieArray
from hw.eie.pe import ProcessingElement
from sim.cocotb_build import run_bench
from sim.eie.design import EIE
from spec.eie.config import EieConfig, preset
from spec.eie.iomap import Error, Memory, descriptor_word_bits
from spec.eie.program import Program, Segment
from sw.compile import compile_network
from sw.host.inputs import quantize_input
from tests.programs import random_acts, random_case, random_program
from tests.sim.benches.jobs import Job, Word, write_jobs
from tests.sim.benches.pointer_read import QueuedPointerRead
from tests.sim.test_agreement import CONFIGS as AGREEMENT
from tests.sw.compile.networks import set_weights

pytestmark = pytest.mark.verilator

CONFIGS = {
    "published": preset("isca16", pes=8, rows=32, act_rows=32, lines=256, columns=512),
    # Built for the test of the executors' agreement, too.
    "default": AGREEMENT["default, six PEs, two lanes"],
}
"""Both presets' behaviours, with so many rows in a PE that runs need pads."""


@pytest.fixture(params=CONFIGS)
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
    """A torch network with few weights, and shared ones, compiled; with some inputs."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(1 << 32)))
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = set_weights(nn.Sequential(*layers[:-1]), rng)
    samples = rng.normal(size=(20, sizes[0])) * (rng.random((20, sizes[0])) < 0.5)
    program = compile_network(network, samples, config).program
    return Job(name, program, quantize_input(program, samples[:2]))


def drawn(rng: np.random.Generator, config: EieConfig, count: int, **options: int) -> list[Job]:
    """Random programs of all kinds."""
    cases = [random_case(rng, config, images=2, **options) for _ in range(count)]
    return [Job(f"random {at}", case.program, case.batch) for at, case in enumerate(cases)]


def layer(
    name: str, rng: np.random.Generator, config: EieConfig, sizes: list[int], **options: Any
) -> Job:
    """Random layers, with a sparse vector for them, a full one, and one of zeros."""
    program = random_program(rng, config, sizes, **options)
    batch = random_acts(rng, config, 3, sizes[0]) * np.array([[1], [1], [0]])
    batch[1] += batch[1] == 0
    return Job(name, program, batch)


def test_pointer_read(run: Callable, rng: np.random.Generator) -> None:
    """The pointers of compiled and of random matrices, steady and ragged, and with resets."""
    config = CONFIGS["default"]
    jobs = [
        compiled("compiled", rng, config, [80, 30]),
        layer("empty columns", rng, config, [90, 12], density=0.1, empty_columns=0.4),
        layer("full", rng, config, [30, 20], density=1.0),
    ]
    run(QueuedPointerRead(config), "eie_pointer_read", "pointer_read", jobs)


def test_pe(config: EieConfig, run: Callable, rng: np.random.Generator) -> None:
    """From pointers, lines, codebook and biases to sums, activations and counters."""
    outputs = config.rows * config.pes
    jobs = [
        compiled("compiled", rng, config, [40, 60]),
        layer("long runs", rng, config, [50, outputs], density=0.02, long_runs=0.2, widen=0),
        layer("full", rng, config, [12, 40], density=1.0),
        layer("nothing", rng, config, [20, 40], density=0.0),
    ]
    run(ProcessingElement(config), "eie_pe", "pe", jobs)


def test_array(config: EieConfig, run: Callable, rng: np.random.Generator) -> None:
    """Networks of one segment and of several; all that is read is what the models say."""
    outputs = config.rows * config.pes
    jobs = [
        compiled("compiled", rng, config, [60, 40, 24, 10]),
        compiled("compiled, in tiles", rng, config, [config.acts + 30, 20]),
        layer("long runs", rng, config, [60, outputs, 10], density=0.02, long_runs=0.2, widen=0),
        layer("queues full", rng, config, [150, 60], density=0.3, empty_columns=0.1, split=0),
        layer("segments", rng, config, [40, 30, 20], density=0.3, segments=True, runs=2),
        *drawn(rng, config, 3, largest=40),
    ]
    assert len(list(jobs[1].program.runs())) > 1
    run(EieArray(config), EIE.top, "array_runs", jobs, shared=EIE.shared)


def test_array_resets(config: EieConfig, run: Callable, rng: np.random.Generator) -> None:
    """A reset while loading, in every phase of a run, and while reading."""
    jobs = [
        compiled("compiled", rng, config, [30, 20, 10]),
        layer("busy", rng, config, [30, 40], density=0.6),
    ]
    run(EieArray(config), EIE.top, "array_resets", jobs, shared=EIE.shared)


def test_array_errors(config: EieConfig, run: Callable, rng: np.random.Generator) -> None:
    """Starts that are refused, and mistakes in activations, matrices and descriptors."""
    inputs = 2 * config.pes + config.pes // 2
    program = random_program(rng, config, [inputs, 30, 20], density=0.5, relu=False)
    acts = random_acts(rng, config, 1, program.inputs, density=1.0)
    jobs = [Job("right", program, acts), *mistakes(rng, program, acts)]
    run(EieArray(config), EIE.top, "array_errors", jobs, shared=EIE.shared)


def mistakes(rng: np.random.Generator, program: Program, acts: np.ndarray) -> list[Job]:
    """Jobs with a mistake somewhere, one of each kind that ends a run."""
    config, segment = program.config, program.segments[0]
    descriptor = segment.passes[0].descriptor
    # Columns that every cluster has.
    columns = program.inputs // config.pes * config.cluster_pes(descriptor.split)
    pe, column = int(rng.integers(config.pes)), int(rng.integers(1, columns))
    pointer = descriptor.pointer_base + column
    behind = (Memory.POINTERS, pe, pointer, config.pointer_limit + 1)
    backwards = (Memory.POINTERS, pe, pointer - 1, int(segment.pointers[pe, pointer]) + 1)
    too_many = np.append(acts, [[0] * int(rng.integers(2)) + [-1]], axis=1)
    assert too_many.shape[1] <= -(-program.inputs // config.pes) * config.pes, "another row"
    rows = [
        Job(
            f"entry behind the last row of pass {at}",
            program,
            acts,
            row_less(segment, at, config),
            Error.ROW,
        )
        for at in (0, 1)
    ]
    return [
        Job("non-zero behind the last column", program, too_many, error=Error.COLUMN),
        *rows,
        Job("column behind the memory", program, acts, (behind,), Error.POINTER),
        Job("column backwards", program, acts, (backwards,), Error.POINTER),
    ]


def row_less(segment: Segment, number: int, config: EieConfig) -> tuple[Word, ...]:
    """The descriptor of pass ``number``, with a row less than its entries need."""
    step = segment.passes[number]
    last = (step.outputs - 1) // config.cluster_pes(step.descriptor.split)
    words = replace(step.descriptor, rows=last).pack(config)
    base = number << descriptor_word_bits(config)
    return tuple((Memory.DESCRIPTORS, 0, base | at, word) for at, word in enumerate(words))
