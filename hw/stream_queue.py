"""A first-in first-out queue between two streams."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

MOST_REGISTERS = 2
"""A queue of so few payloads is made of registers: smaller than a memory, and at hand at once."""


class StreamQueue(wiring.Component):
    """Keeps up to ``depth`` payloads, in order.

    What comes in can go out in the next cycle. A full queue takes the next one in the cycle after
    one has gone out, never in the same cycle: ``i.ready`` is a register.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 1.

    Members
    -------
    i, o : streams of ``shape``
    level : Out
        Payloads that it holds.
    """

    latency = 1

    def __init__(self, shape, depth: int):
        self.shape = shape
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self.depth <= MOST_REGISTERS:
            self._registers(m)
        else:
            self._memory(m)
        return m

    def _registers(self, m: Module) -> None:
        """The oldest one stands on ``o``, the others behind it. Places behind these take whatever
        is offered, so that only ``level`` has to know whether it was there."""
        takes, gives = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(self.level != self.depth),
            self.o.valid.eq(self.level != 0),
            takes.eq(self.i.valid & self.i.ready),
            gives.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += self.level.eq(self.level + takes - gives)
        newest = Value.cast(self.i.payload)
        kept = [Signal(len(newest), name=f"kept{place}") for place in range(self.depth)]
        m.d.comb += Value.cast(self.o.payload).eq(kept[0])
        for place, one in enumerate(kept):
            behind = kept[place + 1] if place + 1 < self.depth else newest
            with m.If(self.level <= place):
                m.d.sync += one.eq(newest)
            with m.Elif(gives):
                m.d.sync += one.eq(Mux(self.level == place + 1, newest, behind))

    def _memory(self, m: Module) -> None:
        width = len(Value.cast(self.i.payload))
        m.submodules.fifo = words = fifo.SyncFIFO(width=width, depth=self.depth)
        m.d.comb += [
            words.w_en.eq(self.i.valid),
            words.w_data.eq(self.i.payload),
            self.i.ready.eq(words.w_rdy),
            self.o.valid.eq(words.r_rdy),
            self.o.payload.eq(words.r_data),
            words.r_en.eq(self.o.ready),
            self.level.eq(words.level),
        ]
