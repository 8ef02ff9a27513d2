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
    following : Out
        Pointer of the column that comes to be on ``o`` when this one goes, or comes first, in this
        cycle: for a memory that takes a cycle to answer. Follows from registers and ``i``.
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
                "following": Out(config.pointer_address_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        newest, oldest = Signal(range(self.places)), Signal(range(self.places))
        second = Signal(range(self.places), init=1 % self.places)
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
            m.d.sync += [oldest.eq(self._behind(oldest)), second.eq(self._behind(second))]

        # Show the oldest one, and where to look the one behind it up. (In a PE nobody reads the
        # pointer of the oldest one any more, and its port is cut away.)
        following = _read(pointers, m, second)
        m.d.comb += [
            self.o.payload.pointer.eq(_read(pointers, m, oldest)),
            self.o.payload.values.eq(_read(values, m, oldest)),
            self.following.eq(Mux(count > 1, following, self.i.payload.pointer)),
        ]
        return m

    def _keep(
        self, m: Module, name: str, what: Value, takes: Signal, place: Signal
    ) -> memory.Memory:
        """Keep a part of all columns."""
        m.submodules[name] = words = memory.Memory(shape=len(what), depth=self.places, init=[])
        write = words.write_port()
        m.d.comb += [write.en.eq(takes), write.addr.eq(place), write.data.eq(what)]
        return words

    def _behind(self, place: Signal):
        """The place behind one of the ring."""
        if self.places & (self.places - 1) == 0:
            return (place + 1)[: len(place)]
        return Mux(place == self.places - 1, 0, place + 1)


def _read(words: memory.Memory, m: Module, place: Signal) -> Signal:
    """A word of a memory, in the same cycle."""
    port = words.read_port(domain="comb")
    m.d.comb += port.addr.eq(place)
    return port.data
