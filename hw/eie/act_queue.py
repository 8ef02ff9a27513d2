"""Activation queue: lets a PE fall behind the broadcast by a few columns."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import column_layout
from spec.config import bits_for
from spec.eie.config import EieConfig


class ActQueue(wiring.Component):
    """Keeps broadcast columns, in order, until this PE has time for them.

    The broadcast waits while the queue of any PE is full, so its depth decides how much imbalance
    between columns the array evens out. What comes in can go out in the next cycle. A full queue
    takes the next column in the cycle after one has gone out: ``i.ready`` is a register.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 1.

    Members
    -------
    i, o : streams of columns
    count : Out
        Columns that it keeps.
    comes, coming : Out
        Another column will be on ``o`` in the next cycle, and its pointer: for a memory that takes
        a cycle to answer.
    """

    latency = 1

    def __init__(self, config: EieConfig):
        self.places = config.queue_places
        layout = column_layout(config)
        super().__init__(
            {
                "i": In(stream.Signature(layout)),
                "o": Out(stream.Signature(layout)),
                "count": Out(bits_for(self.places)),
                "comes": Out(1),
                "coming": Out(config.pointer_address_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        newest, oldest = Signal(range(self.places)), Signal(range(self.places))
        third = Signal(range(self.places), init=2 % self.places)
        count = self.count
        takes, gives = Signal(), Signal()
        pointers = self._keep(m, "pointers", self.i.payload.pointer, takes, newest)
        values = self._keep(m, "values", self.i.payload.values.as_value(), takes, newest)

        # Take a column while there is room, give one while there is any.
        m.d.comb += [
            self.i.ready.eq(count != self.places),
            self.o.valid.eq(count != 0),
            takes.eq(self.i.valid & self.i.ready),
            gives.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += count.eq(count + takes - gives)
        with m.If(takes):
            m.d.sync += newest.eq(self._behind(newest))
        with m.If(gives):
            m.d.sync += [oldest.eq(self._behind(oldest)), third.eq(self._behind(third))]

        # Have the second one at hand, so that what comes next is known early.
        second = Signal.like(self.coming)
        with m.If(gives | (count == 1)):
            m.d.sync += second.eq(Mux(count > 2, pointers.data, self.i.payload.pointer))
        m.d.comb += [
            pointers.addr.eq(third),
            self.coming.eq(Mux(count > 1, second, self.i.payload.pointer)),
            self.comes.eq(Mux(count > 1, gives, takes & (gives | ~self.o.valid))),
        ]

        # Show the oldest one.
        with m.If(self.comes):
            m.d.sync += self.o.payload.pointer.eq(self.coming)
        m.d.comb += [values.addr.eq(oldest), self.o.payload.values.eq(values.data)]
        return m

    def _keep(self, m: Module, name: str, what: Value, takes: Signal, place: Signal):
        """Keep a part of all columns; gives the port to read it, in the same cycle."""
        m.submodules[name] = words = memory.Memory(shape=len(what), depth=self.places, init=[])
        write = words.write_port()
        m.d.comb += [write.en.eq(takes), write.addr.eq(place), write.data.eq(what)]
        return words.read_port(domain="comb")

    def _behind(self, place: Signal):
        """The place behind one of the ring."""
        if self.places & (self.places - 1) == 0:
            return (place + 1)[: len(place)]
        return Mux(place == self.places - 1, 0, place + 1)
