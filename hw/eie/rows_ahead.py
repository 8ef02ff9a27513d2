"""Rows ahead: reads rows of activations from far PEs, and has the next one at hand."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import values_layout
from hw.stream_queue import StreamQueue
from spec.config import bits_for
from spec.eie.config import EieConfig
from spec.eie.queues import ROW_CYCLES

ROWS = 8
"""Rows that are asked for and not yet looked at: as many as can be on their way when one is looked
at in every cycle, or more."""


class RowsAhead(wiring.Component):
    """A queue of rows, and as many reads on their way as there is room for.

    Members
    -------
    launch : In
        The first row of a pass is read in this cycle; what was read before is forgotten.
    active : In
        More rows may be needed.
    asks : Out
        The next row is read in this cycle.
    acts : array of activations of all lanes, from each PE, :data:`spec.eie.queues.ROW_CYCLES` later
    take : In
        The row on ``o`` is looked at.
    valid : Out
        There is one.
    o : array of the row's activations
    nonzero : Out
        Which of these are not zero, in any lane.
    """

    def __init__(self, config: EieConfig):
        values = values_layout(config)
        self.config = config
        super().__init__(
            {
                "launch": In(1),
                "active": In(1),
                "asks": Out(1),
                "acts": In(values).array(config.sector_pes),
                "take": In(1),
                "valid": Out(1),
                "o": Out(values).array(config.sector_pes),
                "nonzero": Out(config.sector_pes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row = Cat(act.as_value() for act in self.acts)
        nonzero = Cat(act.as_value().any() for act in self.acts)
        queue = StreamQueue(len(row) + len(nonzero), ROWS)
        m.submodules.queue = ResetInserter(self.launch)(queue)

        # Ask for as many rows as there will be room for.
        promised = Signal(bits_for(ROWS))
        with m.If(self.launch):
            m.d.sync += promised.eq(1)
        with m.Else():
            m.d.sync += promised.eq(promised + self.asks - self.take)
        m.d.comb += self.asks.eq(self.launch | (self.active & (promised != ROWS)))

        # Take them as they come.
        way = Signal(ROW_CYCLES)
        m.d.sync += way.eq(Mux(self.launch, 1, Cat(self.asks, way)))
        m.d.comb += [
            queue.i.valid.eq(way[-1]),
            queue.i.payload.eq(Cat(row, nonzero)),
            self.valid.eq(queue.o.valid),
            queue.o.ready.eq(self.take),
            Cat(*(act.as_value() for act in self.o), self.nonzero).eq(queue.o.payload),
        ]
        return m
