"""The arithmetic rule against Python's exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from spec.errors import UserError
from spec.numbers import (
    choose_multiplier,
    quantize,
    requantize,
    round_shift,
    signed_bits,
    signed_bounds,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("shift", range(12))
def test_rounding_is_half_even_for_every_small_value(shift):
    values = np.arange(-(1 << 11), (1 << 11) + 1)
    expected = [round(Fraction(int(value), 1 << shift)) for value in values]
    assert round_shift(values, shift).tolist() == expected


@pytest.mark.parametrize("shift", [1, 2, 31, 32, 60, 61, 62, 63])
def test_rounding_is_exact_for_the_largest_values(shift):
    edge = 1 << 62
    near = [edge - 1, edge - 2, 1 << 61, (1 << 61) + 1, 3 << 60, 1, 0]
    values = np.array(near + [-value for value in near] + [-edge], np.int64)
    expected = [round(Fraction(int(value), 1 << shift)) for value in values]
    assert round_shift(values, shift).tolist() == expected


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("act_bits", [2, 8, 16, 32])
def test_requantize_is_the_documented_formula(rng, act_bits, relu):
    low, high = signed_bounds(act_bits)
    for _ in range(50):
        multiplier, shift = int(rng.integers(0, 1 << 16)), int(rng.integers(0, 64))
        acc = rng.integers(-(1 << 45), 1 << 45, 20) >> int(rng.integers(0, 45))
        bias = rng.integers(-(1 << 44), 1 << 44, 20) >> int(rng.integers(0, 44))
        found = requantize(acc, bias, multiplier, shift, act_bits=act_bits, relu=relu)
        for one, other, result in zip(acc.tolist(), bias.tolist(), found.tolist(), strict=True):
            exact = round(Fraction((one + other) * multiplier, 1 << shift))
            clipped = max(low, min(high, exact))
            assert result == (max(0, clipped) if relu else clipped)


def test_requantize_broadcasts_biases():
    found = requantize(np.ones((2, 3), int), np.array([0, 1, 2]), 2, 1, act_bits=8, relu=False)
    assert found.tolist() == [[1, 2, 3]] * 2


@pytest.mark.parametrize("multiplier_bits", [1, 3, 4])
def test_the_nearest_multiplier_is_chosen(rng, multiplier_bits):
    shift_max = 7
    pairs = [(m, s) for m in range(1, 1 << multiplier_bits) for s in range(shift_max + 1)]
    quotients = np.array([m / 2**s for m, s in pairs])
    for ratio in np.exp(rng.uniform(np.log(quotients.min()), np.log(quotients.max()), 2000)):
        multiplier, shift = choose_multiplier(
            ratio, multiplier_bits=multiplier_bits, shift_max=shift_max
        )
        assert (multiplier, shift) in pairs
        assert abs(multiplier / 2**shift - ratio) <= np.abs(quotients - ratio).min() * (1 + 1e-12)


@pytest.mark.parametrize("multiplier_bits", [1, 8, 16, 32])
def test_the_relative_error_is_bounded(rng, multiplier_bits):
    for ratio in np.exp(rng.uniform(-15, 0, 500)):
        multiplier, shift = choose_multiplier(ratio, multiplier_bits=multiplier_bits, shift_max=63)
        exact = Fraction(float(ratio))
        assert abs(Fraction(multiplier, 1 << shift) - exact) <= exact / (1 << multiplier_bits)


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), float("inf")])
def test_ratios_that_are_no_ratios_are_refused(ratio):
    with pytest.raises(UserError, match="must be a positive finite number"):
        choose_multiplier(ratio, multiplier_bits=8, shift_max=31)


def test_the_range_of_ratios():
    limits = {"multiplier_bits": 4, "shift_max": 7}
    assert choose_multiplier(15.0, **limits) == (15, 0)
    assert choose_multiplier(2.0**-7, **limits) == (1, 7)
    with pytest.raises(UserError, match="16 is above 15, the largest multiplier of 4 bits"):
        choose_multiplier(16.0, **limits)
    with pytest.raises(UserError, match="vanishes at the largest shift, 7"):
        choose_multiplier(2.0**-9, **limits)


@pytest.mark.parametrize("bits", range(1, 12))
def test_bounds_and_bits_are_inverse(bits):
    low, high = signed_bounds(bits)
    assert (low, high) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert signed_bits(low, high) == bits
    assert signed_bits(low - 1, high) == signed_bits(low, high + 1) == bits + 1
    assert signed_bits(low, 0) == bits


def test_quantize_rounds_to_even_and_saturates():
    real = np.array([0.0, 0.25, 0.75, -0.25, -0.75, 1.0, 100.0, -100.0])
    assert quantize(real, 0.5, 4).tolist() == [0, 0, 2, 0, -2, 2, 7, -8]
    assert quantize(real.astype(np.float32), 0.5, 4).dtype == np.int64
