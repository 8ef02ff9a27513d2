"""What is emitted as a whole: the shells around arrays, and the links that they have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.lib import wiring

from hw.shell.shell import Shell
from hw.shell.uart_shell import uart_shell
from spec.errors import UserError


@dataclass(frozen=True)
class Link:
    """A shell with a link to its host.

    Attributes
    ----------
    make : callable
        The component, from the configurations of its arrays and then its settings.
    top : str
        Its Verilog module.
    title : str
        What people call it.
    axi : bool
        Its ports are AXI buses, which Vivado finds by their names.
    settings : mapping
        What it has to be told, by the name of an option, and what that means.
    """

    make: Callable[..., wiring.Component]
    top: str
    title: str
    axi: bool
    settings: Mapping[str, str]


RATES = {"clock": "Hz of the clock", "baud": "bits in a second on the line"}

LINKS = {
    "axi": Link(Shell, "skipstone_axi", "AXI shell", axi=True, settings={}),
    "uart": Link(uart_shell, "skipstone_uart", "UART shell", axi=False, settings=RATES),
}
"""By the name that the option ``--shell`` takes."""


def find_link(name: str, settings: Mapping[str, Any]) -> Link:
    """The link of that name.

    Raises
    ------
    UserError
        There is none, or it takes other settings than those that are given.
    """
    if name not in LINKS:
        raise UserError(f"shell {name!r} does not exist; there are {', '.join(LINKS)}")
    wanted = LINKS[name].settings
    for setting, text in wanted.items():
        if setting not in settings:
            raise UserError(f"--shell {name} needs --{setting}, the {text}")
    for setting in settings:
        if setting not in wanted:
            owners = [link for link, one in LINKS.items() if setting in one.settings]
            raise UserError(f"--{setting} is for --shell {' or '.join(owners)}, not for {name}")
    return LINKS[name]
