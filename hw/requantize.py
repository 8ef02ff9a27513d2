"""Requantize: the one rounding of a layer, as :func:`spec.numbers.requantize` states it."""

from amaranth import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spec.numbers import signed_bounds


class Requantize(wiring.Component):
    """``saturate(round_half_even((acc + bias) * multiplier / 2**shift))``, then ReLU if asked; one
    per cycle.

    Parameters
    ----------
    acc_bits, multiplier_bits, shift_bits, act_bits : int
        Widths of the accumulator and bias, of multiplier and shift, and of the result.

    Attributes
    ----------
    latency : int
        Cycles from ``acc`` to ``o``: 3, for add, multiply, and shift with rounding. Saturation and
        ReLU stand behind the last register.

    Members
    -------
    acc, bias : In, signed
    multiplier, shift, relu : In, held for a whole layer
    o : Out, signed
    """

    latency = 3

    def __init__(self, *, acc_bits: int, multiplier_bits: int, shift_bits: int, act_bits: int):
        self.acc_bits = acc_bits
        self.multiplier_bits = multiplier_bits
        self.act_bits = act_bits
        super().__init__(
            {
                "acc": In(signed(acc_bits)),
                "bias": In(signed(acc_bits)),
                "multiplier": In(unsigned(multiplier_bits)),
                "shift": In(unsigned(shift_bits)),
                "relu": In(1),
                "o": Out(signed(act_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(self.acc_bits + 1))
        product = Signal(signed(self.acc_bits + 1 + self.multiplier_bits))
        rounded = Signal.like(product)

        # Add the bias.
        m.d.sync += total.eq(self.acc + self.bias)

        # Scale up.
        m.d.sync += product.eq(total * self.multiplier)

        # Shift down to the nearest integer, ties to even: what is shifted out is above, at or below
        # a half.
        shifted = Signal.like(product)
        ones = Signal(len(product))
        half = Signal(len(product))
        above = Signal()
        tie = Signal()
        m.d.comb += [
            shifted.eq(product >> self.shift),
            ones.eq(~(Const(-1, len(product)) << self.shift)),
            half.eq(ones ^ (ones >> 1)),
            above.eq((product & half).any() & (product & (ones >> 1)).any()),
            tie.eq((product & half).any() & ~(product & (ones >> 1)).any()),
        ]
        m.d.sync += rounded.eq(shifted + (above | (tie & shifted[0])))

        # Saturate, and clip negative results if asked.
        low, high = signed_bounds(self.act_bits)
        least = Mux(self.relu, 0, low)
        with m.If(rounded < least):
            m.d.comb += self.o.eq(least)
        with m.Elif(rounded > high):
            m.d.comb += self.o.eq(high)
        with m.Else():
            m.d.comb += self.o.eq(rounded)
        return m
