"""Gives every wire, instance and memory of a module its Verilog name."""

from collections import Counter
from dataclasses import dataclass, field

from hw.verilog.names import Names, plain, unnumbered
from hw.verilog.netlist import Netlist
from hw.verilog.rtlil import Cell, Module
from hw.verilog.values import spec_width

CLOCK, RESET, ENABLE = "clk", "rst", "clk_en"
RESET_NOW, ENABLE_NOW = f"{RESET}_now", f"{ENABLE}_now"


@dataclass
class Child:
    """A module as its instances see it."""

    name: str
    ports: dict[str, str]
    """Verilog names of its ports, in order, by the names that they have in RTLIL."""
    directions: dict[str, str]
    inside: set[str] = field(default_factory=set)
    """Every name that is taken inside of it; known once it is written."""

    @property
    def outputs(self) -> set[str]:
        return {port for port, direction in self.directions.items() if direction == "output"}


class Naming:
    """The names of one module.

    Attributes
    ----------
    names : Names
        All that are taken.
    wires, memories : dict
        Verilog names of the wires that a person named, or that instances drive; of the memories.
    instances : list of str
    index : str
        Name of the variable of loops, which clear memories.
    """

    def __init__(self, netlist: Netlist, child: Child, children: dict[str, Child]):
        self.netlist = netlist
        self.children = children
        self.names = Names()
        # Ports are called as others call them.
        self.wires = {wire: self.names.take(name) for wire, name in child.ports.items()}
        self.index = self.names.take("index")
        self.instances = [self._instance_name(cell) for cell in netlist.instances]
        self.memories = {name: self.names.take(name) for name in netlist.module.memories}
        self._name_instance_ports()
        for name, wire in netlist.wires.items():
            if not wire.anonymous and name not in self.wires:
                self.wires[name] = self.names.take(unnumbered(name))

    def _instance_name(self, cell: Cell) -> str:
        """An instance may not be called like anything inside of it, says Verilator."""
        name = unnumbered(cell.name)
        inside = self.children[cell.kind].inside
        return self.names.take(f"{name}_unit" if plain(name) in inside else name)

    def _name_instance_ports(self) -> None:
        """Wires that are known only by names of instances' ports: put the instance in front."""
        wires, bases = self.netlist.wires, Counter(map(unnumbered, self.netlist.wires))
        driven: dict[str, str] = {}
        fed: dict[str, list[str]] = {}
        known: dict[str, set[str]] = {}
        for cell in self.netlist.instances:
            child = self.children[cell.kind]
            for port, name in child.ports.items():
                value = cell.ports.get(port, ())
                wire = wires.get(value[0].wire) if len(value) == 1 else None
                if wire and value[0].width == wire.width:
                    known.setdefault(wire.name, set()).add(unnumbered(port))
                    wish = f"{unnumbered(cell.name)}__{name}"
                    if port in child.outputs:
                        driven[wire.name] = wish
                    else:
                        fed.setdefault(wire.name, []).append(wish)
        for name, ports in known.items():
            base = unnumbered(name)
            own_name = base in (RESET_NOW, ENABLE_NOW) or (
                base not in ports and "__" not in base and bases[base] == 1
            )
            if name in self.wires or (own_name and not wires[name].anonymous):
                continue
            if name in driven:
                self.wires[name] = self.names.take(driven[name])
            elif not wires[name].anonymous and (len(fed[name]) == 1 or bases[base] > 1):
                self.wires[name] = self.names.take(fed[name][0])


def part_of_unit(module: Module, names: Names) -> Child:
    """A submodule that belongs to one unit, under names without Amaranth's numbers."""
    inside = Names()
    ports = {port: wire.direction for port, wire in module.ports.items()}
    order = sorted(ports, key=lambda port: port not in (CLOCK, RESET))
    verilog = {port: inside.take(unnumbered(_port_name(module, port))) for port in order}
    return Child(names.take(unnumbered(module.name)), verilog, ports)


def _port_name(module: Module, port: str) -> str:
    """A name for ``port``: what is inside made of it, if Amaranth knows no other name than port."""
    if unnumbered(port) != "port":
        return port
    whole = module.wires[port].whole[0]
    for name, spec in sorted(module.connects, key=lambda connect: len(connect[1])):
        if whole in spec:
            start = spec_width(spec[: spec.index(whole)])
            return name if len(spec) == 1 else f"{name}_{start}"
    return port
