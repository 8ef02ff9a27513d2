"""What numbers mean in Skipstone: integers, one exact sum, one rounding at the end of a layer.

This file is the only statement of the rule. The compiler chooses multipliers with it, the golden
model
computes with it, RTL tests compare against it, ``docs/numbers.md`` quotes it::

    out = saturate(round_half_even((acc + bias) * multiplier / 2**shift)), then ReLU if asked
"""

import math

import numpy as np

from spec.errors import UserError


def signed_bounds(bits: int) -> tuple[int, int]:
    """Smallest and largest two's-complement integer of ``bits`` bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def signed_bits(low: int, high: int) -> int:
    """Fewest bits of a two's-complement integer that holds all of ``low``...``high``."""
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)


def requantize(
    acc: np.ndarray,
    bias: np.ndarray | int,
    multiplier: int,
    shift: int,
    *,
    act_bits: int,
    relu: bool,
) -> np.ndarray:
    """Turn exact sums into activations: the one rounding of a layer.

    Parameters
    ----------
    acc, bias : int64, shapes that broadcast
        Accumulators and biases at the accumulator's scale. ``|acc + bias| * multiplier`` must stay
        below 2**62, which every :class:`spec.eie.config.EieConfig` guarantees.
    multiplier, shift : int
        The real factor is ``multiplier / 2**shift``; both are non-negative.
    act_bits : int
        Width of the result; what does not fit saturates.
    relu : bool
        Replace negative results by zero.

    Returns
    -------
    int64, the broadcast shape, within ``signed_bounds(act_bits)``.
    """
    product = (np.asarray(acc, np.int64) + np.asarray(bias, np.int64)) * np.int64(multiplier)
    low, high = signed_bounds(act_bits)
    return np.clip(round_shift(product, shift), 0 if relu else low, high)


def round_shift(value: np.ndarray, shift: int) -> np.ndarray:
    """``value / 2**shift``, rounded to the nearest integer, ties to even; exact for all int64 below
    2**62."""
    if shift == 0:
        return value
    floor = value >> shift
    rest = value - (floor << shift)
    half = np.int64(1) << (shift - 1)
    up = (rest > half) | ((rest == half) & ((floor & 1) == 1))
    return floor + up


def choose_multiplier(ratio: float, *, multiplier_bits: int, shift_max: int) -> tuple[int, int]:
    """The integer pair (multiplier, shift) whose quotient is nearest to a real ratio.

    The multiplier uses all its bits whenever ``shift_max`` allows, so the relative error is at most
    ``2**-multiplier_bits``.

    Raises
    ------
    UserError
        If the ratio is not positive and finite, too large for the multiplier, or too small for the
        shift.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise UserError(f"requantization ratio {ratio!r} must be a positive finite number")
    top = (1 << multiplier_bits) - 1
    _, exponent = math.frexp(ratio)
    shift = min(multiplier_bits - exponent, shift_max)
    if shift >= 0 and round(math.ldexp(ratio, shift)) > top:
        shift -= 1
    if shift < 0:
        raise UserError(
            f"requantization ratio {ratio:g} is above {top}, "
            f"the largest multiplier of {multiplier_bits} bits"
        )
    multiplier = round(math.ldexp(ratio, shift))
    if multiplier == 0:
        raise UserError(
            f"requantization ratio {ratio:g} vanishes at the largest shift, {shift_max}"
        )
    return multiplier, shift


def quantize(real: np.ndarray, scale: float | np.ndarray, bits: int) -> np.ndarray:
    """Integers nearest to ``real / scale`` (ties to even), saturated to ``bits`` signed bits, as
    int64; scales may differ along the last axes."""
    low, high = signed_bounds(bits)
    return np.clip(np.rint(np.asarray(real, np.float64) / scale), low, high).astype(np.int64)
