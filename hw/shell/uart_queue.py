"""A queue of many words in a memory, which says how many there are."""

from amaranth import Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory import Ram
from spec.errors import UserError


class UartQueue(wiring.Component):
    """Keeps ``depth`` payloads, in order. What comes in can go out two cycles later.

    Parameters
    ----------
    shape : shape-like
    depth : int
        A power of two.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 2.

    Members
    -------
    i, o : streams of ``shape``
    level : Out
        Payloads that are there.
    restart : In
        Throws them away.
    """

    latency = 2

    def __init__(self, shape, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise UserError(f"a queue of {depth} words: it must be a power of two, from 2 up")
        self.shape = shape
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
                "restart": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = len(Value.cast(self.i.payload))
        m.submodules.words = words = Ram(width, self.depth)
        put, take = Signal(range(self.depth)), Signal(range(self.depth))
        stored = Signal(range(self.depth + 1))
        comes, fetches, goes = Signal(), Signal(), Signal()

        # The memory's answer is the word that goes out: the next one is fetched when it goes.
        m.d.comb += [
            self.i.ready.eq(~self.level[-1]),  # the depth is a power of two
            comes.eq(self.i.valid & self.i.ready),
            goes.eq(self.o.valid & self.o.ready),
            fetches.eq((stored != 0) & (~self.o.valid | self.o.ready)),
            words.write_enable.eq(comes),
            words.write_address.eq(put),
            words.write_data.eq(self.i.payload),
            words.read_enable.eq(fetches),
            words.read_address.eq(take),
            Value.cast(self.o.payload).eq(words.read_data),
        ]
        m.d.sync += [
            stored.eq(stored + comes - fetches),
            self.level.eq(self.level + comes - goes),
        ]
        with m.If(comes):
            m.d.sync += put.eq(put + 1)
        with m.If(fetches):
            m.d.sync += take.eq(take + 1)
        with m.If(fetches | goes):
            m.d.sync += self.o.valid.eq(fetches)
        with m.If(self.restart):
            m.d.sync += [
                stored.eq(0),
                self.level.eq(0),
                put.eq(0),
                take.eq(0),
                self.o.valid.eq(0),
            ]
        return m
