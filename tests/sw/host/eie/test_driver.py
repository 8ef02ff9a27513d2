"""The bus driver on a machine in plain Python: the golden model's bits and cycles, and checks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.golden import GoldenModel
from spec.eie.iomap import Error, Memory
from spec.eie.lstm import LstmCell
from spec.eie.program import Program
from sw.host.compare import first_difference, run_loaded
from sw.host.device import BaseDevice, DeviceError
from sw.host.eie.driver import SLACK_CYCLES, BusDevice, most_cycles
from sw.host.eie.golden import GoldenDevice
from sw.host.eie.port import Port
from tests.programs import Case, random_acts, random_case, random_config, random_program
from tests.sw.host.eie.fake_port import FakePort

pytestmark = pytest.mark.unit


def load(program: Program) -> tuple[BusDevice, FakePort]:
    """A device on a fresh fake port, with a program in it."""
    port = FakePort(program.config)
    device = BusDevice(port, "fake")
    device.load(program)
    return device, port


def assert_same(program: Program, devices: list[BaseDevice], batch: np.ndarray) -> None:
    """Both devices give the same outputs and all the same counters for a batch."""
    one, other = (run_loaded(device, batch) for device in devices)
    assert first_difference(program, one, other) is None, program.config


def small_case(rng: np.random.Generator, **fixed: int | bool) -> Case:
    config = random_config(rng, pes=2, **fixed)
    program = random_program(rng, config, [9, 6, 5], density=0.4)
    return Case(program, random_acts(rng, config, 2, 9, density=0.7))


def in_segments(
    rng: np.random.Generator, *, images: int = 3, runs: int = 1, **fixed: int | bool
) -> Case:
    """Two layers in four passes, each a run of its own, in several segments that fit together."""
    fixed = {"pes": 2, "codebooks": 4, "double_buffer": True} | fixed
    config = random_config(rng, **fixed)
    program = random_program(
        rng, config, [9, 6, 5], density=0.4, tiles=(1, 2), segments=True, runs=runs
    )
    return Case(program, random_acts(rng, config, images, 9, density=0.7))


def test_the_fake_is_a_port():
    assert isinstance(FakePort(preset("tiny")), Port)


def test_agrees_with_the_golden_model(rng):
    for _ in range(30):
        case = random_case(rng, images=3, largest=24)
        device, _ = load(case.program)
        golden = GoldenDevice(case.config)
        golden.load(case.program)
        assert_same(case.program, [golden, device], case.batch)


@pytest.mark.parametrize("double_buffer", [False, True])
@pytest.mark.parametrize("runs", [1, 2, 3])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_segments_agree_over_several_calls(rng, lanes, runs, double_buffer):
    """Also for numbers of images that leave lanes empty."""
    case = in_segments(rng, images=5, runs=runs, lanes=lanes, double_buffer=double_buffer)
    device, port = load(case.program)
    golden = GoldenDevice(case.config)
    golden.load(case.program)
    assert len(case.program.segments) > 1
    for images in (5, 1, 0, 3):
        assert_same(case.program, [golden, device], case.batch[:images])
    assert bool(sum(port.ahead)) == double_buffer


@pytest.mark.parametrize("every_step", [False, True])
@pytest.mark.parametrize("segments", [False, True])
def test_an_lstm_agrees_over_several_calls(rng, segments, every_step):
    """Three states behind five inputs, which take three rows of the two PEs."""
    config = random_config(rng, pes=2, act_bits=12, lanes=2, codebooks=4, double_buffer=True)
    gates = random_program(
        rng, config, [9, 12], density=0.5, relu=False, tiles=(2, 2), segments=segments
    )
    cell = LstmCell(hidden=3, act_bits=12, gate_fraction_bits=8, cell_fraction_bits=9)
    layer = replace(gates.layers[0], inputs=5, cell=cell)
    program = replace(gates, layers=(layer,), per_step=1, every_step=every_step)
    device, port = load(program)
    golden = GoldenDevice(config)
    golden.load(program)
    for images, steps in ((3, 4), (1, 1), (0, 2), (2, 3)):
        batch = random_acts(rng, config, images * steps, 5, density=0.7)
        assert_same(program, [golden, device], batch.reshape(images, steps, 5))
        for counts in device.counters():
            assert len(counts.array) == -(-images // 2) * steps
    assert bool(sum(port.ahead)) == segments


def test_outputs_are_put_in_place(rng):
    config = random_config(rng, lanes=2)
    program = random_program(rng, config, [9, 6, 5], density=0.8, orders=True)
    batch = random_acts(rng, config, 3, 9, density=0.9)
    device, _ = load(program)
    assert np.array_equal(device.run(batch), GoldenModel(program).run(batch)[0])
    assert not np.array_equal(program.order(1), np.arange(5))


# What is loaded when ---------------------------------------------------------------------------


def test_loads_one_segment_once(rng):
    case = small_case(rng)
    device, port = load(case.program)
    device.run(case.batch)
    once = port.written[Memory.LINES]
    assert once == case.program.segments[0].lines.size > 0
    device.run(case.batch)
    assert port.written[Memory.LINES] == once
    assert port.resets == 1


@pytest.mark.parametrize("lanes", [1, 2])
def test_arms_once_for_every_run(rng, lanes):
    case = in_segments(rng, runs=3, lanes=lanes)
    device, port = load(case.program)
    device.run(case.batch)
    times = -(-len(case.batch) // lanes)
    assert port.written[Memory.CONTROL] == len(list(case.program.runs())) * times


def test_what_fits_beside_a_segment_is_written_behind_it(rng):
    case = in_segments(rng, runs=2, lanes=1)
    device, port = load(case.program)
    device.run(case.batch)
    # Before the first run of a segment there is another one, and after the last of all none.
    runs = len(list(case.program.runs())) * len(case.batch)
    assert len(port.ahead) == runs == 12
    assert [bool(words) for words in port.ahead] == [False, True] * 5 + [False, False]


def test_every_element_gets_the_same_codebooks(rng):
    case = small_case(rng)
    device, port = load(case.program)
    device.run(case.batch)
    books = case.program.segments[0].codebooks
    assert port.written[Memory.CODEBOOK] == books.size * case.config.pes


def forget_by_loading(device: BaseDevice, case: Case) -> None:
    device.load(case.program)


def forget_by_failing(device: BaseDevice, case: Case) -> None:
    def fail(images: int) -> None:
        raise KeyError(images)

    with pytest.raises(KeyError):
        device.run(case.batch, fail)


def forget_nothing(device: BaseDevice, case: Case) -> None:
    with pytest.raises(ValueError, match="must be"):
        device.run(case.batch[:, :-1])
    with pytest.raises(ValueError, match="differ in"):
        device.load(replace(case.program, config=preset("tiny", pes=1, clusters=1)))


@pytest.mark.parametrize(
    ("forget", "forgets"),
    [(forget_by_loading, True), (forget_by_failing, True), (forget_nothing, False)],
)
def test_both_devices_forget_what_is_loaded_alike(rng, forget, forgets):
    case = small_case(rng)
    device, port = load(case.program)
    golden = GoldenDevice(case.config)
    golden.load(case.program)
    for each in (golden, device):
        each.run(case.batch)
        forget(each, case)
    before = port.written[Memory.LINES]
    assert_same(case.program, [golden, device], case.batch)
    assert (port.written[Memory.LINES] > before) == forgets


# Failures --------------------------------------------------------------------------------------


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


def hang(port: FakePort) -> None:
    port.hang = True


def stop(port: FakePort) -> None:
    port.error = Error.ROW


@pytest.mark.parametrize("fail", [hang, stop])
@pytest.mark.parametrize("make", [small_case, in_segments])
def test_after_a_failure_everything_is_loaded_again(
    rng, make: Callable[[np.random.Generator], Case], fail: Callable[[FakePort], None]
):
    case = make(rng)
    device, port = load(case.program)
    device.run(case.batch)
    fail(port)
    with pytest.raises(DeviceError, match="fake: the array is still busy after|ROW"):
        device.run(case.batch)
    with pytest.raises(ValueError, match="nothing has run"):
        device.counters()
    port.hang, port.error = False, Error.NONE
    golden = GoldenDevice(case.config)
    golden.load(case.program)
    assert_same(case.program, [golden, device], case.batch)
    assert port.resets == 2


@pytest.mark.parametrize("counter", ["cycles", "loads"])
@pytest.mark.parametrize("lie", [-1, 1])
def test_counters_that_lie_are_found_out(rng, counter, lie):
    case = small_case(rng)
    device, port = load(case.program)
    port.lies[counter] = lie
    with pytest.raises(DeviceError, match="its own counters say"):
        device.run(case.batch)


def test_counters_that_overflowed_are_told(rng):
    case = small_case(rng)
    device, port = load(case.program)
    port.lies["cycles"] = 1 << case.config.counter_bits
    with pytest.raises(DeviceError, match="which overflowed counters of 32 bits"):
        device.run(case.batch)


def test_more_words_than_a_counter_holds_are_told(rng):
    config: EieConfig = random_config(rng, pes=4, counter_bits=8)
    program = random_program(rng, config, [40, 4], density=0.5)
    device, port = load(program)
    port.lies["loads"] = -256
    with pytest.raises(DeviceError, match=r"loaded with \d+ words, which overflowed"):
        device.run(random_acts(rng, config, 1, 40))


def test_the_limit_is_above_every_run_and_not_absurd(rng):
    """The fake port asserts the first half in every run of this file."""
    case = small_case(rng)
    device, port = load(case.program)
    device.run(case.batch)
    cycles = np.sum([one.of("cycles") for one in device.counters()], axis=0)
    ((segment, run),) = case.program.runs()
    limit = most_cycles(case.config, segment, run)
    assert set(port.limits) == {limit}
    assert cycles.max() < limit - SLACK_CYCLES < 100 * cycles.max()


@pytest.mark.parametrize(("lanes", "wanted"), [(1, [1, 1]), (2, [2]), (4, [2])])
def test_ticks_with_the_images_that_are_done(rng, lanes, wanted):
    case = small_case(rng, lanes=lanes)
    device, _ = load(case.program)
    ticks: list[int] = []
    device.run(case.batch, ticks.append)
    assert ticks == wanted


def test_close_closes_the_port(rng):
    device, port = load(small_case(rng).program)
    device.close()
    assert port.closed


def test_an_empty_batch(rng):
    case = small_case(rng)
    device, _ = load(case.program)
    assert device.run(case.batch[:0]).shape == (0, case.program.outputs)
    assert all(one.pe.shape[0] == 0 for one in device.counters())
