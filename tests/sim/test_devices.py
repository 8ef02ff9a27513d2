"""Devices by name."""

import sys

import pytest

from sim.devices import DEVICES, PORTS, open_device
from spec.eie.config import preset
from spec.errors import UserError
from sw.host.eie.golden import GoldenDevice

pytestmark = pytest.mark.unit


def test_golden_needs_no_simulator(monkeypatch):
    for module, _ in PORTS.values():
        monkeypatch.setitem(sys.modules, module, None)
    device = open_device("golden", preset("tiny"), waves=None)
    assert isinstance(device, GoldenDevice)
    assert device.name == "golden"


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match=f"no device 'fpga'; there are {', '.join(DEVICES)}"):
        open_device("fpga", preset("tiny"))


def test_golden_has_no_options():
    with pytest.raises(UserError, match="the device golden has no option waves"):
        open_device("golden", preset("tiny"), waves=True)


@pytest.mark.parametrize("name", PORTS)
def test_a_missing_package_is_told(name, monkeypatch):
    monkeypatch.setitem(sys.modules, PORTS[name][0], None)
    with pytest.raises(UserError, match=f"the device {name} needs the Python package"):
        open_device(name, preset("tiny"))
