"""Dot: products of weights and activations, and their sum."""

from amaranth import Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import weights_layout
from spec.nm.config import NmConfig


def dot_latency(config: NmConfig) -> int:
    """Cycles from operands to their sum."""
    return Dot.latency + 2 * config.pipeline


class Dot(wiring.Component):
    """Multiplies in the first cycle, adds in the second; exact.

    With ``pipeline`` operands and products have a register more each, for the way to multipliers,
    which stand where a part has them, and back.

    Attributes
    ----------
    latency : int
        Cycles from operands to ``o``: 2, or 4 with ``pipeline``.

    Members
    -------
    weights, acts : In
        One of each for every multiplier.
    o : Out, signed
        Wide enough for any sum.
    """

    latency = 2

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
        for k in range(self.config.multipliers):
            product = Signal(self.product, name=f"product{k}")
            weight, act = self.weights[k], self.acts[k]
            if self.config.pipeline:
                weight, act = self._keep(m, f"weight{k}", weight), self._keep(m, f"act{k}", act)
            m.d.sync += product.eq(weight * act)
            products.append(self._keep(m, f"kept{k}", product) if self.config.pipeline else product)

        # Add up, as a tree.
        while len(products) > 1:
            products = [a + b for a, b in zip(products[::2], products[1::2], strict=True)]
        m.d.sync += self.o.eq(products[0])
        return m

    def _keep(self, m: Module, name: str, value: Value) -> Signal:
        """The value a cycle later."""
        late = Signal.like(value, name=name)
        m.d.sync += late.eq(value)
        return late
