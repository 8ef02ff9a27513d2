"""Row accumulate: turns runs into row numbers."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import update_layout, work_layout
from hw.streams import steady
from spec.config import bits_for
from spec.eie.config import EieConfig


class RowAccumulate(wiring.Component):
    """Adds up the runs of a column: an entry stands ``run + 1`` rows below the one before it.

    Pads move the row and make no update; those that share an entry's cycle come as its ``jump``. An
    entry behind the last row of the pass makes no update either, and raises ``error``.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 1.

    Members
    -------
    i : stream of entries, from matrix read
    o : stream of updates, to the MAC
    rows : In
        Rows of the pass in this PE.
    error : Out
    """

    latency = 1

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "i": In(steady(work_layout(config))),
                "o": Out(steady(update_layout(config))),
                "rows": In(bits_for(config.rows)),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        entry = self.i.payload.entry
        # Two bits more than the widest operand, so that the row of an entry in place never wraps;
        # once a column has left the pass it stays outside.
        next_row = Signal(max(config.row_bits, config.run_bits_most) + 2)
        row = Signal.like(next_row)
        left = Signal()
        outside = Signal()
        weighs = Signal()
        before = Signal.like(self.i.payload.jump)
        behind = Signal.like(self.i.payload.jump)

        # Step down from the row before, or from the top of the column.
        m.d.comb += [
            before.eq(Mux(self.i.payload.behind, 0, self.i.payload.jump)),
            behind.eq(Mux(self.i.payload.behind, self.i.payload.jump, 0)),
            row.eq(Mux(self.i.payload.first, 0, next_row) + (before + entry.run)),
            outside.eq((left & ~self.i.payload.first) | (row >= self.rows)),
            weighs.eq(self.i.valid & (entry.code != 0)),
            self.error.eq(weighs & outside),
        ]
        with m.If(self.i.valid):
            m.d.sync += [next_row.eq(row + 1 + behind), left.eq(outside)]

        # Hand on the update.
        m.d.sync += [
            self.o.valid.eq(weighs & ~outside),
            self.o.payload.row.eq(row),
            self.o.payload.values.eq(self.i.payload.values),
        ]
        return m
