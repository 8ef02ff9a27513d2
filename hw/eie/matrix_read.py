"""Sparse matrix read: fetches lines and hands on their entries, a weight in every cycle."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import (
    MemoryWrite,
    element_settings_layout,
    entry_layout,
    pointer_layout,
    span_layout,
    work_layout,
)
from hw.memory import Ram
from hw.streams import steady
from spec.eie.config import EieConfig


class MatrixRead(wiring.Component):
    """Walks through the lines of a column and hands on its entries without a gap.

    The first entry is at hand in the cycle after a span was taken; the next span is taken in the
    cycle in which the last entry is handed on. A line is read once per column that touches it. A
    pad shares the cycle of a neighbour in its line, as :func:`spec.eie.work.shared_pads` says.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to the first entry on ``o``: 2, the second being the output register.

    Members
    -------
    i : stream of spans, from pointer read
    o : stream of entries, to weight decode and row accumulate
    settings : In
        Of the running pass: the width of its runs.
    write : lines from the host
    busy : Out
        An entry is handed on in this cycle (and leaves ``o`` in the next).
    pad : Out
        The entry on ``o`` is a pad, on its own.
    reads : Out
        A line is read in this cycle.
    """

    latency = 2

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(span_layout(config))),
                "o": Out(steady(work_layout(config))),
                "settings": In(element_settings_layout(config)),
                "write": In(MemoryWrite(config.line_address_bits, config.line_bits)),
                "busy": Out(1),
                "pad": Out(1),
                "reads": Out(1),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.lines = lines = Ram(config.line_bits, config.lines)
        slot = Signal(config.slot_bits)
        one = Signal(pointer_layout(config))
        step = Signal(pointer_layout(config))
        coming = Signal(pointer_layout(config))
        end = Signal(config.pointer_bits)
        values = Signal.like(self.i.payload.values)
        first = Signal()
        share = Signal()
        last = Signal()
        take = Signal()

        this, following = self._look(m, lines.read_data, slot)

        # Step to the next entry, or over it if it shares this one's cycle; at most to the next
        # line.
        ends = one.as_value() >= end
        m.d.comb += [step.eq(one), last.eq(ends)]
        if config.share_pads:
            two = self._behind(m, one, "two")
            leads, trails = following.code != 0, (following.code == 0) & (two.slot == 0)
            here = (one.slot != 0) & ~ends
            m.d.comb += share.eq(here & Mux(this.code == 0, leads, trails))
            with m.If(share):
                m.d.comb += [step.eq(two), last.eq(two.as_value() >= end)]

        # Take the next column together with the last entry of this one.
        m.d.comb += [
            self.i.ready.eq(~self.busy | last),
            take.eq(self.i.valid & self.i.ready),
            coming.as_value().eq(Mux(take, self.i.payload.start.as_value(), step.as_value())),
        ]
        m.d.sync += [
            self.busy.eq(take | (self.busy & ~last)),
            first.eq(take),
            slot.eq(coming.slot),
            one.eq(self._behind(m, coming, "following_one")),
        ]
        with m.If(take):
            m.d.sync += [end.eq(self.i.payload.end), values.eq(self.i.payload.values)]

        # Read the first line of a new column, or the line that follows the one that ends now.
        m.d.comb += [
            self.reads.eq(take | (self.busy & (step.slot == 0) & ~last)),
            lines.read_enable.eq(self.reads),
            lines.read_address.eq(coming.line),
        ]

        self._hand_on(m, this, following, share)
        m.d.sync += [self.o.payload.first.eq(first), self.o.payload.values.eq(values)]
        self._write(m, lines)
        return m

    def _write(self, m: Module, lines: Ram) -> None:
        """Write what the host sends."""
        m.d.comb += [
            lines.write_enable.eq(self.write.enable),
            lines.write_address.eq(self.write.address),
            lines.write_data.eq(self.write.data),
        ]

    def _look(self, m: Module, line, slot):
        """The entry at hand, and the one behind it in its line."""
        entries = self._entries(m, line)
        this = Signal(entry_layout(self.config))
        following = Signal(entry_layout(self.config))
        m.d.comb += [
            this.eq(_pick(entries, slot)),
            following.eq(_pick([*entries[1:], Const(0, len(entries[0]))], slot)),
        ]
        return this, following

    def _hand_on(self, m: Module, this, following, share: Signal) -> None:
        """Hand on the weight, or a pad that found no company."""
        pad_leads = share & (this.code == 0)
        pad = Mux(pad_leads, this.run, following.run)
        m.d.comb += self.pad.eq(self.o.valid & (self.o.payload.entry.code == 0))
        m.d.sync += [
            self.o.valid.eq(self.busy),
            self.o.payload.entry.eq(Mux(pad_leads, following, this)),
            self.o.payload.jump.eq(Mux(share, pad + 1, 0)),
            self.o.payload.behind.eq(~pad_leads),
        ]

    def _widths(self) -> range:
        """The widths that runs may have, in the order of ``settings.widen``."""
        return range(self.config.run_bits, self.config.run_bits_most + 1)

    def _last_slot(self, m: Module) -> Signal:
        """Slot of the last entry of a line."""
        last = Signal(self.config.slot_bits, name="last_of_line")
        with m.Switch(self.settings.widen):
            for widen, run_bits in enumerate(self._widths()):
                with m.Case(widen):
                    m.d.comb += last.eq(self.config.entries_per_line(run_bits) - 1)
        return last

    def _entries(self, m: Module, line: Signal) -> list[Signal]:
        """The entries of a line, each as wide as an entry may be; a power of two of them."""
        config = self.config
        entries = [
            Signal(entry_layout(config).size, name=f"entry{slot}")
            for slot in range(1 << config.slot_bits)
        ]
        with m.Switch(self.settings.widen):
            for widen, run_bits in enumerate(self._widths()):
                width = config.code_bits + run_bits
                with m.Case(widen):
                    for slot in range(config.entries_per_line(run_bits)):
                        m.d.comb += entries[slot].eq(line[slot * width : (slot + 1) * width])
        return entries

    def _behind(self, m: Module, position: data.View, name: str) -> data.View:
        """The position of the next entry, at most the first of the next line."""
        behind = Signal(pointer_layout(self.config), name=name)
        ends_line = position.slot >= self._last_slot(m)
        m.d.comb += [
            behind.line.eq(position.line + ends_line),
            behind.slot.eq(Mux(ends_line, 0, position.slot + 1)),
        ]
        return behind


def _pick(entries: list[Signal], slot: Signal) -> Signal:
    """One of a power-of-two number of entries, through a tree of two-way choices."""
    level = [Cat(entry) for entry in entries]
    for bit in range(len(slot)):
        level = [Mux(slot[bit], level[i + 1], level[i]) for i in range(0, len(level), 2)]
    return level[0]
