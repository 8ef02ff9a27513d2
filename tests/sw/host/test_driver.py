"""The bus driver on a machine in plain Python: the golden model's bits and cycles, and checks."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.golden import GoldenModel
from spec.eie.iomap import Error, Memory
from spec.eie.program import Program
from sw.host.device import DeviceError
from sw.host.driver import SLACK_CYCLES, BusDevice, most_cycles
from sw.host.port import Port
from tests.programs import Case, random_acts, random_case, random_config, random_program
from tests.sw.host.fake_port import FakePort

pytestmark = pytest.mark.unit


def load(program: Program) -> tuple[BusDevice, FakePort]:
    """A device on a fresh fake port, with a program in it."""
    port = FakePort(program.config)
    device = BusDevice(port, "fake")
    device.load(program)
    return device, port


def small_case(rng: np.random.Generator) -> Case:
    config = random_config(rng, pes=2)
    program = random_program(rng, config, [9, 6, 5], density=0.4)
    return Case(program, random_acts(rng, config, 2, 9, density=0.7))


def two_segments(rng: np.random.Generator) -> Case:
    config = random_config(rng, pes=2, codebooks=2)
    program = random_program(rng, config, [9, 6, 5], density=0.4, segments=True)
    return Case(program, random_acts(rng, config, 2, 9, density=0.7))


def test_the_fake_is_a_port():
    assert isinstance(FakePort(preset("tiny")), Port)


def test_agrees_with_the_golden_model(rng):
    for _ in range(30):
        case = random_case(rng, images=2, largest=24)
        outputs, counts = GoldenModel(case.program).run(case.batch)
        device, _ = load(case.program)
        assert np.array_equal(device.run(case.batch), outputs), case.config
        for found, expected in zip(device.counters(), counts, strict=True):
            assert np.array_equal(found.array, expected.array), case.config
            assert np.array_equal(found.pe, expected.pe), case.config


def test_loads_one_segment_once(rng):
    case = small_case(rng)
    device, port = load(case.program)
    device.run(case.batch)
    once = port.written[Memory.LINES]
    assert once == case.program.segments[0].lines.size > 0
    assert port.written[Memory.CONTROL] == 1
    device.run(case.batch)
    assert port.written[Memory.LINES] == once
    assert port.resets == 1


def test_loads_each_of_several_segments_for_every_image(rng):
    case = two_segments(rng)
    device, port = load(case.program)
    device.run(case.batch)
    assert port.written[Memory.CONTROL] == len(case.program.segments) * len(case.batch)


def test_every_element_gets_the_same_codebooks(rng):
    case = small_case(rng)
    device, port = load(case.program)
    device.run(case.batch)
    books = case.program.segments[0].codebooks
    assert port.written[Memory.CODEBOOK] == books.size * case.config.pes


def test_a_new_image_is_loaded_afresh(rng):
    case, other = small_case(rng), small_case(rng)
    other = Case(replace(other.program, config=case.config), other.batch)
    device, port = load(case.program)
    device.run(case.batch)
    device.load(case.program)
    device.run(case.batch)
    assert port.resets == port.written[Memory.CONTROL] == 2


@pytest.mark.parametrize("error", [Error.COLUMN, Error.ROW, Error.POINTER])
def test_an_error_code_is_told_by_name(rng, error):
    case = small_case(rng)
    device, port = load(case.program)
    port.error = error
    with pytest.raises(DeviceError, match=f"{error.name}: {error.meaning}"):
        device.run(case.batch)


def test_an_unknown_error_code_is_told_too(rng):
    case = small_case(rng)
    device, port = load(case.program)
    port.error = 14  # type: ignore[assignment]
    with pytest.raises(DeviceError, match="error 14, which the driver does not know"):
        device.run(case.batch)


def test_after_a_failure_everything_is_loaded_again(rng):
    case = small_case(rng)
    device, port = load(case.program)
    expected = device.run(case.batch)
    port.hang = True
    with pytest.raises(DeviceError, match="fake: the array is still busy after"):
        device.run(case.batch)
    with pytest.raises(ValueError, match="nothing has run"):
        device.counters()
    port.hang = False
    assert np.array_equal(device.run(case.batch), expected)
    assert port.resets == port.written[Memory.CONTROL] == 2


@pytest.mark.parametrize("lie", [-1, 1])
def test_counters_that_lie_are_found_out(rng, lie):
    case = small_case(rng)
    device, port = load(case.program)
    port.lie = lie
    with pytest.raises(DeviceError, match="its own counters say"):
        device.run(case.batch)


def test_counters_that_overflowed_are_told(rng):
    case = small_case(rng)
    device, port = load(case.program)
    port.lie = 1 << case.config.counter_bits
    with pytest.raises(DeviceError, match="overflowed counters of 32 bits"):
        device.run(case.batch)


def test_the_limit_is_above_every_run_and_not_absurd(rng):
    """The fake port asserts the first half in every run of this file."""
    case = small_case(rng)
    device, port = load(case.program)
    device.run(case.batch)
    at = ARRAY_COUNTERS.index("cycles")
    cycles = np.sum([one.array[:, at] for one in device.counters()], axis=0)
    limit = most_cycles(case.config, case.program.segments[0])
    assert set(port.limits) == {limit}
    assert cycles.max() < limit - SLACK_CYCLES < 100 * cycles.max()


def test_ticks_once_per_image(rng):
    case = small_case(rng)
    device, _ = load(case.program)
    ticks: list[int] = []
    device.run(case.batch, ticks.append)
    assert ticks == [1] * len(case.batch)


def test_close_closes_the_port(rng):
    device, port = load(small_case(rng).program)
    device.close()
    assert port.closed


def test_an_empty_batch(rng):
    case = small_case(rng)
    device, _ = load(case.program)
    assert device.run(case.batch[:0]).shape == (0, case.program.outputs)
    assert all(one.pe.shape[0] == 0 for one in device.counters())
