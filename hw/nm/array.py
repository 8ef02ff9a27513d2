"""The array of MAC units: output-stationary, with a drain behind every column."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.emit import Placed
from hw.nm.mac import Mac
from hw.nm.payloads import places_layout, sums_layout, weights_layout, windows_layout
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
        Row r of the sums, r + 1 cycles after they were handed over.
    """

    latency = Mac.latency

    def __init__(self, config: NmConfig):
        self.config = config
        members = {
            "valid": In(1),
            "first": In(1),
            "weights": In(data.ArrayLayout(weights_layout(config), config.rows)),
            "windows": In(data.ArrayLayout(windows_layout(config), config.columns)),
            "hand_over": In(1),
            "o": Out(sums_layout(config)),
        }
        if config.place_bits:
            members["places"] = In(data.ArrayLayout(places_layout(config), config.rows))
        super().__init__(members)

    def elaborate(self, platform):
        config = self.config
        m = Module()
        for column in range(config.columns):
            behind = None
            for row in reversed(range(config.rows)):
                mac = Placed(Mac(config), "nm_mac")
                m.submodules[f"mac{row}_{column}"] = mac
                self._feed(m, mac, row, column)

                # Take over the sum, or move what stands behind one row on.
                drain = Signal(signed(config.acc_bits), name=f"drain{row}_{column}")
                with m.If(self.hand_over):
                    m.d.sync += drain.eq(mac.o)
                if behind is not None:
                    with m.Else():
                        m.d.sync += drain.eq(behind)
                behind = drain
            m.d.comb += self.o[column].eq(behind)
        return m

    def _feed(self, m: Module, mac, row: int, column: int) -> None:
        """Give a MAC unit what its row and its column share."""
        m.d.comb += [
            mac.valid.eq(self.valid),
            mac.first.eq(self.first),
            mac.weights.eq(self.weights[row]),
            mac.windows.eq(self.windows[column]),
        ]
        if self.config.place_bits:
            m.d.comb += mac.places.eq(self.places[row])
