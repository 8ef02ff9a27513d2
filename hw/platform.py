"""What Amaranth elaborates a design for when it is to become Verilog."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from amaranth import (
    ClockDomain,
    ClockSignal,
    Const,
    EnableInserter,
    Fragment,
    Instance,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.back import rtlil as rtlil_backend
from amaranth.hdl._ir import PortDirection  # the only way to say which ports are outputs
from amaranth.lib import wiring

from hw.verilog import rtlil
from hw.verilog.names import plain
from hw.verilog.naming import CLOCK, ENABLE, ENABLE_NOW, RESET, RESET_NOW

Ports = dict[str, tuple[Value, PortDirection]]
"""Ports of a component by flat name."""


class Hold(NamedTuple):
    """How a component is held. What is inside hears of both in the next cycle: the component's
    module and each one that is placed in it keep them in registers of their own, which are those of
    all that is inside of these. So neither goes far from one register to many."""

    restart: Signal
    """Resets it, also while it stands still. In Verilog nothing else does: the reset of all has to
    come this way."""
    moves: Signal
    """Without, everything inside stands still, memories included."""


class Place(Enum):
    """Where a module stands."""

    FREE = "where nothing is held"
    HELD = "where it is held"
    WITHIN = "right within what is held"
    FURTHER = "further within what is held"

    @property
    def keeps(self) -> bool:
        """Whether it keeps its :class:`Hold` in registers of its own."""
        return self in (Place.HELD, Place.WITHIN)


class Inside(NamedTuple):
    """What is told to a module within one that is held."""

    hold: Hold
    now: Hold
    """The same for the module around it, as it is in this cycle."""
    place: Place


@dataclass
class Unit:
    """A component that becomes a module of its own, together with its own submodules."""

    component: wiring.Component
    fingerprint: object
    modules: dict[str, rtlil.Module] = field(default_factory=dict)
    text: str | None = None
    """The module, if the component writes it itself."""
    ports: dict[str, str] = field(default_factory=dict)
    """Direction of each port."""
    place: Place = Place.FREE
    """Anywhere else its ports of reset and of :data:`hw.verilog.naming.ENABLE` are those of a
    :class:`Hold`."""


class EmitPlatform:
    """Collects, while components are elaborated, the units that become modules of their own."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        self._open: list[str] = []
        self._insides: list[Inside | None] = [None]
        """Of the modules that are open."""

    def instance(
        self, component: wiring.Component, name: str, hold: Hold | None = None
    ) -> Instance:
        """An instance of the module that ``component`` becomes; the first of a name is emitted.
        What is inside of a module that is held is held as well."""
        # Equal components beyond the first are never elaborated; that is no mistake.
        component._MustUse__used = True
        ports = flatten(component)
        place, now = Place.FREE if hold is None else Place.HELD, None
        if hold is None and self._insides[-1] is not None:
            hold, now, place = self._insides[-1]
        unit = self.units.get(name) or self.add(component, name, place)
        if component is not unit.component and fingerprint(component, ports) != unit.fingerprint:
            raise ValueError(
                f"two different components are placed as module {name}: {component!r} differs "
                f"from {unit.component!r} in its class, its ports or its attributes"
            )
        if unit.text is None and unit.place is not place:
            raise ValueError(f"module {name} is placed {unit.place.value} and {place.value}")
        if unit.text is not None and hold is not None and now is None:
            raise ValueError(f"module {name} cannot be held by itself, only what it is inside of")
        values = {port: value for port, (value, _) in ports.items()}
        values |= {CLOCK: ClockSignal(), RESET: ResetSignal()}
        if hold is not None:
            values |= {RESET: hold.restart, ENABLE: hold.moves}
        if now is not None:
            for port in getattr(component, "enables", ()):
                values[port] = values[port] & now.moves
        kinds = {"input": "i", "output": "o"}
        return Instance(
            name, *((kinds[kind], port, values[port]) for port, kind in unit.ports.items())
        )

    def add(self, component: wiring.Component, name: str, place: Place = Place.FREE) -> Unit:
        """Elaborate ``component`` as the module ``name``."""
        component._MustUse__used = True
        ports = flatten(component)
        self._check_names(name, ports)
        unit = Unit(component, fingerprint(component, ports), place=place)
        if hasattr(component, "verilog"):
            unit.text = component.verilog(name)
            found = {CLOCK: "input"} | {port: kind.value for port, (_, kind) in ports.items()}
        else:
            text, signals = self._convert(component, name, ports, place)
            unit.modules = rtlil.read(text)
            found = {port: wire.direction for port, wire in unit.modules[name].ports.items()}
            _name_states(unit.modules, signals)
        unit.ports = {port: found[port] for port in (CLOCK, RESET, ENABLE, *ports) if port in found}
        if set(unit.ports) != set(found):
            odd = ", ".join(sorted(set(found) - set(unit.ports)))
            raise ValueError(
                f"{name}: a unit has one clock {CLOCK} and one reset {RESET}, not {odd}"
            )
        self.units[name] = unit
        return unit

    def _convert(self, component: wiring.Component, name: str, ports: Ports, place: Place):
        """RTLIL of a component, and the names of its signals."""
        hold = now = Hold(Signal(name=RESET), Signal(name=ENABLE))
        if place.keeps:
            restart = Signal(name=RESET_NOW, reset_less=True)
            now = Hold(restart, Signal(name=ENABLE_NOW, init=1, reset_less=True))
        # What is further inside hears of what this one keeps, so in the same cycle.
        inside = None if place is Place.FREE else Inside(now, now, Place.FURTHER)
        if place is Place.HELD:
            inside = Inside(hold, now, Place.WITHIN)
        self._open.append(name)
        self._insides.append(inside)
        fragment = Fragment.get(component, self)
        if inside is not None:
            domain = ClockDomain("sync")
            domain.rst = now.restart
            fragment = EnableInserter(now.moves)(fragment)
            fragment.add_domains(domain)
            if place.keeps:
                kept = (mine.eq(told) for mine, told in zip(now, hold, strict=True))
                fragment.add_statements("sync", *kept)
            own = {CLOCK: domain.clk, RESET: hold.restart, ENABLE: hold.moves}
            ports = {port: (value, PortDirection.Input) for port, value in own.items()} | ports
        found = rtlil_backend.convert_fragment(fragment, ports, name, emit_src=False)
        self._insides.pop()
        self._open.pop()
        return found

    def _check_names(self, name: str, ports: Ports) -> None:
        if not name or name != plain(name):
            raise ValueError(f"module name {name!r} is reserved or not a plain Verilog identifier")
        if name in self._open:
            raise ValueError(
                f"module {name} would contain itself: {' > '.join(self._open)} > {name}"
            )
        for port in ports:
            if port != plain(port) or port in (CLOCK, RESET, ENABLE, RESET_NOW, ENABLE_NOW):
                raise ValueError(
                    f"{name}: port {port!r} is reserved or not a plain Verilog identifier"
                )


def flatten(component: wiring.Component) -> Ports:
    """The ports of ``component`` by flat name: paths joined by two underscores.

    A constant, such as the ``ready`` of a stream that never waits, is no port.
    """
    ports = {}
    for path, member, member_value in component.signature.flatten(component):
        value = Value.cast(member_value)
        if isinstance(value, Const):
            continue
        direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
        ports["__".join(map(str, path))] = (value, direction)
    return ports


def _name_states(modules: dict[str, rtlil.Module], signals: Mapping[Any, tuple]) -> None:
    """Give the registers of state machines the names of their states."""
    for signal, (*path, wire_name) in signals.items():
        wire = modules[".".join(path)].wires.get(wire_name)
        decode = signal.decoder
        if wire is None or not callable(decode) or isinstance(decode, type):
            continue
        for value in range(1 << min(wire.width, 8)):
            try:
                wire.names[value] = str(decode(value)).partition("/")[0]
            except KeyError:
                break


def fingerprint(thing: Any, ports: Ports | None = None) -> object:
    """What decides the content of a component: its class, its ports, its attributes."""
    if isinstance(thing, wiring.Component):
        shapes = [(name, len(v), kind) for name, (v, kind) in (ports or flatten(thing)).items()]
        return type(thing), shapes, _attributes(thing, set(thing.signature.members))
    if isinstance(thing, Value):
        return len(thing)
    if isinstance(thing, (list, tuple)):
        return [fingerprint(item) for item in thing]
    if isinstance(thing, dict):
        return {key: fingerprint(value) for key, value in thing.items()}
    if type(thing).__eq__ is object.__eq__ and hasattr(thing, "__dict__") and not callable(thing):
        return type(thing), _attributes(thing, set())
    return thing


def _attributes(thing: object, skip: set[str]) -> dict[str, object]:
    return {
        name: fingerprint(value)
        for name, value in vars(thing).items()
        if name not in skip and not name.startswith(("_MustUse", "_Component"))
    }
