"""Dot: products of weights and activations, and their sum."""

from amaranth import Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.nm.logic_multiply import LogicMultiply
from hw.nm.payloads import weights_layout
from spec.nm.config import NmConfig
from spec.nm.cycles import WAY_CYCLES


def dot_latency(config: NmConfig) -> int:
    """Cycles from operands to their sum."""
    return 2 + 2 * WAY_CYCLES * config.pipeline


class Dot(wiring.Component):
    """Multiplies in the first cycle, adds in the second; exact.

    With ``pipeline`` operands and products have :data:`spec.nm.cycles.WAY_CYCLES` registers more
    each, for the way to multipliers, which stand where a part has them, and back. A multiplier out
    of logic (:attr:`spec.nm.config.NmConfig.logic_multipliers`) uses one of these for itself.

    Attributes
    ----------
    latency : int
        Cycles from operands to ``o``: :func:`dot_latency`.

    Members
    -------
    weights, acts : In
        One of each for every multiplier.
    o : Out, signed
        Wide enough for any sum.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = dot_latency(config)
        product_bits = config.weight_bits + config.act_bits
        self.product = signed(product_bits)
        sum_bits = product_bits + (config.multipliers - 1).bit_length()
        super().__init__(
            {
                "weights": In(weights_layout(config)),
                "acts": In(data.ArrayLayout(signed(config.act_bits), config.multipliers)),
                "o": Out(signed(sum_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        products = []

        # Multiply.
        way = WAY_CYCLES * self.config.pipeline
        for k in range(self.config.multipliers):
            weight = _late(m, f"weight{k}", self.weights[k], way)
            act = _late(m, f"act{k}", self.acts[k], way)
            if k < self.config.logic_multipliers:
                logic = LogicMultiply(len(act), len(weight), split=self.config.pipeline)
                m.submodules[f"multiply{k}"] = logic
                m.d.comb += [logic.a.eq(act), logic.b.eq(weight)]
                products.append(_late(m, f"kept{k}", logic.o, way + 1 - logic.latency))
            else:
                product = Signal(self.product, name=f"product{k}")
                m.d.sync += product.eq(weight * act)
                products.append(_late(m, f"kept{k}", product, way))

        # Add up, as a tree.
        while len(products) > 1:
            products = [a + b for a, b in zip(products[::2], products[1::2], strict=True)]
        m.d.sync += self.o.eq(products[0])
        return m


def _late(m: Module, name: str, value: Value, cycles: int) -> Value:
    """The value some cycles later."""
    for cycle in range(cycles):
        late = Signal.like(value, name=f"{name}_{cycle}")
        m.d.sync += late.eq(value)
        value = late
    return value
