"""A multiplier out of logic gives every product."""

from itertools import product

import numpy as np
import pytest

from hw.nm.logic_multiply import LogicMultiply
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def numbers(bits: int) -> range:
    low, high = signed_bounds(bits)
    return range(low, high + 1)


def assert_products(dut: LogicMultiply, pairs: list[tuple[int, int]]) -> None:
    """One pair in a cycle, its product ``latency`` cycles later."""
    steps = [{"a": a, "b": b} for a, b in pairs]
    found = play(dut, steps, ["o"], tail=dut.latency)
    assert [o for (o,) in found[dut.latency :]] == [a * b for a, b in pairs]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("b_bits", [2, 3, 4, 5])
@pytest.mark.parametrize("a_bits", [2, 4])
def test_every_pair(a_bits: int, b_bits: int, split: bool) -> None:
    dut = LogicMultiply(a_bits, b_bits, split=split)
    assert dut.latency == (2 if split else 1)
    assert_products(dut, list(product(numbers(a_bits), numbers(b_bits))))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(("a_bits", "b_bits"), [(8, 8), (16, 7), (5, 16)])
def test_wide_factors(a_bits: int, b_bits: int, split: bool, rng: np.random.Generator) -> None:
    """The extremes of both with one another, and any others."""
    ends = product(*((low, -1, 0, 1, high) for low, high in map(signed_bounds, (a_bits, b_bits))))
    some = (rng.integers(*signed_bounds(bits), 200, endpoint=True) for bits in (a_bits, b_bits))
    pairs = [*ends, *zip(*(one.tolist() for one in some), strict=True)]
    assert_products(LogicMultiply(a_bits, b_bits, split=split), pairs)
