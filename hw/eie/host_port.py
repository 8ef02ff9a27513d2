"""Host port: brings the host's reads and writes to the PE, or to central control, that they are
for."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.answers import Answers, latency_of
from hw.eie.payloads import control_access, element_access
from hw.streams import host_streams
from spec.eie.config import EieConfig
from spec.eie.iomap import WHILE_COMPUTING, Memory, read_fields, write_fields

AT_PORTS = 4
"""Registers in a station and at the ports of a registered PE, on the way there and back."""


class HostPort(wiring.Component):
    """Takes a write in every cycle, and a read when the answer before is taken, while the array is
    in I/O mode; a double-buffered array takes writes to its memories while it computes, too.

    With ``scan_pipeline`` PEs hear of it a cycle later, with ``pe_registers`` two more. None looks
    into its memories so early in a run that it would miss a write.

    Attributes
    ----------
    latency : int
        Cycles from a request on ``read`` to its answer on ``data``: 2, or 3 with ``scan_pipeline``,
        or 7 with ``pe_registers``.

    Members
    -------
    write, read : streams of requests
    data : stream of answers, in order
    open : In
        The array is in I/O mode. Requests wait until it is, but for writes that a double-buffered
        array takes at any time (:data:`spec.eie.iomap.WHILE_COMPUTING`).
    wrote : Out
        A write is taken in this cycle.
    control : access to central control, whose answer takes two cycles with ``scan_pipeline``
    pes : array of accesses, one for each PE
        Memory, address and data are the same for all. With ``pe_registers`` the answer of every
        PE of a station is on the first one's.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        self.late = config.scan_pipeline
        self.delay = 1 + self.late + config.pe_registers * AT_PORTS
        self.latency = latency_of(self.delay)
        super().__init__(
            host_streams(write_fields(config), read_fields(config))
            | {
                "open": In(1),
                "wrote": Out(1),
                "control": Out(control_access(config)),
                "pes": Out(element_access(config)).array(config.pes),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        write, read = self.write.payload, self.read.payload
        writes = self.wrote
        anytime = Cat(write.memory == memory for memory in WHILE_COMPUTING).any()
        m.submodules.answers = answers = Answers(self.delay)
        reads = answers.asks

        # Take a write at once, a read when there is no write.
        may_read = self.open & ~self.write.valid
        m.d.comb += [
            self.write.ready.eq(self.open | (anytime if config.double_buffer else 0)),
            writes.eq(self.write.valid & self.write.ready),
            answers.valid.eq(self.read.valid & may_read),
            self.read.ready.eq(answers.ready & may_read),
        ]

        # Address one PE, or central control.
        memory = Signal.like(write.memory)
        with m.If(writes):
            m.d.comb += memory.eq(write.memory)
        with m.Else():
            m.d.comb += memory.eq(read.memory)
        for_control = (memory == Memory.CONTROL) | (memory == Memory.DESCRIPTORS)
        targets = [(self.control, for_control, for_control)]
        for pe in range(config.pes):
            targets.append(
                (self.pes[pe], ~for_control & (write.pe == pe), ~for_control & (read.pe == pe))
            )
        address = Signal.like(write.address)
        with m.If(writes):
            m.d.comb += address.eq(write.address)
        with m.Else():
            m.d.comb += address.eq(read.address)
        for access, write_here, read_here in targets:
            # Central control must know of what was armed before a start.
            registered = self.late and access is not self.control
            domain = m.d.sync if registered else m.d.comb
            domain += [
                access.write_enable.eq(writes & write_here),
                access.read_enable.eq(reads & read_here),
                access.memory.eq(memory),
                access.data.eq(write.data),
                access.address.eq(address),
            ]

        # Gather the answer: all but the one that was asked are zero.
        of_control = self.control.answer
        for _ in range(self.delay - 1 - self.late):
            kept = Signal.like(of_control, name="of_control")
            m.d.sync += kept.eq(of_control)
            of_control = kept
        words = [of_control, *(access.answer for access in self.pes)]
        m.d.comb += answers.answer.eq(_any(words))
        connect(m, answers.data, flipped(self.data))
        return m


def _any(words: list):
    """Bitwise OR of words, as a tree."""
    while len(words) > 1:
        words = [
            words[at] | words[at + 1] if at + 1 < len(words) else words[at]
            for at in range(0, len(words), 2)
        ]
    return words[0]
