"""Row accumulate: turns runs into row numbers."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import steady, update_layout, work_layout
from spec.eie.config import EieConfig, bits_for


class RowAccumulate(wiring.Component):
    """Adds up the runs of a column: an entry stands ``run + 1`` rows below the one before it.

    Pads move the row and make no update. An entry behind the last row of the pass makes no update
    either, and raises ``error``.

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
        # One bit more than either operand, so that the row of an entry in place never wraps; once a
        # column has left the pass it stays outside.
        next_row = Signal(max(config.row_bits, config.run_bits) + 1)
        row = Signal.like(next_row)
        left = Signal()
        outside = Signal()
        weighs = Signal()

        # Step down from the row before, or from the top of the column.
        m.d.comb += [
            row.eq(Mux(self.i.payload.first, 0, next_row) + entry.run),
            outside.eq((left & ~self.i.payload.first) | (row >= self.rows)),
            weighs.eq(self.i.valid & (entry.code != 0)),
            self.error.eq(weighs & outside),
        ]
        with m.If(self.i.valid):
            m.d.sync += [next_row.eq(row + 1), left.eq(outside)]

        # Hand on the update.
        m.d.sync += [
            self.o.valid.eq(weighs & ~outside),
            self.o.payload.row.eq(row),
            self.o.payload.value.eq(self.i.payload.value),
        ]
        return m
