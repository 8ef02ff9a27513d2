"""Devices by name: the golden model and every executor."""

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, overload

from sim.waves import WAVES
from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.image import Program
from spec.mixed import Mixed
from spec.nm.config import NmConfig
from sw.host.device import Config, Device
from sw.host.eie.driver import BusDevice as EieBusDevice
from sw.host.eie.golden import GoldenDevice as EieGoldenDevice
from sw.host.mixed import MixedDevice
from sw.host.nm.device import NmDevice
from sw.host.nm.driver import BusDevice as NmBusDevice
from sw.host.nm.golden import GoldenDevice as NmGoldenDevice


class Kind(NamedTuple):
    """An engine's devices: the golden model; the driver; and the executors' ports, module and
    class, imported when asked for: golden needs no simulator."""

    golden: Callable[[Any], Device]
    driver: Callable[[Any, str], Device]
    ports: dict[str, tuple[str, str]]


KINDS: dict[type, Kind] = {
    EieConfig: Kind(
        EieGoldenDevice,
        EieBusDevice,
        {
            "pysim": ("sim.eie.pysim", "PysimPort"),
            "verilator": ("sim.eie.native", "NativePort"),
            "cocotb": ("sim.eie.cocotb_port", "CocotbPort"),
        },
    ),
    NmConfig: Kind(
        NmGoldenDevice,
        NmBusDevice,
        {
            "pysim": ("sim.nm.pysim", "PysimPort"),
            "verilator": ("sim.nm.native", "NativePort"),
            "cocotb": ("sim.nm.cocotb_port", "CocotbPort"),
        },
    ),
}
"""The devices for a type of configuration."""

EXECUTORS = tuple(KINDS[EieConfig].ports)
"""What simulates the hardware, of either engine."""

DEVICES = ("golden", *EXECUTORS)


def check_name(name: str) -> None:
    """Refuse a name that no device has."""
    if name not in DEVICES:
        raise UserError(f"there is no device {name!r}; there are {', '.join(DEVICES)}")


def open_for(name: str, program: Program, **options: object) -> Device:
    """Open a device that runs a program, of one engine or of both; see :func:`open_device`.

    Of several arrays, each has its waveforms in a folder of its own, named after its engine and
    configuration.
    """
    if not isinstance(program, Mixed):
        return open_device(name, program.config, **options)
    configs = {stage.config.digest: stage.config for stage in program.stages}
    with ExitStack() as opened:
        devices = []
        for config in configs.values():
            devices.append(open_device(name, config, **options | _own_waves(config, options)))
            opened.callback(devices[-1].close)
        opened.pop_all()  # all are open: they are closed together, by whoever asked
        return MixedDevice(devices, name)


def _own_waves(config: Config, options: dict[str, object]) -> dict[str, object]:
    """The option ``waves`` for one of several arrays, if it is asked for."""
    waves = options.get("waves")
    if not waves:
        return {}
    folder = WAVES if waves is True else Path(str(waves))
    return {"waves": folder / f"{config.engine}-{config.digest}"}


@overload
def open_device(name: str, config: NmConfig, **options: object) -> NmDevice: ...


@overload
def open_device(name: str, config: Config, **options: object) -> Device: ...


def open_device(name: str, config: Config, **options: object) -> Device:
    """Open a device, which may take building a simulator.

    Parameters
    ----------
    name : str
        One of :data:`DEVICES`.
    config : EieConfig or NmConfig
    options
        Passed on to the executor's port, such as ``waves``; those that are None are left out.

    Raises
    ------
    UserError
        If there is no such device, it has no such option, or a tool that it needs is missing.
    """
    check_name(name)
    kind = KINDS[type(config)]
    options = {key: value for key, value in options.items() if value is not None}
    if name == "golden":
        if options:
            raise UserError(f"the device golden has no option {', '.join(options)}")
        return kind.golden(config)
    module, port = kind.ports[name]
    try:
        make = getattr(importlib.import_module(module), port)
    except ModuleNotFoundError as error:
        raise UserError(
            f"the device {name} needs the Python package {error.name}, which is not installed; "
            "python -m sim.doctor says how to get it"
        ) from None
    return kind.driver(make(config, **options), name)
