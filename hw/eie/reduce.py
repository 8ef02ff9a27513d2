"""Reduce: adds up the sums of all clusters, and says which cluster keeps the result."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import settings_layout, sums_layout
from spec.config import bits_for
from spec.eie.config import EieConfig


class Reduce(wiring.Component):
    """A butterfly over the PEs: step k adds, in every PE, the sum of the PE that lies half a
    cluster of the step before away; steps that the running pass does not ask for only pass on.

    After the last step every PE of a place holds the sum over all clusters, so each of them can
    turn it into an activation. They take turns: with C clusters, row r goes to cluster r % C.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: one per halving that the configuration allows.

    Members
    -------
    settings : In
        Of the running pass: how often the array is halved.
    enable : In
        Rows are being drained.
    i, o : sums of every PE, in every lane
    store_enable, store_row : In
        A row is stored in this cycle, and which one.
    stores : Out
        In which sectors.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        self.latency = config.splits
        sums = sums_layout(config)
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "enable": In(1),
                "i": In(sums).array(config.pes),
                "o": Out(sums).array(config.pes),
                "store_enable": In(1),
                "store_row": In(bits_for(config.clusters - 1)),
                "stores": Out(config.clusters),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()

        # Add up, halving by halving.
        sums = [self.i[pe] for pe in range(config.pes)]
        for halving in range(1, config.splits + 1):
            sums = self._add(m, sums, halving)
        m.d.comb += [self.o[pe].eq(sums[pe]) for pe in range(config.pes)]

        # Pick the cluster that stores.
        with m.Switch(self.settings.split):
            for split in range(config.splits + 1):
                with m.Case(split):
                    for sector in range(config.clusters):
                        cluster = sector >> (config.splits - split)
                        mine = (self.store_row & ((1 << split) - 1)) == cluster
                        m.d.comb += self.stores[sector].eq(self.store_enable & mine)
        return m

    def _add(self, m: Module, sums: list[data.View], halving: int) -> list[data.View]:
        """One step, and its registers."""
        config = self.config
        half = config.pes >> halving
        on = self.settings.split >= halving
        results = []
        for pe in range(config.pes):
            other = sums[pe + half if pe // half % 2 == 0 else pe - half]
            result = Signal(sums_layout(config), name=f"sum{halving}_{pe}")
            with m.If(self.enable):
                for lane in range(config.lanes):
                    m.d.sync += result[lane].eq(sums[pe][lane] + Mux(on, other[lane], 0))
            results.append(result)
        return results
