"""Same bits, same cycles, same counters in every executor: the promise that all others hang on."""

import numpy as np
import pytest

from sim.devices import open_device
from spec.eie.config import EieConfig, preset
from spec.eie.program import Program
from sw.host.compare import first_difference, run_loaded
from sw.host.device import Device
from sw.host.eie.golden import GoldenDevice
from tests.programs import DENSITIES, random_acts, random_case, random_config, random_program

ROOM = {
    "rows": 64,
    "act_rows": 96,
    "lines": 4096,
    "columns": 512,
    "biases": 256,
    "layers": 16,
    "codebooks": 8,
}
"""Memories that hold every program below on every machine."""

CONFIGS = {
    "one PE, eight lanes": preset(
        "tiny", **ROOM | {"rows": 96}, pes=1, clusters=1, lanes=8, queue_depth=1
    ),
    "two PEs, two lanes, shallow": preset(
        "tiny", **ROOM, pes=2, lanes=2, queue_depth=1, ahead_depth=1
    ),
    "three PEs, four lanes, wide entries": preset(
        "tiny",
        **ROOM,
        pes=3,
        clusters=1,
        lanes=4,
        code_bits=5,
        run_bits=3,
        run_bits_most=3,
        share_pads=False,
        line_bits=64,
        double_buffer=False,
        queue_depth=3,
    ),
    "eight PEs, four clusters, narrow numbers": preset(
        "tiny",
        **ROOM,
        pes=8,
        clusters=4,
        act_bits=8,
        weight_bits=6,
        acc_bits=24,
        multiplier_bits=8,
        run_bits=2,
    ),
    "published, eight PEs": preset("isca16", **ROOM, pes=8),
    "FPGA, six PEs, two clusters": preset(
        "fpga64",
        **ROOM,
        pes=6,
        clusters=2,
        queue_depth=4,
        ahead_depth=2,
        multiplier_bits=8,
    ),
    "default, six PEs, two lanes": preset("default", **ROOM, pes=6, clusters=2, lanes=2),
}
"""Small machines that differ in everything; each is built once per session."""


def assert_agrees(device: Device, program: Program, *batches: np.ndarray) -> None:
    """The device gives the golden model's outputs and all of its counters, batch after batch."""
    golden = GoldenDevice(program.config)
    for each in (golden, device):
        each.load(program)
    for batch in batches:
        told, found = (run_loaded(each, batch) for each in (golden, device))
        assert first_difference(program, told, found) is None


@pytest.mark.flow
@pytest.mark.parametrize("trial", range(24))
def test_pysim_agrees_on_anything(rng: np.random.Generator, trial: int) -> None:
    case = random_case(rng, random_config(rng), images=1 + trial % 2, largest=18)
    device = open_device("pysim", case.config)
    assert_agrees(device, case.program, case.batch)
    device.close()


@pytest.fixture(scope="module", params=CONFIGS)
def config(request: pytest.FixtureRequest) -> EieConfig:
    return CONFIGS[request.param]


@pytest.fixture(scope="module", params=["steady", "ragged"])
def native(request: pytest.FixtureRequest, config: EieConfig):
    ragged = 7 if request.param == "ragged" else None
    device = open_device("verilator", config, ragged=ragged)
    yield device
    device.close()


@pytest.mark.verilator
@pytest.mark.parametrize("density", DENSITIES)
def test_native_agrees_at_every_density(
    native: Device, rng: np.random.Generator, density: float
) -> None:
    config = native.config
    largest = min(config.acts, config.rows * config.pes, 90)
    program = random_program(rng, config, [largest, largest // 2 + 1, largest], density=density)
    for act_density, single in ((0.0, False), (1.0, True), (0.1, False), (1.0, False)):
        batch = random_acts(rng, config, 3, largest, density=act_density, single=single)
        assert_agrees(native, program, batch)


@pytest.mark.verilator
def test_native_agrees_on_anything(native: Device, rng: np.random.Generator) -> None:
    for _ in range(20):
        case = random_case(rng, native.config)
        assert_agrees(native, case.program, case.batch)


@pytest.mark.verilator
@pytest.mark.parametrize("runs", [1, 2])
def test_native_agrees_on_segments(native: Device, rng: np.random.Generator, runs: int) -> None:
    """Segments that are written behind each other, if the machine can; in calls one by one."""
    config, hidden = native.config, 0
    for density in (0.1, 0.5):
        program = random_program(
            rng, config, [50, 30, 40], density=density, tiles=(2, 2), segments=True, runs=runs
        )
        batch = random_acts(rng, config, 5, 50, density=0.5)
        assert_agrees(native, program, batch, batch[:1], batch[2:])
        hidden += sum(int(one.of("hidden").sum()) for one in native.counters())
    assert bool(hidden) == config.double_buffer


@pytest.mark.verilator
@pytest.mark.parametrize("ragged", [None, 3], ids=["steady", "ragged"])
@pytest.mark.parametrize("name", ["published, eight PEs", "default, six PEs, two lanes"])
def test_cocotb_agrees(rng: np.random.Generator, name: str, ragged: int | None) -> None:
    device = open_device("cocotb", CONFIGS[name], ragged=ragged)
    for _ in range(3):
        case = random_case(rng, device.config, images=2, largest=40)
        assert_agrees(device, case.program, case.batch)
    device.close()


@pytest.mark.verilator
@pytest.mark.parametrize(("name", "pes"), [("default", 64), ("isca16", 64), ("default", 256)])
def test_many_pes_agree(rng: np.random.Generator, name: str, pes: int) -> None:
    """The paper's size and the largest, with memories cut down so that building stays short."""
    config = preset(name, pes=pes, lines=512, columns=2048, rows=32, act_rows=32)
    device = open_device("verilator", config)
    sizes = [700, 300, 100]
    for density, options in ((0.01, {"split": 0}), (0.1, {"split": config.splits}), (0.5, {})):
        program = random_program(rng, config, sizes, density=density, **options)
        assert_agrees(device, program, random_acts(rng, config, 2, 700, density=0.3))
    program = random_program(rng, config, sizes[1:], density=0.1, tiles=(1, 2), segments=True)
    assert_agrees(device, program, random_acts(rng, config, 2, 300, density=0.3))
    device.close()
