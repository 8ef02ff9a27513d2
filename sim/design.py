"""What the executors of an engine simulate."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

Factory = Callable[[Any], wiring.Component]
"""Makes an array from its configuration, or anything else with its ports."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """An engine's array, and what is its own in the executors.

    Attributes
    ----------
    component : callable
        Makes the array.
    top : str
        The Verilog module that it is emitted as.
    shared : tuple of str
        Modules with many instances, to be compiled once for all; see :class:`sim.recipe.Recipe`.
    harness : Path
        Its native harness.
    server : str
        The module with its cocotb test, by the dotted name.
    patience : callable
        Cycles that a handshake may take, from the configuration.
    """

    component: Factory
    top: str
    shared: tuple[str, ...]
    harness: Path
    server: str
    patience: Callable[[Any], int]
