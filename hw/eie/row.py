"""Row: the activations of a sector that non-zero detection looks at."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import values_layout
from spec.eie.config import EieConfig


class Row(wiring.Component):
    """Remembers which of a row's non-zeros have not been found.

    The stores' read ports hold the row. In a pipelined scan they hold the one behind it, and the
    row is a register here: so nothing that follows from it has to reach a store in the same cycle.

    Members
    -------
    acts : array of activations of all lanes, from the store of each PE
    advance : In
        The next row begins: the one that the stores hold then, or, pipelined, do now.
    mark : In
        The non-zero of the PE
    own_pe : In
        has been found.
    o : array of the row's activations
    pending : Out
        Which of them are non-zero in any lane, and have not been found.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        values = values_layout(config)
        super().__init__(
            {
                "acts": In(values).array(config.sector_pes),
                "advance": In(1),
                "mark": In(1),
                "own_pe": In(config.pe_bits),
                "o": Out(values).array(config.sector_pes),
                "pending": Out(config.sector_pes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        nonzero = Cat(act.as_value().any() for act in self.acts)
        pairs = [*zip(self.o, self.acts, strict=True)]

        if self.config.scan_pipeline:
            with m.If(self.advance):
                m.d.sync += [self.pending.eq(nonzero), *(row.eq(act) for row, act in pairs)]
            with m.Elif(self.mark):
                m.d.sync += self.pending.eq(self.pending & ~(1 << self.own_pe))
            return m

        done = Signal(self.config.sector_pes)
        with m.If(self.advance):
            m.d.sync += done.eq(0)
        with m.Elif(self.mark):
            m.d.sync += done.eq(done | (1 << self.own_pe))
        m.d.comb += [self.pending.eq(nonzero & ~done), *(row.eq(act) for row, act in pairs)]
        return m
