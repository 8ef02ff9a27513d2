"""A multiplier out of logic, for parts that have few others or none nearby."""

from typing import NamedTuple

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Row(NamedTuple):
    """``value << place`` of a product, or minus that."""

    value: Value
    place: int
    negative: bool


class LogicMultiply(wiring.Component):
    """Multiplies by hand: a row of the product for each bit of ``b``, added up as a tree. The row
    of the sign is subtracted.

    Parameters
    ----------
    a_bits, b_bits : int
        Widths of the signed factors; ``b`` has a bit beside its sign.
    split : bool
        The last addition takes a cycle of its own.

    Attributes
    ----------
    latency : int
        Cycles from factors to ``o``: 1, or 2 when ``split``.

    Members
    -------
    a, b : In, signed
    o : Out, signed
        Their product; exact.
    """

    def __init__(self, a_bits: int, b_bits: int, *, split: bool):
        self.split = split
        self.latency = 1 + split
        super().__init__(
            {
                "a": In(signed(a_bits)),
                "b": In(signed(b_bits)),
                "o": Out(signed(a_bits + b_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        sign = len(self.b) - 1
        rows = [Row(Mux(bit, self.a, 0), at, at == sign) for at, bit in enumerate(self.b)]
        while len(rows) > 1:
            if self.split and len(rows) == 2:
                rows = [self._keep(m, row) for row in rows]
            pairs = zip(rows[::2], rows[1::2], strict=False)
            rows = [*(_add(m, *pair) for pair in pairs), *rows[len(rows) & ~1 :]]
        m.d.sync += self.o.eq(rows[0].value)
        return m

    def _keep(self, m: Module, row: Row) -> Row:
        """The row a cycle later."""
        late = Signal.like(row.value, name="late")
        m.d.sync += late.eq(row.value)
        return row._replace(value=late)


def _add(m: Module, low: Row, high: Row) -> Row:
    """Two rows as one. Below the place of the higher one there is nothing to add."""
    by = high.place - low.place
    above = low.value >> by
    rest = above - high.value if high.negative else above + high.value
    total = Signal(signed(by + len(rest)), name=f"sum{low.place}_{high.place}")
    m.d.comb += total.eq(Cat(low.value[:by], rest))
    return Row(total, low.place, negative=False)
