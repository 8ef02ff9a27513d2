"""The bus driver on an array in plain Python: the golden model's bits and cycles, and checks."""

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import Mode, preset
from spec.nm.counters import COUNTERS, OF_PACE
from spec.nm.cycles import RunCounts, count_run
from spec.nm.descriptor import plan
from sw.host.compare import first_difference, run_loaded
from sw.host.nm.driver import SLACK_CYCLES, BusDevice, most_cycles
from sw.host.nm.port import Port
from tests.spec.nm.cases import (
    Case,
    config_with_small_banks,
    program_of,
    random_case,
    random_config,
)
from tests.spec.nm.networks import conv_network, linear, linear_network
from tests.sw.host.nm.devices import TINY, golden_for, load, small_case
from tests.sw.host.nm.fake_port import FakePort, steady

pytestmark = pytest.mark.unit


def assert_layer_agrees(case: Case, device: BusDevice) -> RunCounts:
    """One layer: the golden device's outputs and all its counters, which are returned."""
    golden = golden_for(case.program)
    found, told = device.run_layer(0, case.acts), golden.run_layer(0, case.acts)
    assert np.array_equal(found, told), case.program.config
    assert found.dtype == np.int64
    assert device.counters() == golden.counters()
    (counts,) = device.counters()
    return counts


def test_the_fake_is_a_port():
    assert isinstance(FakePort(preset("tiny")), Port)


@pytest.mark.parametrize("make", [random_config, config_with_small_banks])
def test_agrees_with_the_golden_model(rng, make):
    for _ in range(15):
        case = random_case(rng, make(rng), most=16)
        device, port = load(case.program)
        assert_layer_agrees(case, device)
        assert port.descriptors == [case.program.descriptor(0, len(case.acts))]


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(
    "make", [conv_network, lambda rng, config: linear_network(rng, config, [9, 14, 6, 3])]
)
def test_chains_agree(rng, make, images):
    """With convolutions, channel groups and pooling, or without; again and again."""
    network = make(rng, TINY)
    device, port = load(network.program)
    golden = golden_for(network.program)
    for _ in range(2):
        batch = network.batch(rng, images)
        told, found = (run_loaded(each, batch) for each in (golden, device))
        assert first_difference(network.program, told, found) is None
        assert np.array_equal(found.outputs, network.expected(batch))
    assert port.resets == 1


def test_layers_that_are_no_chain_run_one_by_one(rng):
    packed = [linear(rng, TINY, name, size) for name, size in (("a", (5, 9)), ("b", (3, 7)))]
    program = program_of(TINY, *(layer for layer, _ in packed), chained=False)
    device, _ = load(program)
    golden = golden_for(program)
    for name, inputs in (("b", 7), ("a", 9), ("b", 7)):
        acts = rng.integers(-128, 128, (4, inputs))
        number = program.number(name)
        outputs = device.run_layer(number, acts)
        assert outputs.shape == (4, program.layers[number].outputs)
        assert np.array_equal(outputs, golden.run_layer(number, acts))
        assert device.counters() == golden.counters()
        assert len(device.counters()) == 1
    with pytest.raises(UserError, match="no chain: run them one by one"):
        device.run(np.zeros((1, 9), int))


def test_any_layer_of_a_chain_runs_by_itself(rng):
    network = linear_network(rng, TINY, [9, 14, 6])
    device, _ = load(network.program)
    acts = rng.integers(-128, 128, (3, 14))
    golden = golden_for(network.program)
    assert np.array_equal(device.run_layer(1, acts), golden.run_layer(1, acts))


@pytest.mark.parametrize(
    ("number", "acts", "message"),
    [
        (1, np.zeros((1, 9), int), "layer 1: the image has layers 0...0"),
        (-1, np.zeros((1, 9), int), "layer -1: the image has layers"),
        ("fc0", np.zeros((1, 9), int), "layer 'fc0': the image has layers"),
        (0, np.zeros((1, 8), int), r"layer fc0: input has shape \(1, 8\), must be \(tokens, 9\)"),
        (0, np.zeros((0, 9), int), r"layer fc0: input has shape \(0, 9\)"),
        (0, np.zeros((1, 9)), "layer fc0: a device takes integers, the input is float64"),
        (0, np.full((1, 9), 128), "layer fc0: input reaches 128...128"),
        (0, np.zeros((131071, 9), np.int8), "layer fc0: 131071 tokens, must be 1 to 131070"),
    ],
)
def test_what_is_no_run_of_a_layer_is_refused(rng, number, acts, message):
    program = linear_network(rng, TINY, [9, 5]).program
    device, port = load(program)
    for each in (device, golden_for(program)):
        with pytest.raises(UserError, match=message):
            each.run_layer(number, acts)
        with pytest.raises(UserError, match="nothing has run"):
            each.counters()
    assert port.resets == 0


def test_running_a_layer_without_an_image_is_refused():
    with pytest.raises(UserError, match="fake: no image is loaded"):
        BusDevice(FakePort(TINY), "fake").run_layer(0, np.zeros((1, 1), int))


# Traffic ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("eighths", [1, 4, 7])
def test_ragged_traffic_stays_within_the_limit(rng, eighths, rows):
    """The clocked array refuses to run for longer than the limit."""

    def ragged() -> bool:
        return bool(rng.integers(8) >= eighths)

    config = preset("tiny", rows=rows, act_lines=8, weight_steps=64)
    for pace in ((ragged, steady), (steady, ragged), (ragged, ragged)):
        case = small_case(rng, config)
        device, port = load(case.program, *pace)
        assert not device.paced
        golden = golden_for(case.program)
        assert np.array_equal(device.run_layer(0, case.acts), golden.run_layer(0, case.acts))
        assert port.cycles[0] < port.limits[0] - SLACK_CYCLES
        for name in set(COUNTERS) - set(OF_PACE):
            assert device.counters()[0].of(name) == golden.counters()[0].of(name)


def test_many_results_that_are_taken_slowly_stay_within_the_limit(rng):
    """Few words in, and thousands of cycles to take the others."""
    network = linear_network(rng, TINY, [2, 24])
    device, port = load(network.program, taken=lambda: bool(rng.integers(8) == 0))
    batch = network.batch(rng, 64)
    assert np.array_equal(device.run(batch), network.expected(batch))
    assert port.cycles[0] > 16 * device.counters()[0].of("loads")


@pytest.mark.parametrize("act_lines", [384, 3072, 65536])
@pytest.mark.parametrize("pattern", ["1:1", "1:4"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "tokens"), [(3072, 1024, 2048), (8, 8, 1), (9, 999, 9)]
)
def test_the_limit_of_any_layer(inputs, outputs, tokens, pattern, act_lines):
    """Above the cycles that are predicted, also where there are few words and much to compute."""
    config = preset("default", act_lines=act_lines)
    mode = Mode.parse(pattern)
    descriptor = plan(
        config,
        mode=config.mode_number(mode),
        gather=False,
        relu=False,
        outputs=outputs,
        inputs=inputs,
        tokens=tokens,
    )
    steps = np.full(descriptor.strips, -(-inputs // config.step_inputs(mode)))
    counts = count_run(config, descriptor, steps)
    limit = most_cycles(config, descriptor, steps, counts.of("loads")) - SLACK_CYCLES
    assert counts.of("cycles") < limit < 50 * counts.of("cycles")


def test_the_limit_is_not_absurd(rng):
    for _ in range(10):
        case = small_case(rng)
        device, port = load(case.program)
        counts = assert_layer_agrees(case, device)
        limit = port.limits[0] - SLACK_CYCLES
        assert counts.of("cycles") < limit < 50 * counts.of("cycles")


def test_ticks_with_the_images_that_are_done(rng):
    network = linear_network(rng, TINY, [9, 8, 4])
    ticks: list[int] = []
    load(network.program)[0].run(network.batch(rng, 3), ticks.append)
    assert ticks == [3]


def test_close_closes_the_port(rng):
    device, port = load(small_case(rng).program)
    device.close()
    assert port.closed
