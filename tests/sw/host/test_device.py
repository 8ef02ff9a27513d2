"""What every device refuses, tried on the golden one."""

import numpy as np
import pytest

from spec.eie.config import preset
from spec.errors import UserError
from sw.host.device import check_config
from sw.host.eie.golden import GoldenDevice
from tests.programs import dense_reference, random_acts, random_program

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    return random_program(rng, preset("tiny"), [20, 12, 7], density=0.3)


@pytest.fixture
def device(program):
    device = GoldenDevice(program.config)
    device.load(program)
    return device


def test_runs_a_batch(rng, device, program):
    batch = random_acts(rng, program.config, 4, 20)
    outputs = device.run(batch)
    assert outputs.dtype == np.int64
    assert np.array_equal(outputs, dense_reference(program, batch))
    assert [one.pe.shape[:2] for one in device.counters()] == [(4, 4), (4, 4)]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8, np.int64])
def test_takes_any_integers(device, dtype):
    assert device.run(np.ones((2, 20), dtype)).shape == (2, 7)


def test_an_image_for_another_configuration_is_refused(program):
    device = GoldenDevice(preset("tiny", queue_depth=9, scan_ahead=False))
    with pytest.raises(UserError) as refusal:
        device.load(program)
    text = str(refusal.value)
    assert program.config.digest in text
    assert device.config.digest in text
    assert "queue_depth 4 / 9, scan_ahead True / False" in text


def test_a_configuration_fits_itself():
    check_config("any", preset("tiny"), preset("tiny"))


def test_a_refused_image_leaves_the_one_before(device, program):
    with pytest.raises(UserError):
        device.load(random_program(np.random.default_rng(0), preset("tiny", pes=2), [4, 4]))
    assert device.run(np.ones((1, 20), int)).shape == (1, program.outputs)


def test_running_without_an_image_is_refused():
    with pytest.raises(UserError, match="golden: no image is loaded"):
        GoldenDevice(preset("tiny")).run(np.zeros((1, 4), int))


def test_counters_before_a_run_are_refused(device, program):
    with pytest.raises(UserError, match="golden: nothing has run"):
        device.counters()
    device.run(np.zeros((1, 20), int))
    device.load(program)
    with pytest.raises(UserError, match="golden: nothing has run"):
        device.counters()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 19), int), r"shape \(2, 19\), must be \(images, 20\)"),
        (np.zeros(20, int), r"shape \(20,\), must be \(images, 20\)"),
        (np.zeros((2, 20)), "takes integers, the input is float64"),
        (np.full((1, 20), 1 << 15), r"reaches 32768...32768, must stay within -32768...32767"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(device, batch, message):
    with pytest.raises(UserError, match=message):
        device.run(batch)


def test_an_image_is_decoded_once(device, program, monkeypatch):
    monkeypatch.setattr("spec.eie.golden.decode_pass", None)
    device.run(np.zeros((1, 20), int))
    device.load(program)
    device.run(np.zeros((1, 20), int))


def test_closing_is_always_possible(device):
    device.close()
    device.close()


def test_names_its_tools(device):
    assert device.tools["numpy"] == np.__version__
