"""Pointer read: where a column's entries begin and end, in one cycle, from two banks."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import MemoryWrite, column_layout, span_layout
from hw.memory import Ram
from spec.eie.config import EieConfig


class PointerRead(wiring.Component):
    """Looks up p[j] and p[j+1] for a column j, and drops the column if it has no entries here.

    Pointers of even address stand in one bank, odd ones in the other, so any two neighbours come in
    one cycle. A column without entries is held for exactly one cycle.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 1.

    Members
    -------
    i : stream of columns, from the activation queue
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
        m.submodules.even = even = Ram(config.pointer_bits, config.bank_columns)
        m.submodules.odd = odd = Ram(config.pointer_bits, config.bank_columns)
        is_odd = Signal()
        values = Signal.like(self.i.payload.values)
        take = Signal()
        address = self.i.payload.pointer

        # Take the next column as soon as this one has gone.
        m.d.comb += [
            self.i.ready.eq(~self.busy | self.empty | self.o.ready),
            take.eq(self.i.valid & self.i.ready),
        ]
        with m.If(self.i.ready):
            m.d.sync += self.busy.eq(take)
        with m.If(take):
            m.d.sync += [is_odd.eq(address[0]), values.eq(self.i.payload.values)]

        # Read this pointer and the next one; they never share a bank.
        m.d.comb += [
            even.read_enable.eq(take),
            even.read_address.eq((address + 1) >> 1),
            odd.read_enable.eq(take),
            odd.read_address.eq(address >> 1),
        ]

        # Hand on the span, or drop it.
        start, end = self.o.payload.start.as_value(), self.o.payload.end.as_value()
        bad = Signal()
        m.d.comb += [
            start.eq(Mux(is_odd, odd.read_data, even.read_data)),
            end.eq(Mux(is_odd, even.read_data, odd.read_data)),
            self.o.payload.values.eq(values),
            bad.eq((end < start) | (end > config.pointer_limit)),
            self.empty.eq(self.busy & ((start == end) | bad)),
            self.error.eq(self.busy & bad),
            self.o.valid.eq(self.busy & ~self.empty),
        ]

        # Write what the host sends.
        for bank, parity in ((even, 0), (odd, 1)):
            m.d.comb += [
                bank.write_enable.eq(self.write.enable & (self.write.address[0] == parity)),
                bank.write_address.eq(self.write.address >> 1),
                bank.write_data.eq(self.write.data),
            ]
        return m
