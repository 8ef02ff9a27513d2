"""Devices by name."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sim import devices
from sim.devices import DEVICES, EXECUTORS, KINDS, Kind, open_device, open_for
from sim.waves import WAVES
from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.mixed import Mixed
from spec.nm.config import preset as nm_preset
from sw.host.device import DeviceError
from sw.host.eie.golden import GoldenDevice as EieGoldenDevice
from sw.host.mixed import MixedDevice
from sw.host.nm.golden import GoldenDevice as NmGoldenDevice
from tests.spec.mixes import EIE_CONFIG, NM_CONFIG, random_mix
from tests.spec.nm.networks import linear_network

pytestmark = pytest.mark.unit

CONFIGS = {"eie": eie_preset("tiny"), "nm": nm_preset("tiny")}

each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
each_port = pytest.mark.parametrize(
    ("config", "name"), [(config, name) for config in CONFIGS.values() for name in EXECUTORS]
)


def test_every_engine_has_every_executor():
    assert DEVICES == ("golden", "pysim", "verilator", "cocotb")
    assert {type(config) for config in CONFIGS.values()} == set(KINDS)
    for kind in KINDS.values():
        assert tuple(kind.ports) == EXECUTORS


@pytest.mark.parametrize(("engine", "kind"), [("eie", EieGoldenDevice), ("nm", NmGoldenDevice)])
def test_golden_needs_no_simulator(monkeypatch, engine, kind):
    for other in KINDS.values():
        for module, _ in other.ports.values():
            monkeypatch.setitem(sys.modules, module, None)
    device = open_device("golden", CONFIGS[engine], waves=None)
    assert type(device) is kind
    assert device.name == "golden"
    assert device.config == CONFIGS[engine]


@each_config
def test_an_unknown_name_is_refused(config):
    with pytest.raises(UserError, match=f"no device 'fpga'; there are {', '.join(DEVICES)}"):
        open_device("fpga", config)


@each_config
def test_golden_has_no_options(config):
    with pytest.raises(UserError, match="the device golden has no option waves"):
        open_device("golden", config, waves=True)


@each_port
def test_a_missing_package_is_told(config, name, monkeypatch):
    monkeypatch.setitem(sys.modules, KINDS[type(config)].ports[name][0], None)
    with pytest.raises(UserError, match=f"the device {name} needs the Python package"):
        open_device(name, config)


class Port:
    """A port that was opened, with its options."""

    paced = True

    def __init__(self, config, **options):
        self.config, self.options, self.tools = config, options, {"port": "1"}


def swap_port(monkeypatch, kind: Kind, name: str) -> str:
    """Let an executor be opened without a simulator; its module's name."""
    module, port = kind.ports[name]
    fake = ModuleType(module)
    setattr(fake, port, Port)
    monkeypatch.setitem(sys.modules, module, fake)
    return module


@each_port
def test_an_executor_is_the_engines_own(config, name, monkeypatch):
    """Its port is opened with the options that were given, behind the engine's driver."""
    kind = KINDS[type(config)]
    module = swap_port(monkeypatch, kind, name)
    device = open_device(name, config, ragged=5, waves=None)
    assert type(device) is kind.driver
    assert device.name == name
    assert device.config == config
    assert device.port.options == {"ragged": 5}  # type: ignore[attr-defined]
    engine = type(config).__module__.split(".")[1]
    assert module.startswith(f"sim.{engine}.")


def test_a_device_for_a_program_of_one_engine(rng):
    nm = linear_network(rng, NM_CONFIG, [4, 3]).program
    assert isinstance(open_for("golden", nm), NmGoldenDevice)
    (eie,) = random_mix(rng, "eie", [4, 3]).program.stages
    assert isinstance(open_for("golden", eie), EieGoldenDevice)


def test_a_device_for_several_engines_has_each_configuration_once(rng):
    mix = random_mix(rng, "nm eie nm")
    device = open_for("golden", mix.program)
    assert isinstance(device, MixedDevice)
    assert device.config == (NM_CONFIG, EIE_CONFIG)
    assert device.name == "golden"
    device.load(mix.program)
    batch = mix.batch(rng, 3)
    assert np.array_equal(device.run(batch), mix.expected(batch))
    other = linear_network(rng, replace(NM_CONFIG, act_lines=40), [7, 5])
    program = Mixed((*mix.program.stages, other.program))
    assert len(open_for("golden", program).config) == 3


def test_what_was_opened_is_closed_if_another_cannot_be(rng, monkeypatch):
    closed = []

    class First(NmGoldenDevice):
        def close(self) -> None:
            closed.append(self.config)

    def second(config):
        raise DeviceError("it cannot be opened")

    kinds = {
        kind: entry._replace(golden=First if entry.golden is NmGoldenDevice else second)
        for kind, entry in KINDS.items()
    }
    monkeypatch.setattr(devices, "KINDS", kinds)
    with pytest.raises(DeviceError, match="it cannot be opened"):
        open_for("golden", random_mix(rng, "nm eie").program)
    assert closed == [NM_CONFIG]


def test_options_of_a_device_for_several_engines(rng):
    with pytest.raises(UserError, match="golden has no option waves"):
        open_for("golden", random_mix(rng, "nm eie").program, waves=True)


@pytest.mark.parametrize(("waves", "folder"), [(True, WAVES), (Path("here"), Path("here"))])
def test_several_arrays_record_their_waves_apart(rng, monkeypatch, waves, folder):
    for kind in KINDS.values():
        swap_port(monkeypatch, kind, "pysim")
    program = random_mix(rng, "nm eie").program
    device = open_for("pysim", program, waves=waves, ragged=3)
    assert isinstance(device, MixedDevice)
    options = [one.port.options for one in device.devices.values()]  # type: ignore[attr-defined]
    names = [f"nm-{NM_CONFIG.digest}", f"eie-{EIE_CONFIG.digest}"]
    assert options == [{"waves": folder / name, "ragged": 3} for name in names]
    alone = open_for("pysim", program.stages[0], waves=waves)
    assert alone.port.options == {"waves": waves}  # type: ignore[attr-defined]
    for none in (None, False):
        device = open_for("pysim", program, waves=none)
        assert isinstance(device, MixedDevice)
        for one in device.devices.values():
            assert not one.port.options.get("waves")  # type: ignore[attr-defined]
