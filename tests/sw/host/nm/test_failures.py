"""What the bus driver does when an array fails, or contradicts itself: one clear sentence, and a
reset."""

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import preset
from spec.nm.counters import CAUSES
from spec.nm.iomap import Error
from sw.host.device import DeviceError
from tests.spec.nm.networks import linear_network
from tests.sw.host.nm.devices import TINY, golden_for, load, small_case
from tests.sw.host.nm.fake_port import FakePort

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("error", [Error.DESCRIPTOR, Error.BUSY, Error.STRIP])
def test_an_error_code_is_told_by_name(rng, error):
    case = small_case(rng)
    device, port = load(case.program)
    port.error = error
    with pytest.raises(DeviceError) as failure:
        device.run_layer(0, case.acts)
    told = f"fake: layer layer: stopped with error {error:d}, {error.name}: {error.meaning}"
    assert str(failure.value) == told


def test_an_unknown_error_code_is_told_too(rng):
    case = small_case(rng)
    device, port = load(case.program)
    port.error = 14
    with pytest.raises(DeviceError, match="error 14, which the driver does not know"):
        device.run_layer(0, case.acts)


@pytest.mark.parametrize("lie", [-1, 1])
@pytest.mark.parametrize("counter", ["cycles", "loads", "results", "port"])
def test_counters_that_lie_are_found_out(rng, counter, lie):
    case = small_case(rng)
    device, port = load(case.program)
    port.lies[counter] = lie
    with pytest.raises(DeviceError, match="fake: layer layer: .*, but its own counters say"):
        device.run_layer(0, case.acts)


@pytest.mark.parametrize("cause", CAUSES)
def test_causes_that_do_not_add_up_are_found_out(rng, cause):
    case = small_case(rng)
    device, port = load(case.program)
    port.lies[cause] = 1
    with pytest.raises(DeviceError, match=r"busy for \d+ cycles, but its causes add up to \d+"):
        device.run_layer(0, case.acts)


def test_counters_that_overflowed_are_told(rng):
    case = small_case(rng, preset("tiny", weight_steps=64, counter_bits=8))
    device, port = load(case.program)
    port.lies["port"] = 256
    with pytest.raises(DeviceError, match=r"busy for \d+ cycles, which overflowed counters of 8"):
        device.run_layer(0, case.acts)


@pytest.mark.parametrize("untaken", [1, -1])
def test_words_that_were_not_taken_are_told(rng, untaken):
    case = small_case(rng)
    device, port = load(case.program)
    port.untaken = untaken
    words = golden_for(case.program)
    words.run_layer(0, case.acts)
    loads = words.counters()[0].of("loads")
    with pytest.raises(DeviceError, match=f"took {loads - untaken} words .*, there are {loads}"):
        device.run_layer(0, case.acts)


def test_results_that_are_missing_are_told(rng):
    case = small_case(rng)
    device, port = load(case.program)
    port.lost = 1
    with pytest.raises(DeviceError, match=r"gave \d+ words of results, must be \d+"):
        device.run_layer(0, case.acts)


def hang(port: FakePort, failing: bool) -> None:
    port.hang = failing


def stop(port: FakePort, failing: bool) -> None:
    port.error = Error.STRIP if failing else Error.NONE


def lose(port: FakePort, failing: bool) -> None:
    port.lost = int(failing)


def die(port: FakePort, failing: bool) -> None:
    port.dead = failing


@pytest.mark.parametrize("fail", [hang, stop, lose, die])
def test_after_a_failure_the_array_is_reset(rng, fail):
    network = linear_network(rng, TINY, [9, 8, 4])
    device, port = load(network.program)
    batch = network.batch(rng, 2)
    device.run(batch)
    fail(port, True)
    message = "fake: layer fc0: (the array is still busy|stopped|it gave|the simulator process)"
    for _ in range(2):
        with pytest.raises(DeviceError, match=message):
            device.run(batch)
        with pytest.raises(UserError, match="nothing has run"):
            device.counters()
    resets = port.resets
    fail(port, False)
    assert np.array_equal(device.run(batch), network.expected(batch))
    assert port.resets == resets + 1
    device.run(batch)
    assert port.resets == resets + 1
