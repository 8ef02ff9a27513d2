"""Select: a weight's place picks its activation."""

from amaranth import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import window_layout
from spec.nm.config import NmConfig


class Select(wiring.Component):
    """Picks one activation of a window of ``m``.

    The register stands behind the choice, so that it is in no path with the multiplier. In an array
    for dense matrices only there is nothing to choose, and no ``place``.

    Attributes
    ----------
    latency : int
        Cycles from ``window`` to ``o``: 1.

    Members
    -------
    window : In
    place : In
    o : Out, signed
    """

    latency = 1

    def __init__(self, config: NmConfig):
        self.config = config
        members = {"window": In(window_layout(config)), "o": Out(signed(config.act_bits))}
        if config.place_bits:
            members["place"] = In(unsigned(config.place_bits))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        picked = Signal.like(self.o)

        # Pick.
        if self.config.place_bits:
            with m.Switch(self.place):
                for place in range(self.config.m):
                    with m.Case(place):
                        m.d.comb += picked.eq(self.window[place])
        else:
            m.d.comb += picked.eq(self.window[0])
        m.d.sync += self.o.eq(picked)
        return m
