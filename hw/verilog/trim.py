"""Cuts away what nothing reads: whole wires, and the high bits of others."""

from collections.abc import Iterator

from hw.verilog.fold import tidy
from hw.verilog.netlist import Driver, Netlist, Node, Process, Read, Register, driver_reads
from hw.verilog.rtlil import Assign, Body, Cell, Switch, Wire
from hw.verilog.simplify import Simplifier, as_node
from hw.verilog.values import Chunk, Spec, spec_slice

LOW_BITS_ALONE = {"=", "&", "|", "^", "~", "?", "+", "-", "*", "neg", "<<"}
"""Operators whose low bits depend on no more than the low bits of their operands."""


def trim(netlist: Netlist, simplifier: Simplifier) -> list[Chunk]:
    """Trim and simplify in turn; returns the bits that stay declared though nothing reads them."""
    unused = _cut(netlist, _live_bits(netlist))
    while simplifier.run():
        unused = _cut(netlist, _live_bits(netlist))
    return unused


def _live_bits(netlist: Netlist) -> dict[str, int]:
    """The bits of each wire, as a mask, that an output depends on."""
    live: dict[str, int] = {}
    todo: list[str] = []
    written: dict[str, list[Spec]] = {}
    for write in netlist.writes:
        values = (write.address, write.enable, write.data, write.clock)
        written.setdefault(write.memory, []).extend(values)

    def read(spec: Spec) -> None:
        for chunk in spec:
            mask = ((1 << chunk.width) - 1) << chunk.start
            if chunk.wire and mask & ~live.get(chunk.wire, 0):
                live[chunk.wire] = live.get(chunk.wire, 0) | mask
                todo.append(chunk.wire)

    for wire in netlist.module.ports.values():
        if wire.direction == "output":
            read(netlist.outputs.get(wire.name, wire.whole))
    for cell in netlist.instances:
        for _, value in netlist.instance_inputs(cell):
            read(value)
    while todo:
        name = todo.pop()
        driver = netlist.drivers.get(name)
        for spec in driver_reads(_low(_change(netlist, name, driver), live[name].bit_length())):
            read(spec)
        if isinstance(driver, Read):
            for spec in written.pop(driver.memory, []):
                read(spec)
    return live


def _change(netlist: Netlist, name: str, driver: Driver | None) -> Driver | None:
    """The next state of a register without the part that merely keeps it: that reads nothing."""
    if not isinstance(driver, Process) or name not in netlist.next_states:
        return driver
    first, *rest = driver.body
    held = netlist.wires[netlist.next_states[name]].whole
    return Process(rest) if isinstance(first, Assign) and first.value == held else driver


def _cut(netlist: Netlist, live: dict[str, int]) -> list[Chunk]:
    drivers: dict[str, Driver] = {}
    unused: list[Chunk] = []
    for name, wire in netlist.wires.items():
        driver = netlist.drivers.get(name)
        if name in live and driver and not wire.direction:
            low = _low(driver, live[name].bit_length())
            if low is not driver:
                driver, wire.width = low, live[name].bit_length()
        if driver and (name in live or isinstance(driver, Cell)):
            drivers[name] = driver
        if name in drivers or wire.direction == "input":
            unused += _holes(wire, live.get(name, 0))
    # In the old order, in which operands come before operators.
    netlist.drivers = {name: drivers[name] for name in netlist.drivers if name in drivers}
    netlist.wires = {
        name: wire for name, wire in netlist.wires.items() if wire.direction or name in drivers
    }
    memories = {driver.memory for driver in drivers.values() if isinstance(driver, Read)}
    netlist.writes = [write for write in netlist.writes if write.memory in memories]
    return unused


def _low(driver: Driver | None, width: int) -> Driver | None:
    """What drives the lowest ``width`` bits; ``driver`` itself if it drives all or nothing."""
    if isinstance(driver, Register):
        return Register(spec_slice(driver.data, 0, width), driver.clock)
    if isinstance(driver, Process):
        body = _low_body(driver.body, width)
        return as_node(body) if len(body) == 1 and isinstance(body[0], Assign) else Process(body)
    if isinstance(driver, Node) and driver.op in LOW_BITS_ALONE:
        whole = {"?": 0, "<<": 1}.get(driver.op)
        operands = (
            operand if index == whole else spec_slice(operand, 0, width)
            for index, operand in enumerate(driver.operands)
        )
        return Node(driver.op, width, tuple(operands), driver.signed)
    return driver


def _low_body(body: Body, width: int) -> Body:
    """``body`` without assignments to higher bits, and without the conditions only for these."""
    kept: Body = []
    for item in body:
        if isinstance(item, Assign):
            count = min(item.target.width, width - item.target.start)
            if count > 0:
                target = item.target._replace(width=count)
                kept.append(Assign(target, spec_slice(item.value, 0, count)))
        else:
            cases = [(patterns, _low_body(inner, width)) for patterns, inner in item.cases]
            kept += tidy(Switch(item.selector, cases))
    return kept


def _holes(wire: Wire, live: int) -> Iterator[Chunk]:
    """Runs of bits of ``wire`` that are not in the mask ``live``."""
    dead = ~live & ((1 << wire.width) - 1)
    start = 0
    while dead >> start:
        start += (dead >> start & -(dead >> start)).bit_length() - 1
        run = ~(dead >> start)
        width = (run & -run).bit_length() - 1
        yield Chunk(wire.name, start, width)
        start += width
