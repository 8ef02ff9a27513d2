"""Answers: the host's reads, one after the other."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spec.config import IO_DATA_BITS


class Answers(wiring.Component):
    """Takes a read in every second cycle, and keeps its answer until the host takes it.

    Attributes
    ----------
    latency : int
        Cycles from a read to its answer on ``data``: 2.

    Members
    -------
    valid : In
        A read may be taken.
    ready : Out
        It is, if it is there: the answer before has somewhere to go.
    asks : Out
        A read is taken in this cycle.
    answer : In
        In the next one.
    data : stream of answers, in order
    """

    latency = 2

    def __init__(self):
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
        asked = Signal()
        m.d.comb += [
            self.ready.eq(~asked & (~self.data.valid | self.data.ready)),
            self.asks.eq(self.valid & self.ready),
        ]
        m.d.sync += asked.eq(self.asks)
        with m.If(asked):
            m.d.sync += [self.data.valid.eq(1), self.data.payload.eq(self.answer)]
        with m.Elif(self.data.ready):
            m.d.sync += self.data.valid.eq(0)
        return m
