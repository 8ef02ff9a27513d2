"""Row: the activations of a sector that non-zero detection looks at."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.count_few import COUNT_BITS, count_few
from hw.eie.payloads import values_layout
from spec.eie.config import EieConfig


class Row(wiring.Component):
    """Remembers which of a row's non-zeros have not been found, and counts them.

    The stores' read ports hold the row. In a pipelined scan they hold the one behind it, and the
    row is a register here: so nothing that follows from it has to reach a store in the same cycle.
    The row behind is counted, too, for the scan to know in a register when it has found all.

    Members
    -------
    acts : array of activations of all lanes, from the store of each PE
    nonzero : In
        Which of them are not zero, in any lane.
    advance : In
        The next row begins: the one that the stores hold then, or, pipelined, do now.
    mark : In
        The first pending one has been found.
    o : array of the row's activations
    pending : Out
        Which of them are non-zero, and have not been found.
    count, coming : Out
        How many are pending, and would be if a row began now, each up to
        :data:`hw.eie.count_few.MANY`.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        values = values_layout(config)
        super().__init__(
            {
                "acts": In(values).array(config.sector_pes),
                "advance": In(1),
                "nonzero": In(config.sector_pes),
                "mark": In(1),
                "o": Out(values).array(config.sector_pes),
                "pending": Out(config.sector_pes),
                "count": Out(COUNT_BITS),
                "coming": Out(COUNT_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pairs = [*zip(self.o, self.acts, strict=True)]
        rest = Signal.like(self.pending)
        m.d.comb += [
            rest.eq(self.pending & (self.pending - 1)),
            self.count.eq(count_few(m, "some", [*self.pending])),
            self.coming.eq(count_few(m, "next", [*self.nonzero])),
        ]

        if self.config.scan_pipeline:
            with m.If(self.advance):
                m.d.sync += [self.pending.eq(self.nonzero), *(row.eq(act) for row, act in pairs)]
            with m.Elif(self.mark):
                m.d.sync += self.pending.eq(rest)
            return m

        left = Signal.like(self.pending)
        with m.If(self.advance):
            m.d.sync += left.eq(~0)
        with m.Elif(self.mark):
            m.d.sync += left.eq(rest)
        m.d.comb += [self.pending.eq(self.nonzero & left), *(row.eq(act) for row, act in pairs)]
        return m
