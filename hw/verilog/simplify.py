"""Folds what is constant and joins what is equal, until nothing changes."""

from hw.verilog import fold
from hw.verilog.netlist import Netlist, Node, Process
from hw.verilog.rtlil import Assign, Body, Switch
from hw.verilog.values import Chunk, Spec, const_value, merge, spec_slice, spec_width


class Simplifier:
    """Simplifies one netlist; keep it to go on after the netlist was changed otherwise.

    Attributes
    ----------
    known : dict
        For each wire that is gone, the value that took its place.
    """

    def __init__(self, netlist: Netlist):
        self.netlist = netlist
        self.known: dict[str, Spec] = {}

    def run(self) -> bool:
        """Simplify; whether anything was found."""
        start = len(self.known)
        before = -1
        while before != len(self.known):
            before = len(self.known)
            for name, driver in list(self.netlist.drivers.items()):
                if isinstance(driver, Node):
                    self._node(name, driver)
                elif isinstance(driver, Process):
                    self._process(name, driver)
            self._join()
        self.netlist.map_reads(self.resolve)
        return len(self.known) > start

    def resolve(self, spec: Spec) -> Spec:
        """``spec`` in terms of the wires that are left."""
        if not any(chunk.wire in self.known for chunk in spec):
            return spec
        parts: list[Chunk] = []
        for chunk in spec:
            if chunk.wire in self.known:
                parts += self.resolve(spec_slice(self.known[chunk.wire], chunk.start, chunk.width))
            else:
                parts.append(chunk)
        return merge(parts)

    def _node(self, name: str, node: Node) -> None:
        operands = tuple(self.resolve(operand) for operand in node.operands)
        node.op, node.operands, value = fold.fold(node.op, node.width, operands, node.signed)
        if value is None:
            return
        if self._may_replace(name, value):
            self.known[name] = value
            del self.netlist.drivers[name]
        else:
            node.op, node.operands, node.signed = "=", (value,), False

    def _may_replace(self, name: str, value: Spec) -> bool:
        """A port keeps its driver; a name that a person gave stays unless it is of a constant."""
        wire = self.netlist.wires[name]
        return not wire.direction and (wire.anonymous or const_value(value) is not None)

    def _process(self, name: str, process: Process) -> None:
        process.body = fold.join_first(fold.fold_body(process.body, self.resolve))
        # The conditions under which a register changes stay statements.
        if name not in self.netlist.next_states:
            node = as_node(process.body)
            if node:
                self.netlist.drivers[name] = node
                self._node(name, node)

    def _join(self) -> None:
        """One wire for equal operators; one that a person named wins, and two such stay two."""
        wires, drivers = self.netlist.wires, self.netlist.drivers
        nodes = [(name, node) for name, node in drivers.items() if isinstance(node, Node)]
        seen: dict[tuple, str] = {}
        for name, node in sorted(nodes, key=lambda item: wires[item[0]].anonymous):
            key = (node.op, node.width, node.operands, node.signed)
            first = seen.setdefault(key, name)
            if first != name and wires[name].anonymous:
                self.known[name] = wires[first].whole
                del drivers[name]


def as_node(body: Body) -> Node | None:
    """A plain assignment, or one with a condition of one bit, as an expression."""
    default, *rest = body
    assert isinstance(default, Assign)
    width = default.target.width
    if not rest:
        return Node("=", width, (default.value,))
    switch = rest[0]
    if len(rest) > 1 or not isinstance(switch, Switch) or spec_width(switch.selector) != 1:
        return None
    values = []
    for bit in (1, 0):
        inner = fold.taken(switch, bit) or [default]
        if len(inner) != 1 or not isinstance(inner[0], Assign) or inner[0].target.width != width:
            return None
        values.append(inner[0].value)
    return Node("?", width, (switch.selector, *values))
