"""MAC: the N:M sparse multiply-accumulate unit."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.emit import Placed
from hw.nm.dot import Dot, dot_latency
from hw.nm.payloads import places_layout, weights_layout, windows_layout
from hw.nm.select import Select
from spec.nm.config import NmConfig


def mac_latency(config: NmConfig) -> int:
    """Cycles from a step's operands until the accumulator holds its sum."""
    return Select.latency + dot_latency(config) + 1


class Mac(wiring.Component):
    """Every weight picks its activation by its place, is multiplied with it, and all products are
    added to the accumulator; a step per cycle, in every mode.

    The unit knows no modes. Whoever feeds it gives each multiplier the window of its group: in mode
    a:b, multiplier k takes weight ``k % a`` of the group of b activations that it shares with its
    ``a - 1`` neighbours. What a window holds beyond its group is never picked.

    Attributes
    ----------
    latency : int
        Cycles from a step's operands until ``o`` holds its sum, for select, multiply, add up and
        accumulate: :func:`mac_latency`.

    Members
    -------
    valid : In
        A step is here; without, the accumulator keeps what it holds.
    first : In
        The step's sum replaces what the accumulator holds.
    weights, windows, places : In
        Of the step; no places in an array for dense matrices only.
    o : Out, signed
        The accumulator. Exact as long as sums fit, which the compiler proves.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = mac_latency(config)
        members = {
            "valid": In(1),
            "first": In(1),
            "weights": In(weights_layout(config)),
            "windows": In(windows_layout(config)),
            "o": Out(signed(config.acc_bits)),
        }
        if config.place_bits:
            members["places"] = In(places_layout(config))
        super().__init__(members)

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.dot = dot = Dot(config)
        selects = [Placed(Select(config), "nm_select") for _ in range(config.multipliers)]
        weights = Signal(weights_layout(config))
        waiting = Signal(Select.latency + dot.latency)
        firsts = Signal.like(waiting)

        # Select an activation for each weight, and keep the weights beside them.
        m.d.sync += weights.eq(self.weights)
        for k, select in enumerate(selects):
            m.submodules[f"select{k}"] = select
            m.d.comb += [select.window.eq(self.windows[k]), dot.acts[k].eq(select.o)]
            if config.place_bits:
                m.d.comb += select.place.eq(self.places[k])

        # Multiply and add up.
        m.d.comb += dot.weights.eq(weights)
        m.d.sync += [waiting.eq(Cat(self.valid, waiting)), firsts.eq(Cat(self.first, firsts))]

        # Accumulate.
        with m.If(waiting[-1]):
            m.d.sync += self.o.eq(Mux(firsts[-1], 0, self.o) + dot.o)
        return m
