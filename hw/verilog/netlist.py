"""One module as a net of drivers, with operands as wide as their results."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hw.verilog.fold import COMPARISONS, fold_body
from hw.verilog.rtlil import Assign, Body, Cell, Module, Switch, Wire
from hw.verilog.values import Spec, const_value, extend, spec_slice, spec_width


@dataclass
class Node:
    """An operator by Verilog's sign, or ``neg``, ``any``, ``all``, ``parity``; ``=`` does nothing.

    Operands are as wide as the result, but for those of comparisons and reductions (as wide as each
    other), amounts of shifts, the condition of ``?``, and factors (which may be shorter).
    """

    op: str
    width: int
    operands: tuple[Spec, ...]
    signed: bool = False


@dataclass
class Register:
    data: Spec
    clock: Spec


@dataclass
class Process:
    """Assignments under conditions; the first assigns the whole wire, unconditionally."""

    body: Body


@dataclass
class Read:
    """A read port of a memory; ``clock`` is ``None`` if it answers in the same cycle."""

    memory: str
    address: Spec
    enable: Spec
    clock: Spec | None


@dataclass
class Write:
    memory: str
    address: Spec
    enable: Spec
    data: Spec
    clock: Spec


Driver = Node | Register | Process | Read | Cell
"""What drives a wire; an instance drives one wire for each of its outputs."""

_OPERATORS = {
    "$and": "&", "$or": "|", "$xor": "^", "$add": "+", "$sub": "-", "$mul": "*",
    "$not": "~", "$neg": "neg", "$shl": "<<", "$shr": ">>", "$sshr": ">>>",
    "$eq": "==", "$ne": "!=", "$lt": "<", "$gt": ">", "$le": "<=", "$ge": ">=",
    "$reduce_bool": "any", "$reduce_or": "any", "$reduce_and": "all", "$reduce_xor": "parity",
    "$divfloor": "/", "$modfloor": "%",
}  # fmt: skip


class Netlist:
    """The module as it is read. :mod:`~hw.verilog.simplify` and :mod:`~hw.verilog.trim` change it.

    Parameters
    ----------
    module : Module
    instance_outputs : dict
        For each kind of module that may be instantiated, which of its ports are outputs.

    Attributes
    ----------
    drivers : dict of Driver
        What drives each wire. Operands are driven before their operators.
    outputs : dict
        Value of each output port that has no driver of its own.
    writes, instances : list
    contents : dict
        Initial words of each memory, packed into one number.
    next_states : dict
        The register of which a wire is the next state and nothing else, by the wire's name.
    """

    def __init__(self, module: Module, instance_outputs: dict[str, set[str]]):
        self.module = module
        self.wires = module.wires
        self.drivers: dict[str, Driver] = {}
        self.writes: list[Write] = []
        self.instances: list[Cell] = []
        self.contents: dict[str, int] = {}
        self.instance_outputs = instance_outputs
        for cell in module.cells:
            self._take(cell)
        for body in module.processes:
            first = body[0]
            if isinstance(first, Assign) and first.target.wire:
                self.drivers[first.target.wire] = Process(body)
        self.outputs = {
            name: value for name, value in module.connects if self.wires[name].direction == "output"
        }
        readers = Counter(chunk.wire for spec in self.all_reads() for chunk in spec)
        self.next_states = {
            driver.data[0].wire: name
            for name, driver in self.drivers.items()
            if isinstance(driver, Register) and [readers[c.wire] for c in driver.data] == [1]
        }

    # Read the cells ---------------------------------------------------------------------------

    def _take(self, cell: Cell) -> None:
        ports = cell.ports
        memory = str(cell.parameters.get("MEMID", ""))
        if not cell.kind.startswith("$"):
            self.instances.append(cell)
            for port in self.instance_outputs[cell.kind]:
                self._drive(ports.get(port, ()), cell)
        elif cell.kind == "$dff":
            if not cell.parameters["CLK_POLARITY"]:
                self._refuse("a register on a falling edge")
            self._drive(ports["Q"], Register(ports["D"], ports["CLK"]))
        elif cell.kind == "$meminit_v2":
            self.contents[memory] = const_value(ports["DATA"]) or 0
        elif cell.kind == "$memwr_v2":
            values = (ports[port] for port in ("ADDR", "EN", "DATA", "CLK"))
            self.writes.append(Write(memory, *values))
        elif cell.kind == "$memrd_v2":
            if cell.parameters["TRANSPARENCY_MASK"]:
                self._refuse("a transparent read port of a memory")
            clock = ports["CLK"] if cell.parameters["CLK_ENABLE"] else None
            self._drive(ports["DATA"], Read(memory, ports["ADDR"], ports["EN"], clock))
        elif ports.get("Y"):
            self._drive(ports["Y"], self._operator(cell, spec_width(ports["Y"])))
        else:
            self._refuse(f"a cell {cell.kind}")

    def _drive(self, target: Spec, driver: Driver) -> None:
        if target:
            (whole,) = target  # Amaranth gives every result a wire of its own.
            assert whole.wire
            self.drivers[whole.wire] = driver

    def _refuse(self, what: str) -> None:
        raise ValueError(f"module {self.module.name}: {what} has no form in the emitted Verilog")

    def _operator(self, cell: Cell, width: int) -> Node:
        a, b = cell.ports["A"], cell.ports.get("B", ())
        if cell.kind == "$mux":
            return Node("?", width, (cell.ports["S"], b, a))
        if cell.kind == "$shift":
            return self._part(cell, width)
        if cell.kind not in _OPERATORS:
            self._refuse(f"a cell {cell.kind}")
        op, signed = _OPERATORS[cell.kind], bool(cell.parameters["A_SIGNED"])
        if op in COMPARISONS:
            wide = max(spec_width(a), spec_width(b), 1)
            values = (extend(a, wide, signed), extend(b, wide, signed))
            return Node(op, width, values, signed and op not in ("==", "!="))
        if op in ("/", "%"):
            if signed:
                self._refuse("a division of signed numbers")
            wide = max(width, spec_width(a), spec_width(b))
            return Node(op, wide, (extend(a, wide, False), extend(b, wide, False)))
        if op == "*":
            return Node(op, width, (spec_slice(a, 0, width), spec_slice(b, 0, width)), signed)
        if op in ("<<", ">>", ">>>"):
            return Node(op, width, (extend(a, width, signed), b), op == ">>>")
        if op in ("any", "all", "parity"):
            return Node(op, width, (a,))
        values = (a,) if op in ("~", "neg") else (a, b)
        return Node(op, width, tuple(extend(value, width, signed) for value in values))

    def _part(self, cell: Cell, width: int) -> Node:
        """``width`` bits of A from bit B on: a shift, of which the low bits count."""
        a = cell.ports["A"]
        a = extend(a, max(spec_width(a), width), False)
        wide = Wire(f"{cell.ports['Y'][0].wire}w", spec_width(a))
        self.wires[wide.name] = wide
        self.drivers[wide.name] = Node(">>", wide.width, (a, cell.ports["B"]))
        return Node("=", width, (spec_slice(wide.whole, 0, width),))

    # Go through what is read ------------------------------------------------------------------

    def map_reads(self, change: Callable[[Spec], Spec]) -> None:
        """Put ``change(value)`` for every value that the module reads."""
        for driver in self.drivers.values():
            if isinstance(driver, Node):
                driver.operands = tuple(change(operand) for operand in driver.operands)
            elif isinstance(driver, Process):
                driver.body = fold_body(driver.body, change)
            elif isinstance(driver, Register):
                driver.data = change(driver.data)
            elif isinstance(driver, Read):
                driver.address, driver.enable = change(driver.address), change(driver.enable)
        for write in self.writes:
            write.address, write.enable = change(write.address), change(write.enable)
            write.data = change(write.data)
        for cell in self.instances:
            cell.ports |= {port: change(value) for port, value in self.instance_inputs(cell)}
        self.outputs = {name: change(value) for name, value in self.outputs.items()}

    def instance_inputs(self, cell: Cell) -> Iterator[tuple[str, Spec]]:
        outputs = self.instance_outputs[cell.kind]
        yield from ((port, value) for port, value in cell.ports.items() if port not in outputs)

    def all_reads(self) -> Iterator[Spec]:
        """Every value that the module reads, once for each place where it is read."""
        for driver in self.drivers.values():
            yield from driver_reads(driver)
        for write in self.writes:
            yield from (write.address, write.enable, write.data, write.clock)
        for cell in self.instances:
            yield from (value for _, value in self.instance_inputs(cell))
        yield from self.outputs.values()

    def taken_apart(self) -> Iterator[Spec]:
        """Values of which single bits are written out: conditions, and lanes of a memory."""
        for driver in self.drivers.values():
            if isinstance(driver, Process):
                yield from (
                    item.selector for item in statements(driver.body) if isinstance(item, Switch)
                )
        for write in self.writes:
            if len(set(write.enable)) > 1:
                yield from (write.enable, write.data)


def driver_reads(driver: Driver | None) -> Iterator[Spec]:
    """What ``driver`` reads; of an instance, nothing: it belongs to all its outputs at once."""
    if isinstance(driver, Node):
        yield from driver.operands
    elif isinstance(driver, Register):
        yield from (driver.data, driver.clock)
    elif isinstance(driver, Process):
        for item in statements(driver.body):
            yield item.value if isinstance(item, Assign) else item.selector
    elif isinstance(driver, Read):
        yield from (driver.address, driver.enable, driver.clock or ())


def statements(body: Body) -> Iterator[Assign | Switch]:
    """All statements of ``body``, those inside of others too."""
    for item in body:
        yield item
        if isinstance(item, Switch):
            for _, inner in item.cases:
                yield from statements(inner)
