"""Host port: brings the host's reads and writes to the PE, or to central control, that they are
for."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import HostAccess, read_layout, write_layout
from spec.eie.config import IO_DATA_BITS, EieConfig
from spec.eie.iomap import WHILE_COMPUTING, Memory


class HostPort(wiring.Component):
    """Takes a write in every cycle, and a read in every second one, while the array is in I/O mode;
    a double-buffered array takes writes to its memories while it computes, too.

    Attributes
    ----------
    latency : int
        Cycles from a request on ``read`` to its answer on ``data``: 2.

    Members
    -------
    write, read : streams of requests
    data : stream of answers, in order
    open : In
        The array is in I/O mode. Requests wait until it is, but for writes that a double-buffered
        array takes at any time (:data:`spec.eie.iomap.WHILE_COMPUTING`).
    wrote : Out
        A write is taken in this cycle.
    control : access to central control
    pes : array of accesses, one for each PE
    """

    latency = 2

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "write": In(stream.Signature(write_layout(config))),
                "read": In(stream.Signature(read_layout(config))),
                "data": Out(stream.Signature(IO_DATA_BITS)),
                "open": In(1),
                "wrote": Out(1),
                "control": Out(HostAccess(config)),
                "pes": Out(HostAccess(config)).array(config.pes),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        write, read = self.write.payload, self.read.payload
        writes = self.wrote
        anytime = Cat(write.memory == memory for memory in WHILE_COMPUTING).any()
        reads = Signal()
        asked = Signal()

        # Take a write at once, a read when the answer before has somewhere to go.
        m.d.comb += [
            self.write.ready.eq(self.open | (anytime if config.double_buffer else 0)),
            self.read.ready.eq(
                self.open & ~self.write.valid & ~asked & (~self.data.valid | self.data.ready)
            ),
            writes.eq(self.write.valid & self.write.ready),
            reads.eq(self.read.valid & self.read.ready),
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
        for access, write_here, read_here in targets:
            m.d.comb += [
                access.write_enable.eq(writes & write_here),
                access.read_enable.eq(reads & read_here),
                access.memory.eq(memory),
                access.data.eq(write.data),
            ]
            with m.If(writes):
                m.d.comb += access.address.eq(write.address)
            with m.Else():
                m.d.comb += access.address.eq(read.address)

        # Gather the answer: all but the one that was asked are zero.
        answers = [self.control.answer, *(access.answer for access in self.pes)]
        m.d.sync += asked.eq(reads)
        with m.If(asked):
            m.d.sync += [self.data.valid.eq(1), self.data.payload.eq(_any(answers))]
        with m.Elif(self.data.ready):
            m.d.sync += self.data.valid.eq(0)
        return m


def _any(words: list):
    """Bitwise OR of words, as a tree."""
    while len(words) > 1:
        words = [
            words[at] | words[at + 1] if at + 1 < len(words) else words[at]
            for at in range(0, len(words), 2)
        ]
    return words[0]
