"""The cocotb regression of the N:M engine: streams of the compiler and of random layers drive the
MAC unit and the array, in any traffic.

Each test builds a design, or finds it built, and runs the cocotb tests of one module of
``tests/sim/benches`` on it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hw.nm.engine import NmArray
from hw.nm.mac import Mac
from sim.cocotb_build import run_bench
from sim.nm.design import NM
from spec.nm.config import DENSE, Mode, NmConfig, preset
from sw.compile import compile_network
from sw.compress.patterns import nm_mask
from sw.host.quantities import quantize_input
from tests.sim.benches.jobs import Job, write_jobs
from tests.sim.test_nm_agreement import CONFIGS, sizes
from tests.spec.nm.cases import Case, random_case

pytestmark = pytest.mark.verilator

ARRAYS = [
    "tiny",
    "dense only, 128 bits",
    "up to 8 wide, odd numbers, 256 bits",
]
"""Built for the test of the executors' agreement, too."""

MACS = {
    "2:4": preset("tiny"),
    "up to 8 wide": preset("tiny", n=4, m=8, weight_bits=4, act_bits=16, acc_bits=30),
    "dense only": preset("tiny", n=1, m=1, groups=2, gather_lines=0),
}


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


@pytest.fixture(params=ARRAYS)
def config(request: pytest.FixtureRequest) -> NmConfig:
    return CONFIGS[request.param]


def layers(rng: np.random.Generator, config: NmConfig, size: tuple[int, int, int]) -> list[Job]:
    """A layer of each mode, every second one gathered if the array can, in any order."""
    jobs = []
    for at, mode in enumerate(config.modes):
        draw = gathered if config.gather_lines and at % 2 else plain
        case = draw(rng, config, mode, size)
        jobs.append(Job(case.layer.mode, case.program, case.acts))
    rng.shuffle(jobs)
    return jobs


def plain(
    rng: np.random.Generator, config: NmConfig, mode: Mode, size: tuple[int, int, int]
) -> Case:
    """A layer that keeps all inputs."""
    return random_case(rng, config, mode=mode, size=size, gather=False)


def gathered(
    rng: np.random.Generator, config: NmConfig, mode: Mode, size: tuple[int, int, int]
) -> Case:
    """A layer that drops some, so that offsets are left behind in the array."""
    while True:
        case = random_case(rng, config, mode=mode, size=size, gather=True)
        if any(strip.offsets.any() for strip in case.program.strips(0)):
            return case


def compiled(rng: np.random.Generator, config: NmConfig, tokens: int) -> Job:
    """A torch network whose layers follow all patterns in turn, compiled; with some inputs."""
    sizes = [29, *[18] * (len(config.modes) - 1), 11]
    layers: list[nn.Module] = []
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(1 << 32)))
        for mode, (inputs, outputs) in zip(config.modes, pairwise(sizes), strict=True):
            linear = nn.Linear(inputs, outputs)
            with torch.no_grad():
                linear.weight *= nm_mask(linear.weight, mode.n, mode.m)
            layers += [linear, nn.ReLU()]
    patterns = {str(2 * at): str(mode) for at, mode in enumerate(config.modes)}
    samples = rng.normal(size=(20, sizes[0]))
    network = nn.Sequential(*layers[:-1])
    program = compile_network(network, samples, config, pattern=patterns).program
    assert [layer.mode for layer in program.layers] == list(patterns.values())
    return Job("compiled", program, quantize_input(program, samples[:tokens]))


def several(rng: np.random.Generator, config: NmConfig) -> list[Job]:
    """Layers of each mode with several strips, tiles and blocks; one with parts; small ones;
    and those of a compiled network."""
    jobs = layers(rng, config, sizes(config)["two blocks"])
    jobs += layers(rng, config, sizes(config)["one more"])
    for name in ("the least", "a step in a tile", "parts"):
        case = plain(rng, config, DENSE, sizes(config)[name])
        jobs.append(Job(name, case.program, case.acts))
    return [compiled(rng, config, 7), *jobs]


@pytest.mark.parametrize("name", MACS)
def test_mac(run: Callable, rng: np.random.Generator, name: str) -> None:
    """All modes behind each other, gathered or not, with gaps and resets."""
    config = MACS[name]
    jobs = layers(rng, config, (9, 75, 5)) + layers(rng, config, (5, 41, 3))
    jobs.append(compiled(rng, config, 4))
    run(Mac(config), "nm_mac", "nm_mac", jobs)


def test_array(config: NmConfig, run: Callable, rng: np.random.Generator) -> None:
    """Layers of all modes: steady, ragged on either side, with requests during runs."""
    run(NmArray(config), NM.top, "nm_array_runs", several(rng, config), shared=NM.shared)


def test_array_resets(config: NmConfig, run: Callable, rng: np.random.Generator) -> None:
    """A reset in every section of the load stream, while results leave, in any cycle."""
    jobs = [compiled(rng, config, 3), *layers(rng, config, sizes(config)["two blocks"])]
    run(NmArray(config), NM.top, "nm_array_resets", jobs, shared=NM.shared)


def test_array_errors(config: NmConfig, run: Callable, rng: np.random.Generator) -> None:
    """Every error code, in all modes, and correct runs right behind."""
    jobs = layers(rng, config, sizes(config)["two blocks"])
    run(NmArray(config), NM.top, "nm_array_errors", jobs, shared=NM.shared)
