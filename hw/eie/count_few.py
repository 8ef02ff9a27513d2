"""Counts of non-zeros, as far as anybody has to know."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal, Value

from spec.config import bits_for

MANY = 3
"""As far as non-zeros are counted: when there are two and one goes, one is left."""

COUNT_BITS = bits_for(MANY)


def count_few(m: Module, name: str, counts: Sequence[Value]) -> Value:
    """How many these are together, up to :data:`MANY`: a tree of additions, of two lookup tables
    each."""
    if len(counts) == 1:
        return counts[0]
    half = len(counts) // 2
    parts = (count_few(m, f"{name}0", counts[:half]), count_few(m, f"{name}1", counts[half:]))
    (ones, twos), (more_ones, more_twos) = ((part[:1], part[1:].any()) for part in parts)
    few = Signal(COUNT_BITS, name=name)
    odd_or_full = (twos & more_twos) | ones | more_ones
    m.d.comb += few.eq(
        Cat(
            Mux(twos | more_twos, odd_or_full, ones ^ more_ones),
            twos | more_twos | (ones & more_ones),
        )
    )
    return few
