"""Writes one tidied module as Verilog-2001 that a person can read."""

import textwrap
from collections.abc import Iterable, Iterator

from hw.verilog.expressions import Expressions, literal, vector
from hw.verilog.naming import Child, Naming
from hw.verilog.netlist import Netlist, Node, Process, Read, Register
from hw.verilog.rtlil import Cell
from hw.verilog.statements import Statements
from hw.verilog.values import Chunk, Spec, spec_slice, spec_width

WIDTH = 100


class Writer:
    """One module.

    Parameters
    ----------
    netlist : Netlist
    unused : list of Chunk
        Bits that nothing reads, though they have to be there.
    child : Child
        The module itself, as others see it.
    children : dict
        The modules of its instances.
    about : list of str
        Lines of the comment at the top.
    """

    def __init__(
        self,
        netlist: Netlist,
        unused: list[Chunk],
        child: Child,
        children: dict[str, Child],
        about: Iterable[str],
    ):
        self.netlist = netlist
        self.unused = unused
        self.child = child
        self.children = children
        self.about = about
        naming = Naming(netlist, child, children)
        self.names = naming.names
        self.wire_names = naming.wires
        self.instance_names = naming.instances
        self.memory_names = naming.memories
        self.index = naming.index
        self.expressions = Expressions(netlist, self.names, self.wire_names)
        self.merged = self._merged_processes()

    def _merged_processes(self) -> dict[str, Process]:
        """The next states that are written into the blocks of their registers, by wire name."""
        drivers, wires = self.netlist.drivers, self.netlist.wires
        merged = {}
        for source, name in self.netlist.next_states.items():
            process, register = drivers.get(source), drivers.get(name)
            if (
                isinstance(process, Process)
                and isinstance(register, Register)
                and wires[source].anonymous
                and register.data == wires[source].whole
            ):
                merged[source] = process
        return merged

    # The module -------------------------------------------------------------------------------

    def text(self) -> str:
        sections = [
            list(self._memories()),
            list(self._declarations()),
            *map(self._instance, self.netlist.instances, self.instance_names),
            list(self._assigns()),
            *self._blocks(),
            list(self._memory_ports()),
            list(self._initial()),
            list(self._unused()),
        ]
        lines = [f"// {line}".rstrip() for line in self.about]
        lines += self._header()
        for section in sections:
            if section:
                lines += [line for item in section for line in _wrap(f"  {item}")] + [""]
        if not lines[-1]:
            lines.pop()
        self.child.inside = self.names.taken
        return "\n".join([*lines, "endmodule", ""])

    def _header(self) -> Iterator[str]:
        ports = []
        for wire, name in self.child.ports.items():
            port = self.netlist.wires[wire]
            kind = "reg" if self._procedural(wire) else "wire"
            ports.append(f"    {port.direction} {kind} {vector(port.width)}{name}")
        yield f"module {self.child.name} ("
        yield from (f"{port}," for port in ports[:-1])
        yield from ports[-1:]
        yield ");"

    def _procedural(self, name: str) -> bool:
        driver = self.netlist.drivers.get(name)
        return isinstance(driver, (Register, Process)) or (
            isinstance(driver, Read) and driver.clock is not None
        )

    def _declarations(self) -> Iterator[str]:
        for name, wire in self.netlist.wires.items():
            if wire.direction or name in self.merged or name in self.expressions.inlined:
                continue
            kind = "reg" if self._procedural(name) else "wire"
            line = f"{kind} {vector(wire.width)}{self.wire_names[name]};"
            values = ", ".join(f"{value} {word}" for value, word in wire.names.items())
            yield f"{line}  // {values}" if values else line

    def _instance(self, cell: Cell, name: str) -> list[str]:
        child = self.children[cell.kind]
        connections = [
            f"    .{verilog}({self.expressions.spec(cell.ports[port])})"
            for port, verilog in child.ports.items()
            if cell.ports.get(port)
        ]
        return [
            f"{child.name} {name} (",
            *(f"{line}," for line in connections[:-1]),
            *connections[-1:],
            ");",
        ]

    def _assigns(self) -> Iterator[str]:
        for name, driver in self.netlist.drivers.items():
            if isinstance(driver, Node) and name not in self.expressions.inlined:
                yield f"assign {self.wire_names[name]} = {self.expressions.node(driver)[0]};"
            elif isinstance(driver, Read) and driver.clock is None:
                word = self._word(driver.memory, driver.address)
                yield f"assign {self.wire_names[name]} = {word};"
        for name, value in self.netlist.outputs.items():
            yield f"assign {self.wire_names[name]} = {self.expressions.spec(value)};"

    def _blocks(self) -> Iterator[list[str]]:
        """An ``always`` block for every process and every register."""
        for name, driver in self.netlist.drivers.items():
            if isinstance(driver, Process) and name not in self.merged:
                statements = Statements(self.expressions, self.netlist, self.wire_names[name], "=")
                yield ["always @* begin", *statements.body(driver.body, "  "), "end"]
            elif isinstance(driver, Register):
                statements = Statements(self.expressions, self.netlist, self.wire_names[name], "<=")
                source = driver.data[0].wire
                if source in self.merged and self.netlist.next_states[source] == name:
                    lines = statements.next_state(name, self.merged[source].body)
                else:
                    lines = [f"  {self.wire_names[name]} <= {self.expressions.spec(driver.data)};"]
                yield [
                    f"always @(posedge {self.expressions.spec(driver.clock)}) begin",
                    *lines,
                    "end",
                ]

    # Memories ---------------------------------------------------------------------------------

    def _memories(self) -> Iterator[str]:
        for name, memory in self.netlist.module.memories.items():
            if self._used(name):
                yield f"reg {vector(memory.width)}{self.memory_names[name]} [0:{memory.depth - 1}];"

    def _used(self, memory: str) -> bool:
        return any(
            isinstance(d, Read) and d.memory == memory for d in self.netlist.drivers.values()
        )

    def _word(self, memory: str, address: Spec) -> str:
        return f"{self.memory_names[memory]}[{self.expressions.spec(address) if address else 0}]"

    def _memory_ports(self) -> Iterator[str]:
        for write in self.netlist.writes:
            word = self._word(write.memory, write.address)
            yield f"always @(posedge {self.expressions.spec(write.clock)}) begin"
            for start, width in _lanes(write.enable):
                enable = self.expressions.spec(spec_slice(write.enable, start, 1))
                data = self.expressions.spec(spec_slice(write.data, start, width))
                whole = width == spec_width(write.enable)
                lane = (
                    ""
                    if whole
                    else f"[{start}]"
                    if width == 1
                    else f"[{start + width - 1}:{start}]"
                )
                yield f"  if ({enable}) {word}{lane} <= {data};"
            yield "end"
        for name, driver in self.netlist.drivers.items():
            if isinstance(driver, Read) and driver.clock is not None:
                yield f"always @(posedge {self.expressions.spec(driver.clock)}) begin"
                enable = self.expressions.spec(driver.enable)
                word = self._word(driver.memory, driver.address)
                yield f"  if ({enable}) {self.wire_names[name]} <= {word};"
                yield "end"

    # Initial values ---------------------------------------------------------------------------

    def _initial(self) -> Iterator[str]:
        lines = []
        for name, driver in self.netlist.drivers.items():
            wire = self.netlist.wires[name]
            if isinstance(driver, Register) and wire.initial is not None:
                value = wire.initial & ((1 << wire.width) - 1)
                lines.append(f"  {self.wire_names[name]} = {literal(value, wire.width)};")
        for name, memory in self.netlist.module.memories.items():
            if self._used(name):
                lines += self._initial_words(name, memory.width, memory.depth)
        if lines:
            if any(line.startswith("  for (") for line in lines):
                yield f"integer {self.index};"
            yield from ("initial begin", *lines, "end")

    def _initial_words(self, name: str, width: int, depth: int) -> Iterator[str]:
        packed = self.netlist.contents.get(name, 0)
        words = [packed >> (address * width) & ((1 << width) - 1) for address in range(depth)]
        if depth > 4 and len(set(words)) == 1:
            at = self.index
            loop = f"for ({at} = 0; {at} < {depth}; {at} = {at} + 1)"
            yield f"  {loop} {self.memory_names[name]}[{at}] = {literal(words[0], width)};"
            return
        for address, word in enumerate(words):
            yield f"  {self.memory_names[name]}[{address}] = {literal(word, width)};"

    def _unused(self) -> Iterator[str]:
        """Bits that nothing reads, under the name that linters take as meant so."""
        bits = [self.expressions.chunk(chunk) for chunk in self.unused]
        if bits:
            yield f"wire {self.names.take('unused')} = &{{1'b0, {', '.join(bits)}}};"


def _lanes(enable: Spec) -> Iterator[tuple[int, int]]:
    """Runs of bits of a write that one enable bit covers: start and width."""
    bits = [spec_slice(enable, index, 1) for index in range(spec_width(enable))]
    start = 0
    for index in range(1, len(bits) + 1):
        if index == len(bits) or bits[index] != bits[start]:
            yield start, index - start
            start = index


def _wrap(line: str) -> list[str]:
    """Break a long statement between words; Verilog does not mind."""
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent="",
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
