"""Random components that use every operator and statement of Amaranth, to test emission."""

import random

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

Pair = data.StructLayout({"low": 3, "high": signed(4)})


class RandomLogic(wiring.Component):
    """The same seed gives the same logic."""

    def __init__(self, seed: int, registers: bool):
        self.seed = seed
        self.registers = registers
        super().__init__(
            {
                "a": In(signed(5)),
                "b": In(4),
                "c": In(1),
                "d": In(signed(3)),
                "pair": In(Pair),
                **{f"o{index}": Out(shape) for index, shape in enumerate((7, signed(6), 1, 3))},
            }
        )

    def elaborate(self, platform):
        self.random = random.Random(self.seed)
        m = Module()
        self.values = [
            self.a,
            self.b,
            self.c,
            self.d,
            self.pair.low,
            self.pair.high,
            self.pair.as_value(),
        ]
        for index in range(6):
            signal = Signal(
                self.random.choice((1, 3, 5, signed(4), signed(8))), name=f"value{index}"
            )
            domain = self.random.choice(("comb", "sync") if self.registers else ("comb",))
            self._drive(m, m.d[domain], signal)
            self.values.append(signal)
        for output in (self.o0, self.o1, self.o2, self.o3):
            self._drive(m, m.d.comb, output)
        return m

    def _drive(self, m, domain, target) -> None:
        style = self.random.randrange(6)
        if style == 0:
            self._assign(domain, target)
        elif style == 1:
            with m.If(self._value(1).bool()):
                self._assign(domain, target)
        elif style == 2:
            self._assign(domain, target)
            with m.If(self._value(1).bool()):
                self._assign(domain, target)
            with m.Elif(self._value(1).bool()):
                self._assign(domain, target)
                with m.If(self._value(2).bool()):
                    self._part(domain, target)
            with m.Else():
                self._part(domain, target)
        else:
            self._switch(m, domain, target, wild=style == 4)

    def _switch(self, m, domain, target, wild: bool) -> None:
        selector = self._value(1)
        width = len(selector)
        with m.Switch(selector):
            for _ in range(self.random.randrange(1, 4)):
                choices = "01-" if wild else "01"
                patterns = [
                    "".join(self.random.choice(choices) for _ in range(width))
                    for _ in range(self.random.randrange(1, 3))
                ]
                with m.Case(*patterns):
                    if self.random.random() < 0.8:
                        self._part(domain, target)
            if self.random.random() < 0.5:
                with m.Default():
                    self._assign(domain, target)

    def _assign(self, domain, target) -> None:
        domain += target.eq(self._value(3))

    def _part(self, domain, target) -> None:
        start = self.random.randrange(len(target))
        domain += target[start : self.random.randrange(start, len(target)) + 1].eq(self._value(2))

    def _value(self, depth: int) -> Value:
        """A random expression, at most ``depth`` operators deep."""
        if depth == 0 or self.random.random() < 0.1:
            if self.random.random() < 0.15:
                return Const(self.random.randrange(-8, 16), self.random.choice((4, signed(5))))
            return Value.cast(self.random.choice(self.values))
        a, b = self._value(depth - 1), self._value(depth - 1)
        if len(a) > 12 or len(b) > 12:
            return a[:6] ^ b[:6]
        operators = [
            lambda: a + b, lambda: a - b, lambda: a * b, lambda: -a, lambda: ~a, lambda: abs(a),
            lambda: a & b, lambda: a | b, lambda: a ^ b,
            lambda: a == b, lambda: a != b, lambda: a < b, lambda: a <= b,
            lambda: a > b, lambda: a >= b,
            lambda: a << b.as_unsigned()[:2], lambda: a >> b.as_unsigned()[:3],
            lambda: a << 2, lambda: a >> 1, lambda: a.as_signed(), lambda: a.as_unsigned(),
            lambda: a.any(), lambda: a.all(), lambda: a.xor(), lambda: a.bool(),
            lambda: Cat(a, b), lambda: Cat(b, a, b)[: len(a) + 2], lambda: a.replicate(2),
            lambda: a[self.random.randrange(len(a)) :],
            lambda: a[: self.random.randrange(len(a)) + 1],
            lambda: Mux(a, b, self._value(1)), lambda: Mux(self._value(1).any(), a, b),
            lambda: a.bit_select(b.as_unsigned(), min(2, len(a))),
            lambda: a.word_select(b.as_unsigned()[:2], min(3, len(a))),
            lambda: a.as_unsigned() // b.as_unsigned(), lambda: a.as_unsigned() % b.as_unsigned(),
            lambda: a.matches(self.random.randrange(1 << min(3, len(a) - 1))) if len(a) > 1 else ~a,
            lambda: a.rotate_left(1), lambda: a.shift_right(1),
            lambda: a == 0, lambda: a >= 0, lambda: a + 1,
        ]  # fmt: skip
        result = Value.cast(self.random.choice(operators)())
        return result if len(result) else a
