"""Row: the activations of a sector that non-zero detection looks at."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import values_layout
from spec.config import bits_for
from spec.eie.config import EieConfig

MANY = 3
"""As far as non-zeros are counted: when there are two and one goes, one is left."""

COUNT_BITS = bits_for(MANY)


def count_few(m: Module, name: str, counts: Sequence[Value]) -> Value:
    """How many these are together, up to :data:`MANY`: a tree of additions, of two lookup tables
    each."""
    if len(counts) == 1:
        return counts[0]
    half = len(counts) // 2
    parts = (count_few(m, f"{name}0", counts[:half]), count_few(m, f"{name}1", counts[half:]))
    (ones, twos), (more_ones, more_twos) = ((part[:1], part[1:].any()) for part in parts)
    few = Signal(COUNT_BITS, name=name)
    odd_or_full = (twos & more_twos) | ones | more_ones
    m.d.comb += few.eq(
        Cat(
            Mux(twos | more_twos, odd_or_full, ones ^ more_ones),
            twos | more_twos | (ones & more_ones),
        )
    )
    return few


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
        How many are pending, and would be if a row began now, each up to :data:`MANY`.
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
