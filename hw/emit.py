"""From components to Verilog: every kind of module once, as text."""

import gc
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from amaranth import Elaboratable, EnableInserter, Module, ResetInserter, Signal
from amaranth.lib import wiring

from hw.platform import EmitPlatform, Hold, flatten
from hw.verilog.aliases import Aliases
from hw.verilog.names import Names
from hw.verilog.naming import CLOCK, RESET, Child, part_of_unit
from hw.verilog.netlist import Netlist
from hw.verilog.rtlil import Module as RtlilModule
from hw.verilog.simplify import Simplifier
from hw.verilog.trim import trim
from hw.verilog.writer import Writer


class Placed(Elaboratable):
    """A component at its place: itself in simulation, an instance of one shared module in Verilog.

    The ports are those of the component, by the same names; they are the very same signals, so a
    placed component costs nothing in simulation.

    Parameters
    ----------
    component : wiring.Component
        What is placed. Any number of equal components may be placed under one module name.
    module_name : str
        Name of the Verilog module.
    hold : Hold, optional
        What resets it, instead of the reset of all, and what lets it move, both a cycle ahead.
    """

    def __init__(self, component: wiring.Component, module_name: str, hold: Hold | None = None):
        self.component = component
        self.module_name = module_name
        self.hold = hold
        self.signature = component.signature
        for name in component.signature.members:
            if hasattr(self, name):
                raise NameError(f"{module_name}: a placed component cannot have a port {name!r}")
            setattr(self, name, getattr(component, name))

    def elaborate(self, platform):
        if isinstance(platform, EmitPlatform):
            return platform.instance(self.component, self.module_name, self.hold)
        if self.hold is None:
            return self.component
        m = Module()
        restart, moves = Signal(reset_less=True), Signal(init=1, reset_less=True)
        m.d.sync += [restart.eq(self.hold.restart), moves.eq(self.hold.moves)]
        m.submodules.held = ResetInserter(restart)(EnableInserter(moves)(self.component))
        return m


@dataclass(frozen=True)
class Port:
    direction: str
    width: int


@dataclass(frozen=True)
class Emission:
    """What emitting a component gave.

    Attributes
    ----------
    files : dict
        Text of each file, by name. Each module is in a file of its own, ``<module>.v``.
    ports : dict of Port
        Ports of the top module.
    latencies : dict
        Cycles, for each placed module that declares a ``latency``.
    """

    files: dict[str, str]
    ports: dict[str, Port]
    latencies: dict[str, int]


def emit(component: wiring.Component, name: str) -> dict[str, str]:
    """Verilog of ``component`` as module ``name``: the text of each file, by file name."""
    return emission(component, name).files


def emission(component: wiring.Component, name: str) -> Emission:
    """Verilog of ``component`` as module ``name``, and what a manifest says about it.

    The same component gives the same text, byte for byte.
    """
    with _no_collection():
        platform = EmitPlatform()
        top = platform.add(component, name)
        texts = _texts(platform)
    widths = {CLOCK: 1, RESET: 1} | {
        port: len(value) for port, (value, _) in flatten(component).items()
    }
    return Emission(
        files={f"{module}.v": text for module, text in sorted(texts.items())},
        ports={port: Port(direction, widths[port]) for port, direction in top.ports.items()},
        latencies={
            module: unit.component.latency
            for module, unit in sorted(platform.units.items())
            if hasattr(unit.component, "latency")
        },
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Elaboration makes millions of small objects that live to its end: looking for garbage among
    them would take a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _texts(platform: EmitPlatform) -> dict[str, str]:
    """Text of every module, by its Verilog name."""
    names = Names()
    children = {
        name: Child(names.take(name), {port: port for port in unit.ports}, unit.ports)
        for name, unit in platform.units.items()
    }
    texts = {}
    for name, unit in platform.units.items():
        if unit.text is not None:
            texts[name] = unit.text
            children[name].inside = set(re.findall(r"\w+", unit.text))
            continue
        parts = {part: module for part, module in unit.modules.items() if part != name}
        around = children | {part: part_of_unit(parts[part], names) for part in parts}
        for part, module in reversed(unit.modules.items()):  # what is inside comes first
            about = _about(unit.component) if part == name else [f"Part of {name}."]
            texts[around[part].name] = _text(module, part, around, about)
    return texts


def _text(module: RtlilModule, name: str, around: dict[str, Child], about: list[str]) -> str:
    netlist = Netlist(module, {kind: child.outputs for kind, child in around.items()})
    simplifier = Simplifier(netlist)
    simplifier.run()
    Aliases(netlist, simplifier).apply()
    unused = trim(netlist, simplifier)
    return Writer(netlist, unused, around[name], around, about).text()


def _about(component: wiring.Component) -> list[str]:
    """What stands at the top of a unit: the promise of its class, and where it comes from."""
    kind = type(component)
    promise = (inspect.getdoc(kind) or "").partition("\n\n")[0].splitlines()
    return [*promise, f"Generated by Skipstone from {kind.__module__}.{kind.__qualname__}."]
