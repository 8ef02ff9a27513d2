"""The array of MAC units: output-stationary, with a drain behind every column."""

from amaranth import Module
from amaranth.lib import data, wiring

from hw.emit import Placed
from hw.nm.column import MacColumn, mac_members
from hw.nm.mac import mac_latency
from hw.nm.payloads import sums_layout, windows_layout
from spec.nm.config import NmConfig


class MacArray(wiring.Component):
    """Rows of MAC units share weights and places, columns share windows.

    Sums stay where they are for a tile. Handed over, they leave row by row through the drain
    registers while the accumulators are at work on the next tile.

    Attributes
    ----------
    latency : int
        Cycles from a step's operands until its sums can be handed over.

    Members
    -------
    valid, first : In
        As those of :class:`hw.nm.mac.Mac`.
    weights, places : In
        Of each row.
    windows : In
        Of each column.
    hand_over : In
        Copy all sums into the drain registers; at most every ``rows`` cycles.
    o : Out
        Row r of the sums, r + 1 cycles after they were handed over, or one more with ``pipeline``.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = mac_latency(config)
        windows = data.ArrayLayout(windows_layout(config), config.columns)
        super().__init__(mac_members(config, windows, sums_layout(config)))

    def elaborate(self, platform):
        m = Module()
        for number in range(self.config.columns):
            column = Placed(MacColumn(self.config), "nm_column")
            m.submodules[f"column{number}"] = column
            m.d.comb += [
                column.valid.eq(self.valid),
                column.first.eq(self.first),
                column.weights.eq(self.weights),
                column.windows.eq(self.windows[number]),
                column.hand_over.eq(self.hand_over),
                self.o[number].eq(column.o),
            ]
            if self.config.place_bits:
                m.d.comb += column.places.eq(self.places)
        return m
