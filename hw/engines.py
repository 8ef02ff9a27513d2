"""What is emitted by itself: the array of each engine, and units of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.lib import wiring

from hw.eie.array import EieArray
from hw.eie.registered_pe import processing_element
from hw.nm.engine import NmArray
from hw.nm.mac import Mac
from spec.config import Config
from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm.config import NmConfig

ARRAY = "array"
"""The unit that is a whole engine."""


@dataclass(frozen=True)
class Unit:
    """A component that is emitted by itself.

    Attributes
    ----------
    make : callable
        The component, from a configuration.
    top : str
        Its Verilog module.
    title : str
        What people call it.
    """

    make: Callable[[Any], wiring.Component]
    top: str
    title: str


UNITS: dict[str, dict[str, Unit]] = {
    EieConfig.engine: {
        ARRAY: Unit(EieArray, "eie_array", "EIE array"),
        "pe": Unit(processing_element, "eie_pe", "EIE processing element"),
    },
    NmConfig.engine: {
        ARRAY: Unit(NmArray, "nm_array", "N:M array"),
        "mac": Unit(Mac, "nm_mac", "N:M MAC unit"),
    },
}
"""By engine, and by the name that the option ``--unit`` takes."""


def find_unit(config: Config, name: str) -> Unit:
    """The unit ``name`` of the engine of ``config``; :class:`UserError` if it has none."""
    units = UNITS[config.engine]
    if name not in units:
        raise UserError(
            f"unit {name!r} of the engine {config.engine} cannot be emitted by itself; "
            f"there are {', '.join(units)}"
        )
    return units[name]
