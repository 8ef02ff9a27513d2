"""Intake: takes messages off the input stream, and hands their items on."""

from collections.abc import Mapping

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spec.messages import ENGINE_BITS, KIND_BITS, WORD_BITS, words_for
from spec.registers.table import ERROR_BITS, ShellError

Takers = Mapping[tuple[int, int], int]
"""Bits of an item, by the engine's number and the kind of the message."""


def bus_layout() -> data.StructLayout:
    """A word of AXI4-Stream, and TLAST."""
    return data.StructLayout({"word": WORD_BITS, "last": 1})


def item_layout(takers: Takers) -> data.StructLayout:
    """An item, what it is, and whether it is its message's last."""
    words = max(words_for(bits) for bits in takers.values())
    return data.StructLayout(
        {"data": words * WORD_BITS, "kind": KIND_BITS, "engine": ENGINE_BITS, "last": 1}
    )


class Intake(wiring.Component):
    """Takes a word in every cycle, as long as items are taken.

    A message that nobody takes, and what is left of one in which something was wrong, is thrown
    away up to its end.

    Attributes
    ----------
    latency : int
        Cycles from an item's last word on ``i`` to the item on ``o``: 1.

    Members
    -------
    i : stream of words
    o : stream of items
    restart : In
        Throws away what has come of a message, and the rest of it when it comes, if
    cut : In
        there is one: of all words that came, those that were thrown away before ``i`` among them,
        the last one did not end its message.
    receiving : Out
        Within a message.
    error : Out
        :class:`spec.registers.table.ShellError` in the cycle in which a message for nobody begins,
        or one ends within an item.
    """

    latency = 1

    def __init__(self, takers: Takers):
        self.takers = takers
        super().__init__(
            {
                "i": In(stream.Signature(bus_layout())),
                "o": Out(stream.Signature(item_layout(takers))),
                "restart": In(1),
                "cut": In(1),
                "receiving": Out(1),
                "error": Out(ERROR_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        word, last, item = self.i.payload.word, self.i.payload.last, self.o.payload
        count = max(words_for(bits) for bits in self.takers.values())
        at, end = Signal(range(count)), Signal(range(count))
        takes = Signal()
        m.d.comb += takes.eq(self.i.valid & self.i.ready)

        # An item waits until it is taken, and all words behind it.
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        # Who takes a message that begins with this word, and in items of how many words.
        known, words = Signal(), Signal(range(count))
        with m.Switch(word):
            for (engine, kind), bits in self.takers.items():
                with m.Case(engine << KIND_BITS | kind):
                    m.d.comb += [known.eq(1), words.eq(words_for(bits) - 1)]

        with m.FSM(name="place"):
            with m.State("HEAD"):
                with m.If(takes):
                    with m.If(~known):
                        m.d.comb += self.error.eq(ShellError.HEADER)
                    m.d.sync += [
                        item.kind.eq(word),
                        item.engine.eq(word >> KIND_BITS),
                        end.eq(words),
                        at.eq(0),
                    ]
                    with m.If(~last):
                        m.next = "DROP"
                        with m.If(known):
                            m.next = "ITEM"
                self._restart(m)
            with m.State("ITEM"):
                m.d.comb += self.receiving.eq(1)
                with m.If(takes):
                    whole = at == end
                    with m.If(last & ~whole):
                        m.d.comb += self.error.eq(ShellError.CUT)
                    m.d.sync += [
                        item.data.word_select(at, WORD_BITS).eq(word),
                        item.last.eq(last),
                        at.eq(Mux(whole, 0, at + 1)),
                        self.o.valid.eq(whole),
                    ]
                    with m.If(last):
                        m.next = "HEAD"
                self._restart(m)
            with m.State("DROP"):
                m.d.comb += self.receiving.eq(1)
                with m.If(takes & last):
                    m.next = "HEAD"
                self._restart(m)
        with m.If(self.restart):
            m.d.sync += self.o.valid.eq(0)
        return m

    def _restart(self, m: Module) -> None:
        """Begin anew, behind a message that has come in part."""
        with m.If(self.restart):
            m.next = "HEAD"
            with m.If(self.cut):
                m.next = "DROP"
