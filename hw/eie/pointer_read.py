"""Pointer read: where a column's entries begin and end, in one cycle."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.payloads import MemoryWrite, column_layout, span_layout
from hw.eie.pointer_store import PointerStore
from spec.eie.config import EieConfig


class PointerRead(wiring.Component):
    """Looks up p[j] and p[j+1] for a column j, and drops the column if it has no entries here.

    The pointers are read while the column is on its way to the head of the activation queue, and
    compared when it is there. A column without entries is held for exactly one cycle.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 1.

    Members
    -------
    i : stream of columns, from the activation queue
    comes, coming : In
        Another column will be on ``i`` in the next cycle, and its pointer.
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
                "comes": In(1),
                "coming": In(config.pointer_address_bits),
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
        take = Signal()
        rises, same, swapped = Signal(), Signal(), Signal()
        backward, behind = Signal(), Signal()

        # Read this pointer and the next one.
        m.d.comb += [store.enable.eq(self.comes), store.address.eq(self.coming)]

        # Take the next column as soon as this one has gone, and compare its pointers.
        m.d.comb += [
            self.i.ready.eq(~self.busy | self.empty | self.o.ready),
            take.eq(self.i.valid & self.i.ready),
        ]
        with m.If(self.i.ready):
            m.d.sync += self.busy.eq(take)
        with m.If(take):
            m.d.sync += [
                self.o.payload.start.eq(store.start),
                self.o.payload.end.eq(store.end),
                self.o.payload.values.eq(self.i.payload.values),
                rises.eq(store.rises),
                same.eq(store.same),
                swapped.eq(store.swapped),
                behind.eq(store.end > config.pointer_limit),
            ]
        m.d.comb += backward.eq(Mux(swapped, rises, ~(rises | same)))

        # Hand on the span, or drop it.
        m.d.comb += [
            self.empty.eq(self.busy & (same | backward | behind)),
            self.error.eq(self.busy & (backward | behind)),
            self.o.valid.eq(self.busy & ~self.empty),
        ]

        # Write what the host sends.
        connect(m, flipped(self.write), store.write)
        return m
