"""Requantize: the one rounding of a layer, as :func:`spec.numbers.requantize` states it."""

from amaranth import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spec.numbers import signed_bounds

PART_BITS = 17
"""Lower bits of a sum that is multiplied in two parts: what a signed multiplier of 18 bits takes
without a sign."""

DIGIT_BITS = 2
"""Bits of the shift that one step works off: a choice of four is what two lookup tables make."""


class Requantize(wiring.Component):
    """``saturate(round_half_even((acc + bias) * multiplier / 2**shift))``, then ReLU if asked; one
    per cycle.

    Parameters
    ----------
    acc_bits, multiplier_bits, shift_bits, act_bits : int
        Widths of the accumulator and bias, of multiplier and shift, and of the result.
    split : bool
        Multiply in two cycles: the lower and the upper bits, then their sum. Shift in two: the
        moves, then the rounding.

    Attributes
    ----------
    latency : int
        Cycles from ``acc`` to ``o``: 3, for add, multiply, and shift with rounding; 5 with
        ``split``. Saturation and ReLU stand behind the last register.

    Members
    -------
    acc, bias : In, signed
    multiplier, shift : In
        One and two cycles behind their ``acc``.
    relu : In, held for a whole layer
    o : Out, signed
    """

    latency = 3

    def __init__(
        self,
        *,
        acc_bits: int,
        multiplier_bits: int,
        shift_bits: int,
        act_bits: int,
        split: bool = False,
    ):
        self.split = split
        if split:
            self.latency = Requantize.latency + 2
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
        rounded = Signal(signed(self.act_bits + 1))
        outside = Signal()
        negative = Signal()

        # Add the bias.
        m.d.sync += total.eq(self.acc + self.bias)

        # Scale up. A multiplier of one bit needs none.
        if self.split:
            part = min(PART_BITS, self.acc_bits)
            low, high = Signal(part + self.multiplier_bits), Signal.like(product)
            m.d.sync += [
                low.eq(self._times(total[:part])),
                high.eq(self._times(total[part:].as_signed())),
                product.eq((high << part) + low),
            ]
        else:
            m.d.sync += product.eq(self._times(total))

        # Shift down to the nearest integer, ties to even: a half stands below it, and below that
        # is anything or nothing.
        below = product[-1]
        shifted, rest, beyond = self._shift(m, Cat(0, product).as_signed())
        if self.split:
            shifted, rest, beyond, below = self._keep(m, shifted, rest, beyond, below)
        half, floor = shifted[0], shifted[1:].as_signed()
        m.d.sync += [
            rounded.eq(floor + (half & (rest | floor[0]))),
            outside.eq(beyond),
            negative.eq(below),
        ]

        # Saturate, and clip negative results if asked.
        low, high = signed_bounds(self.act_bits)
        with m.If(negative & self.relu):
            m.d.comb += self.o.eq(0)
        with m.Elif(negative & outside):
            m.d.comb += self.o.eq(low)
        with m.Elif(outside | (rounded[-2:] == 0b01)):
            m.d.comb += self.o.eq(high)
        with m.Else():
            m.d.comb += self.o.eq(rounded)
        return m

    def _times(self, value: Value) -> Value:
        """``value`` times the multiplier."""
        if self.multiplier_bits == 1:
            return Mux(self.multiplier, value, 0)
        return value * self.multiplier

    def _shift(self, m: Module, value: Value) -> tuple[Value, Value, Value]:
        """What of ``value`` a result and the half below it are made of; whether anything below is
        not zero; whether the whole does not fit.

        By large steps first: behind each, only those bits are kept that a smaller one may still
        bring into the result.
        """
        rest, beyond = [], []
        # A register of its own, when the product comes a cycle later.
        shift = self._keep(m, self.shift)[0] if self.split else self.shift
        for low in reversed(range(0, len(shift), DIGIT_BITS)):
            digit = shift[low : low + DIGIT_BITS]
            size = min(len(value), self.act_bits + (1 << low))
            kept = Signal(signed(size), name=f"shifted{low}")
            lost, over = Signal(name=f"lost{low}"), Signal(name=f"over{low}")
            with m.Switch(digit):
                for step in range(1 << len(digit)):
                    count = min(step << low, len(value) - 1)
                    moved = value[count:]
                    with m.Case(step):
                        m.d.comb += [
                            kept.eq(moved.as_signed()),
                            lost.eq(value[:count].any()),
                            over.eq(moved[size - 1 :].any() & ~moved[size - 1 :].all()),
                        ]
            rest.append(lost)
            beyond.append(over)
            value = kept
        return value, Cat(rest).any(), Cat(beyond).any()

    def _keep(self, m: Module, *values: Value) -> list[Signal]:
        """The values a cycle later."""
        kept = [Signal.like(value, name=f"kept{at}") for at, value in enumerate(values)]
        m.d.sync += [late.eq(value) for late, value in zip(kept, values, strict=True)]
        return kept
