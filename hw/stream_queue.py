"""A first-in first-out queue between two streams."""

from amaranth import Module, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


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
        return m
