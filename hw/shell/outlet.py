"""Outlet: puts answers and results on the output stream, word by word."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.shell.intake import bus_layout
from spec.config import IO_DATA_BITS
from spec.messages import WORD_BITS, answer_words, words_for
from spec.registers.table import BITS


def answer_layout() -> data.StructLayout:
    """An answer to a read, and whether it is its message's last."""
    return data.StructLayout({"data": IO_DATA_BITS, "last": 1})


class Outlet(wiring.Component):
    """Gives a word in every cycle, the lowest of an item first. Answers go before results.

    Parameters
    ----------
    result_bits : int
        Of a word of the result stream; 0 if there is none.

    Attributes
    ----------
    latency : int
        Cycles from an item to its first word on ``o``: 1.

    Members
    -------
    answers : stream of answers
    results : stream of results, if there is one
    o : stream of words
    first : In
        A run begins: the next result is number one.
    count : In
        The number of the result with which TLAST goes.
    restart : In
        Throws away what is left of an item.
    sending : Out
        A word waits.
    """

    latency = 1

    def __init__(self, result_bits: int):
        self.result_bits = result_bits
        results = {"results": In(stream.Signature(result_bits))} if result_bits else {}
        super().__init__(
            {
                "answers": In(stream.Signature(answer_layout())),
                **results,
                "o": Out(stream.Signature(bus_layout())),
                "first": In(1),
                "count": In(BITS),
                "restart": In(1),
                "sending": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        most = max(answer_words(), words_for(self.result_bits))
        words, left, last = Signal(most * WORD_BITS), Signal(range(most)), Signal()
        room = Signal()

        # Give the lowest word, then the one above.
        m.d.comb += [
            self.sending.eq(self.o.valid),
            self.o.payload.word.eq(words[:WORD_BITS]),
            self.o.payload.last.eq(last & (left == 0)),
            room.eq(~self.o.valid | (self.o.ready & (left == 0))),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                words.eq(words >> WORD_BITS),
                left.eq(left - 1),
                self.o.valid.eq(left != 0),
            ]

        # Take an item when there is room: an answer, or else a result.
        m.d.comb += self.answers.ready.eq(room)
        with m.If(room & self.answers.valid):
            m.d.sync += [
                words.eq(self.answers.payload.data),
                left.eq(answer_words() - 1),
                last.eq(self.answers.payload.last),
                self.o.valid.eq(1),
            ]
        if self.result_bits:
            number, takes = Signal(BITS), Signal()
            m.d.comb += [
                self.results.ready.eq(room & ~self.answers.valid),
                takes.eq(self.results.ready & self.results.valid),
            ]
            with m.If(takes):
                m.d.sync += [
                    words.eq(self.results.payload),
                    left.eq(words_for(self.result_bits) - 1),
                    last.eq(number + 1 == self.count),
                    self.o.valid.eq(1),
                ]
            m.d.sync += number.eq(Mux(self.first, 0, number + takes))
        with m.If(self.restart):
            m.d.sync += self.o.valid.eq(0)
        return m
