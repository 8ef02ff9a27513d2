"""A shell behind a link as a device, of one engine or of both."""

from spec.config import Config
from spec.image import Program
from spec.mixed import Mixed
from spec.registers.table import EIE
from sw.host.device import Device
from sw.host.eie.driver import BusDevice as EieBusDevice
from sw.host.mixed import MixedDevice
from sw.host.nm.driver import BusDevice as NmBusDevice
from sw.host.shell.client import Shell
from sw.host.shell.eie import EiePort
from sw.host.shell.link import Link
from sw.host.shell.nm import NmPort


def configs_of(program: Program) -> list[Config]:
    """The configurations that a program needs arrays of, each once."""
    if not isinstance(program, Mixed):
        return [program.config]
    return list({stage.config.digest: stage.config for stage in program.stages}.values())


def open_device(link: Link, program: Program, name: str) -> Device:
    """The device that runs a program; whoever refuses closes nothing.

    Raises
    ------
    UserError
        The arrays there are not those that the program was compiled for.
    PortError
        Nothing of ours answers.
    """
    configs = configs_of(program)
    shell = Shell(link, configs)
    shell.reset()
    devices = [
        EieBusDevice(EiePort(shell), name)
        if one.engine == EIE
        else NmBusDevice(NmPort(shell), name)
        for one in configs
    ]
    return MixedDevice(devices, name) if isinstance(program, Mixed) else devices[0]
