"""Answers: the host's reads, one after the other."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spec.config import IO_DATA_BITS


def latency_of(delay: int = 1) -> int:
    """Cycles from a read to its answer to the host."""
    return delay + 1


class Answers(wiring.Component):
    """Takes a read when the host has taken the answer before, and keeps its answer until then.

    Whether it takes one follows from registers alone.

    Parameters
    ----------
    delay : int
        Cycles from a read to its answer on ``answer``.

    Attributes
    ----------
    latency : int
        Cycles from a read to its answer on ``data``: one more.

    Members
    -------
    valid : In
        A read may be taken.
    ready : Out
        It is, if it is there: no answer is on its way or waits.
    asks : Out
        A read is taken in this cycle.
    answer : In
        ``delay`` cycles later.
    data : stream of answers, in order
    """

    def __init__(self, delay: int = 1):
        self.delay = delay
        self.latency = latency_of(delay)
        super().__init__(
            {
                "valid": In(1),
                "ready": Out(1),
                "asks": Out(1),
                "answer": In(IO_DATA_BITS),
                "data": Out(stream.Signature(IO_DATA_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        asked = Signal(self.delay)
        m.d.comb += [
            self.ready.eq(~asked.any() & ~self.data.valid),
            self.asks.eq(self.valid & self.ready),
        ]
        m.d.sync += asked.eq(Cat(self.asks, asked))
        with m.If(asked[-1]):
            m.d.sync += [self.data.valid.eq(1), self.data.payload.eq(self.answer)]
        with m.Elif(self.data.ready):
            m.d.sync += self.data.valid.eq(0)
        return m
