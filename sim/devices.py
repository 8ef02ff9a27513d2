"""Devices by name: the golden model and every executor."""

import importlib

from spec.eie.config import EieConfig
from spec.errors import UserError
from sw.host.device import Device
from sw.host.eie.driver import BusDevice
from sw.host.eie.golden import GoldenDevice

PORTS = {
    "pysim": ("sim.eie.pysim", "PysimPort"),
    "verilator": ("sim.eie.native", "NativePort"),
    "cocotb": ("sim.eie.cocotb_port", "CocotbPort"),
}
"""Module and class of each executor, imported when asked for: golden needs no simulator."""

DEVICES = ("golden", *PORTS)


def check_name(name: str) -> None:
    """Refuse a name that no device has."""
    if name not in DEVICES:
        raise UserError(f"there is no device {name!r}; there are {', '.join(DEVICES)}")


def open_device(name: str, config: EieConfig, **options: object) -> Device:
    """Open a device, which may take building a simulator.

    Parameters
    ----------
    name : str
        One of :data:`DEVICES`.
    options
        Passed on to the executor's port, such as ``waves``; those that are None are left out.

    Raises
    ------
    UserError
        If there is no such device, it has no such option, or a tool that it needs is missing.
    """
    check_name(name)
    options = {key: value for key, value in options.items() if value is not None}
    if name == "golden":
        if options:
            raise UserError(f"the device golden has no option {', '.join(options)}")
        return GoldenDevice(config)
    module, port = PORTS[name]
    try:
        make = getattr(importlib.import_module(module), port)
    except ModuleNotFoundError as error:
        raise UserError(
            f"the device {name} needs the Python package {error.name}, which is not installed; "
            "python -m sim.doctor says how to get it"
        ) from None
    return BusDevice(make(config, **options), name)
