"""Pointer read: where a column's entries begin and end, in one cycle."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.payloads import MemoryWrite, column_layout, span_layout
from hw.eie.pointer_store import PointerStore
from spec.eie.config import EieConfig


class PointerRead(wiring.Component):
    """Looks up p[j] and p[j+1] for a column j, and drops the column if it has no entries here.

    The column behind the one that is on ``i`` is always looked up, so that nothing which has to be
    decided in a cycle has to reach a memory in it; what was found is kept until that column has
    gone. A column without entries is held for exactly one cycle.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 1.

    Members
    -------
    i : stream of columns, from the activation queue
    following : In
        Pointer of the column that will be on ``i`` when this one has gone, or comes first.
    o : stream of spans, to matrix read
    write : pointers from the host
    busy : Out
        A column is being looked at.
    empty : Out
        That column has no entries in this PE.
    error : Out
        It ends before it starts, or behind the matrix memory; it is dropped.
    """

    latency = 1

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(column_layout(config))),
                "following": In(config.pointer_address_bits),
                "o": Out(stream.Signature(span_layout(config))),
                "write": In(MemoryWrite(config.pointer_address_bits, config.pointer_bits)),
                "busy": Out(1),
                "empty": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.store = store = PointerStore(config)
        take, fresh = Signal(), Signal()
        found_start, found_end = Signal(config.pointer_bits), Signal(config.pointer_bits)
        start, end = (self.o.payload[name].as_value() for name in ("start", "end"))
        rises, same, behind = Signal(), Signal(), Signal()

        # Look a column up before its turn, and keep what was found while it waits.
        m.d.comb += store.address.eq(self.following)
        m.d.sync += fresh.eq(take | ~self.i.valid)
        with m.If(fresh):
            m.d.sync += [found_start.eq(store.start), found_end.eq(store.end)]

        # Take the next column as soon as this one has gone.
        m.d.comb += [
            self.i.ready.eq(~self.busy | self.empty | self.o.ready),
            take.eq(self.i.valid & self.i.ready),
        ]
        with m.If(self.i.ready):
            m.d.sync += [
                self.busy.eq(take),
                start.eq(Mux(fresh, store.start, found_start)),
                end.eq(Mux(fresh, store.end, found_end)),
                self.o.payload.values.eq(self.i.payload.values),
            ]

        # Hand on the span, or drop it. Compared behind the registers: memories may be far.
        m.d.comb += [
            rises.eq(start < end),
            same.eq(start == end),
            behind.eq(end > config.pointer_limit),
            self.empty.eq(self.busy & (~rises | behind)),
            self.error.eq(self.busy & (~(rises | same) | behind)),
            self.o.valid.eq(self.busy & ~self.empty),
        ]

        # Write what the host sends.
        connect(m, flipped(self.write), store.write)
        return m
