"""Devices of several arrays: what they compute, what they load when, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from spec.errors import UserError
from spec.mixed import Mixed
from sw.host.compare import first_difference, run_loaded, run_on
from sw.host.device import Device, DeviceError
from sw.host.eie.driver import BusDevice as EieBusDevice
from sw.host.eie.golden import GoldenDevice as EieGoldenDevice
from sw.host.mixed import MixedDevice
from sw.host.nm.driver import BusDevice as NmBusDevice
from sw.host.nm.golden import GoldenDevice as NmGoldenDevice
from tests.spec.mixes import EIE_CONFIG, NM_CONFIG, random_mix
from tests.spec.nm.networks import linear_network
from tests.sw.host.eie.fake_port import FakePort as EieFakePort
from tests.sw.host.nm.fake_port import FakePort as NmFakePort

pytestmark = pytest.mark.unit


def golden() -> MixedDevice:
    return MixedDevice([EieGoldenDevice(EIE_CONFIG), NmGoldenDevice(NM_CONFIG)], "golden")


def fake() -> MixedDevice:
    """Both drivers on arrays in plain Python."""
    devices: list[Device] = [
        NmBusDevice(NmFakePort(NM_CONFIG), "fake"),
        EieBusDevice(EieFakePort(EIE_CONFIG), "fake"),
    ]
    return MixedDevice(devices, "fake")


@pytest.mark.parametrize(
    "kinds", ["nm eie", "eie nm", "nm eie nm", "eie nm eie", "eie eie nm", "nm nm"]
)
def test_what_it_computes(rng, kinds):
    mix = random_mix(rng, kinds)
    device = golden()
    device.load(mix.program)
    for images in (1, 4):
        batch = mix.batch(rng, images)
        outputs = device.run(batch)
        assert outputs.dtype == np.int64
        assert np.array_equal(outputs, mix.expected(batch))
    assert len(np.unique(outputs)) > 5


@pytest.mark.parametrize("kinds", ["nm eie nm", "eie nm eie"])
def test_drivers_agree_with_the_golden_models(rng, kinds):
    """Again and again, and after loading the same program once more."""
    mix = random_mix(rng, kinds)
    devices = [golden(), fake()]
    for device in devices:
        device.load(mix.program)
    for again in (False, False, True):
        batch = mix.batch(rng, 3)
        run = (lambda one, b: run_on(one, mix.program, b)) if again else run_loaded
        told, found = (run(device, batch) for device in devices)
        assert first_difference(mix.program, told, found) is None
        assert np.array_equal(found.outputs, mix.expected(batch))
        assert [len(counts) for counts in found.counts] == [1, 1, 1]


def test_counters_are_those_of_the_stages(rng):
    mix = random_mix(rng, "nm eie")
    device = golden()
    device.load(mix.program)
    with pytest.raises(UserError, match="golden: nothing has run"):
        device.counters()
    batch = mix.batch(rng, 3)
    device.run(batch)
    first, second = mix.program.stages
    alone = NmGoldenDevice(NM_CONFIG), EieGoldenDevice(EIE_CONFIG)
    vectors = mix.vectors(batch)
    for each, stage in zip(alone, (first, second), strict=True):
        each.load(stage)
    assert np.array_equal(alone[0].run(batch), vectors[1])
    assert device.counters()[0] == alone[0].counters()
    assert device.counters()[1][0].of("cycles").shape == (3,)


class Logged(NmGoldenDevice):
    """Notes what is loaded, and refuses to if it is told so."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.log: list = []
        self.refuses = False

    def load(self, image) -> None:
        if self.refuses:
            raise DeviceError("no")
        self.log.append(image)
        super().load(image)


@pytest.mark.parametrize(("kinds", "loads"), [("nm eie", [0]), ("nm eie nm", [0, 2, 0, 2])])
def test_a_stage_is_loaded_if_something_else_is_there(rng, kinds, loads):
    mix = random_mix(rng, kinds)
    nm = Logged(NM_CONFIG)
    device = MixedDevice([nm, EieGoldenDevice(EIE_CONFIG)], "golden")
    device.load(mix.program)
    batch = mix.batch(rng, 2)
    for _ in range(2):
        device.run(batch)
    assert [mix.program.stages.index(stage) for stage in nm.log] == loads
    device.load(mix.program)
    device.run(batch)
    assert [mix.program.stages.index(stage) for stage in nm.log] == loads + loads[:2]


def test_what_could_not_be_loaded_is_not_there(rng):
    mix = random_mix(rng, "nm eie nm")
    nm = Logged(NM_CONFIG)
    device = MixedDevice([nm, EieGoldenDevice(EIE_CONFIG)], "golden")
    device.load(mix.program)
    batch = mix.batch(rng, 2)
    device.run(batch)
    nm.refuses = True
    for _ in range(2):
        with pytest.raises(DeviceError):
            device.run(batch)
        with pytest.raises(UserError, match="nothing has run"):
            device.counters()
    nm.refuses = False
    assert np.array_equal(device.run(batch), mix.expected(batch))
    assert len(nm.log) == 4


def test_it_is_put_together_from_its_devices():
    device = fake()
    assert device.name == "fake"
    assert device.config == (NM_CONFIG, EIE_CONFIG)
    assert device.tools == {"fake": "1"}
    assert device.paced
    assert set(golden().tools) == {"python", "numpy"}
    gaps = NmBusDevice(NmFakePort(NM_CONFIG, offered=lambda: True), "fake")
    assert not MixedDevice([gaps, EieGoldenDevice(EIE_CONFIG)], "fake").paced


class Stubborn(NmGoldenDevice):
    def close(self) -> None:
        raise DeviceError("it does not close")


@pytest.mark.parametrize("first", [True, False])
def test_all_are_closed_even_if_one_fails(first):
    port = EieFakePort(EIE_CONFIG)
    devices: list[Device] = [Stubborn(NM_CONFIG), EieBusDevice(port, "fake")]
    with pytest.raises(DeviceError, match="it does not close"):
        MixedDevice(devices if first else devices[::-1], "fake").close()
    assert port.closed


def test_images_for_something_else_are_refused(rng):
    mix = random_mix(rng, "nm eie")
    other = random_mix(rng, "nm eie nm", nm=replace(NM_CONFIG, act_lines=40))
    device = golden()
    device.load(mix.program)
    batch = mix.batch(rng, 1)
    outputs = device.run(batch)
    with pytest.raises(UserError, match=r"stage 0: the image is .*: act_lines 40 / 32"):
        device.load(other.program)
    with pytest.raises(UserError, match="stage 2: .*: act_lines 40 / 32"):
        device.load(Mixed((*random_mix(rng, "nm eie").program.stages, other.program.stages[2])))
    only_eie = MixedDevice([EieGoldenDevice(EIE_CONFIG)], "half")
    with pytest.raises(UserError, match="stage 0: the device half is an EIE array, the image is f"):
        only_eie.load(mix.program)
    with pytest.raises(UserError, match="device golden is for images of several stages"):
        device.load(linear_network(rng, NM_CONFIG, [4, 3]).program)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="golden is an N:M array, the image is for several arrays"):
        NmGoldenDevice(NM_CONFIG).load(mix.program)  # type: ignore[arg-type]
    broken = Mixed(mix.program.stages[::-1])
    with pytest.raises(UserError, match="stage 1 takes 12 values, the one before gives 9"):
        device.load(broken)
    assert np.array_equal(device.run(batch), outputs)


def test_a_batch_that_does_not_fit_is_refused(rng):
    device = golden()
    with pytest.raises(UserError, match="golden: no image is loaded"):
        device.run(np.zeros((1, 12), int))
    device.load(random_mix(rng).program)
    with pytest.raises(UserError, match=r"must be \(images, 12\)"):
        device.run(np.zeros((1, 11), int))
    with pytest.raises(UserError, match="must stay within -128...127"):
        device.run(np.full((1, 12), 200))


def test_ticks_with_the_images_that_are_done(rng):
    mix = random_mix(rng, "nm eie nm")
    device = golden()
    device.load(mix.program)
    ticks: list[int] = []
    device.run(mix.batch(rng, 3), ticks.append)
    assert ticks == [3]
