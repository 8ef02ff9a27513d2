"""Sparse matrix read: fetches lines and hands on their entries, one in every cycle."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import MemoryWrite, entry_layout, span_layout, steady, work_layout
from hw.memory import Ram
from spec.eie.config import EieConfig


class MatrixRead(wiring.Component):
    """Walks through the lines of a column and hands on its entries without a gap.

    The first entry is at hand in the cycle after a span was taken; the next span is taken in the
    cycle in which the last entry is handed on. A line is read once per column that touches it.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to the first entry on ``o``: 2, the second being the output register.

    Members
    -------
    i : stream of spans, from pointer read
    o : stream of entries, to weight decode and row accumulate
    write : lines from the host
    busy : Out
        An entry is handed on in this cycle (and leaves ``o`` in the next).
    pad : Out
        That entry is a pad.
    """

    latency = 2

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(span_layout(config))),
                "o": Out(steady(work_layout(config))),
                "write": In(MemoryWrite(config.line_address_bits, config.line_bits)),
                "busy": Out(1),
                "pad": Out(1),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.lines = lines = Ram(config.line_bits, config.lines)
        position = Signal(config.pointer_bits)
        end = Signal(config.pointer_bits)
        value = Signal.like(self.i.payload.value)
        first = Signal()
        last = Signal()
        take = Signal()

        # Take the next column together with the last entry of this one.
        m.d.comb += [
            last.eq(position + 1 == end),
            self.i.ready.eq(~self.busy | last),
            take.eq(self.i.valid & self.i.ready),
        ]
        with m.If(take):
            m.d.sync += [
                self.busy.eq(1),
                first.eq(1),
                position.eq(self.i.payload.start),
                end.eq(self.i.payload.end),
                value.eq(self.i.payload.value),
            ]
        with m.Else():
            m.d.sync += [self.busy.eq(self.busy & ~last), first.eq(0), position.eq(position + 1)]

        # Read the first line of a new column, or the line that follows the one that ends now.
        slot_bits = config.slot_bits
        line_ends = position[:slot_bits].all() if slot_bits else 1
        m.d.comb += [
            lines.read_enable.eq(take | (self.busy & line_ends & ~last)),
            lines.read_address.eq(
                Mux(take, self.i.payload.start >> slot_bits, (position >> slot_bits) + 1)
            ),
        ]

        # Pick the entry from its line.
        entries = data.View(
            data.ArrayLayout(entry_layout(config), config.entries_per_line),
            lines.read_data[: config.entries_per_line * config.entry_bits],
        )
        entry = Signal(entry_layout(config))
        m.d.comb += [
            entry.eq(_pick(m, entries, position[:slot_bits])),
            self.pad.eq(self.busy & (entry.code == 0)),
        ]

        # Hand it on.
        m.d.sync += [
            self.o.valid.eq(self.busy),
            self.o.payload.entry.eq(entry),
            self.o.payload.first.eq(first),
            self.o.payload.value.eq(value),
        ]

        # Write what the host sends.
        m.d.comb += [
            lines.write_enable.eq(self.write.enable),
            lines.write_address.eq(self.write.address),
            lines.write_data.eq(self.write.data),
        ]
        return m


def _pick(m: Module, entries: data.View, slot) -> Signal:
    """One of a power-of-two number of entries, through a tree of two-way choices."""
    level = [Cat(entries[index].as_value()) for index in range(entries.shape().length)]
    for bit in range(len(slot)):
        level = [Mux(slot[bit], level[i + 1], level[i]) for i in range(0, len(level), 2)]
    return level[0]
