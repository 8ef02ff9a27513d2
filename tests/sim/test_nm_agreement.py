"""Same bits, same cycles, same counters of the N:M array in every executor."""

from collections.abc import Iterator

import numpy as np
import pytest

from sim.devices import open_device
from spec.nm.config import NmConfig, preset
from spec.nm.counters import CAUSES
from spec.nm.program import Program
from sw.host.compare import first_difference, run_on
from sw.host.device import Device
from sw.host.nm.golden import GoldenDevice
from tests.sim.ports import RAGGED
from tests.spec.nm.cases import Case, config_with_small_banks, random_case, random_config
from tests.spec.nm.networks import conv_network, linear_network

ROOM = {"weight_steps": 20, "act_lines": 12, "gather_lines": 12}
"""Banks so small that layers of a few dozen inputs and tokens take several blocks and parts."""

CONFIGS = {
    "one multiplier": preset(
        "tiny", **ROOM | {"gather_lines": 0}, rows=1, columns=1, n=1, m=1, weight_bits=4
    ),
    "tiny": preset("tiny", **ROOM),
    "dense only, 128 bits": preset(
        "tiny", **ROOM | {"gather_lines": 0}, rows=2, n=1, m=1, groups=2, load_bits=128
    ),
    "up to 8 wide, 4-bit weights, 16-bit activations, 512 bits": preset(
        "tiny",
        **ROOM,
        rows=8,
        columns=4,
        n=4,
        m=8,
        weight_bits=4,
        act_bits=16,
        acc_bits=30,
        load_bits=512,
    ),
    "up to 8 wide, odd numbers, 256 bits": preset(
        "tiny",
        **ROOM,
        rows=2,
        columns=8,
        n=1,
        m=8,
        groups=4,
        weight_bits=3,
        act_bits=11,
        acc_bits=23,
        multiplier_bits=9,
        shift_bits=5,
        load_bits=256,
        counter_bits=20,
    ),
}
"""Small machines that differ in everything; each is built once per session."""


def assert_agrees(device: Device, program: Program, batch: np.ndarray) -> None:
    """The device gives the golden model's outputs and counters."""
    told, found = (run_on(each, program, batch) for each in (GoldenDevice(program.config), device))
    assert first_difference(program, told, found) is None


def sizes(config: NmConfig) -> dict[str, tuple[int, int, int]]:
    """Outputs, inputs, tokens by what they are for."""
    rows, inputs, columns = config.rows, config.line_inputs, config.columns
    few = config.act_lines // 3
    return {
        "the least": (1, 1, 1),
        "whole units": (rows, inputs, columns),
        "one more": (rows + 1, inputs + 1, columns + 1),
        "one less": (max(1, 3 * rows - 1), inputs // 2 + 1, 3 * columns - 1),
        "a step in a tile": (2 * rows, 1, 3 * columns),
        "two blocks": (2 * rows + 1, 3 * inputs - 1, (few + 1) * columns + 1),
        "parts": (rows + 1, config.act_lines * inputs - 1, 2 * columns + 1),
    }


def every_case(rng: np.random.Generator, config: NmConfig) -> Iterator[Case]:
    """All sizes, in all modes, gathered or not."""
    for mode in config.modes:
        for gather in {False, config.gather_lines > 0}:
            for size in sizes(config).values():
                yield random_case(rng, config, mode=mode, gather=gather, size=size)


@pytest.mark.unit
@pytest.mark.parametrize("name", CONFIGS)
def test_every_kind_of_run_is_among_the_cases(rng: np.random.Generator, name: str) -> None:
    """Blocks, parts, and every cause of a cycle: else the tests below would show little."""
    blocks, parts, causes = set(), set(), dict.fromkeys(CAUSES, 0)
    for case in every_case(rng, CONFIGS[name]):
        descriptor = case.program.descriptor(0, len(case.acts))
        blocks.add(descriptor.blocks)
        parts.add(descriptor.parts)
        golden = GoldenDevice(case.program.config)
        (counts,) = run_on(golden, case.program, case.acts).counts
        for cause in CAUSES:
            causes[cause] += counts.of(cause)
    # A row is drained in the cycle in which the next one may be.
    waits = set(CAUSES) - ({"drain_wait"} if CONFIGS[name].rows == 1 else set())
    assert all(causes[cause] for cause in waits)
    for found in (blocks, parts):
        assert min(found) == 1 < max(found)


@pytest.mark.flow
@pytest.mark.parametrize("traffic", RAGGED)
@pytest.mark.parametrize("trial", range(10))
def test_pysim_agrees_on_anything(rng: np.random.Generator, trial: int, traffic: str) -> None:
    config = config_with_small_banks(rng) if trial % 2 else random_config(rng)
    device = open_device("pysim", config, ragged=RAGGED[traffic])
    for most in (1, 8, 24):
        case = random_case(rng, config, most=most)
        assert_agrees(device, case.program, case.acts)
    device.close()


@pytest.fixture(scope="module", params=CONFIGS)
def config(request: pytest.FixtureRequest) -> NmConfig:
    return CONFIGS[request.param]


@pytest.fixture(scope="module", params=RAGGED)
def native(request: pytest.FixtureRequest, config: NmConfig) -> Iterator[Device]:
    device = open_device("verilator", config, ragged=RAGGED[request.param])
    yield device
    device.close()


@pytest.mark.verilator
def test_native_agrees_in_every_mode(native: Device, rng: np.random.Generator) -> None:
    for case in every_case(rng, native.config):
        assert_agrees(native, case.program, case.acts)


@pytest.mark.verilator
def test_native_agrees_on_anything(native: Device, rng: np.random.Generator) -> None:
    for _ in range(30):
        case = random_case(rng, native.config, most=int(rng.choice([3, 20, 70])))
        assert_agrees(native, case.program, case.acts)


@pytest.mark.verilator
def test_native_agrees_on_networks(native: Device, rng: np.random.Generator) -> None:
    """Modes change from layer to layer, sums are of a size that rounding can be seen in."""
    config = native.config
    for _ in range(3):
        modes = [str(config.modes[at]) for at in rng.integers(len(config.modes), size=4)]
        network = linear_network(rng, config, [37, 50, 23, 61, 10], modes)
        assert_agrees(native, network.program, network.batch(rng, 11))


@pytest.mark.verilator
@pytest.mark.parametrize("ragged", RAGGED.values(), ids=RAGGED)
@pytest.mark.parametrize("name", ["tiny", "up to 8 wide, odd numbers, 256 bits"])
def test_cocotb_agrees(rng: np.random.Generator, name: str, ragged: int | None) -> None:
    config = CONFIGS[name]
    device = open_device("cocotb", config, ragged=ragged)
    for size in sizes(config).values():
        case = random_case(rng, config, size=size)
        assert_agrees(device, case.program, case.acts)
    for _ in range(3):
        case = random_case(rng, config)
        assert_agrees(device, case.program, case.acts)
    device.close()


@pytest.mark.verilator
@pytest.mark.parametrize("name", ["default", "ecp5"])
def test_presets_agree(rng: np.random.Generator, name: str) -> None:
    """At full size, on layers of their size, and on convolutions."""
    config = preset(name)
    device = open_device("verilator", config)
    for mode in config.modes:
        case = random_case(rng, config, mode=mode, size=(333, 777, 99))
        assert_agrees(device, case.program, case.acts)
    network = conv_network(rng, config)
    assert_agrees(device, network.program, network.batch(rng, 20))
    device.close()
