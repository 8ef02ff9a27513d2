"""Column: the MAC units of a column, and the drain registers behind them."""

from amaranth import Module, ShapeLike, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.emit import Placed
from hw.nm.mac import Mac, mac_latency
from hw.nm.payloads import places_layout, weights_layout, windows_layout
from spec.nm.config import NmConfig

OF_ROW = ("weights", "places")
"""Operands that are another one for each row."""


def mac_members(config: NmConfig, windows: ShapeLike, sums: ShapeLike) -> dict[str, wiring.Member]:
    """Members of a :class:`MacColumn`, or of an array of such, with windows and sums of these
    shapes."""
    members = {
        "valid": In(1),
        "first": In(1),
        "weights": In(data.ArrayLayout(weights_layout(config), config.rows)),
        "windows": In(windows),
        "hand_over": In(1),
        "o": Out(sums),
    }
    if config.place_bits:
        members["places"] = In(data.ArrayLayout(places_layout(config), config.rows))
    return members


class MacColumn(wiring.Component):
    """A MAC unit for each row; all pick from the same windows.

    With ``pipeline`` all that comes in goes into registers of the column first: there is a long way
    to all columns.

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
    hand_over : In
        Copy all sums into the drain registers; at most every ``rows`` cycles.
    o : Out, signed
        Row r of the sums, r + 1 cycles after they were handed over, or one more with ``pipeline``.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = mac_latency(config)
        super().__init__(mac_members(config, windows_layout(config), signed(config.acc_bits)))

    def elaborate(self, platform):
        config = self.config
        m = Module()
        heard = {name: getattr(self, name) for name in self.signature.members if name != "o"}
        if config.pipeline:
            for name, port in heard.items():
                heard[name] = Signal.like(port, name=f"own_{name}")
                m.d.sync += heard[name].eq(port)
        hand_over = heard.pop("hand_over")

        behind = None
        for row in reversed(range(config.rows)):
            m.submodules[f"mac{row}"] = mac = Placed(Mac(config), "nm_mac")
            for name, value in heard.items():
                m.d.comb += getattr(mac, name).eq(value[row] if name in OF_ROW else value)

            # Take over the sum, or move what stands behind one row on.
            drain = Signal(signed(config.acc_bits), name=f"drain{row}")
            with m.If(hand_over):
                m.d.sync += drain.eq(mac.o)
            if behind is not None:
                with m.Else():
                    m.d.sync += drain.eq(behind)
            behind = drain
        m.d.comb += self.o.eq(behind)
        return m
