"""From one scale to the next: the factor behind a sum, as multiplier and shift."""

import math

from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.numbers import choose_multiplier

COARSEST_MULTIPLIER = 2.0**-4
"""A requantization factor further off than this (and than its width makes it) is not taken: outputs
that fitted in calibration would saturate."""

EXACT_FLOAT = 1 << 53
"""Up to here every integer is a float64."""


class MisfitError(Exception):
    """Why a layer cannot have weights of some width; begins behind the layer's name."""


def requantization(ratio: float, config: EieConfig | NmConfig) -> tuple[int, int]:
    """Multiplier and shift for a real factor.

    A multiplier of one bit leaves powers of two: not the nearest one then, but the next smaller
    one, or outputs that fitted in calibration would saturate.
    """
    if config.multiplier_bits == 1 and ratio > 0 and math.isfinite(ratio):
        _, exponent = math.frexp(ratio)
        ratio = math.ldexp(1, exponent - 1)
    try:
        multiplier, shift = choose_multiplier(
            ratio, multiplier_bits=config.multiplier_bits, shift_max=config.shift_max
        )
    except UserError as error:
        raise MisfitError(f": {error}") from None
    off = abs(math.ldexp(multiplier, -shift) / ratio - 1)
    if off > max(COARSEST_MULTIPLIER, 2.0**-config.multiplier_bits):
        raise MisfitError(
            f": a shift of {config.shift_bits} bits is too short, "
            f"the requantization factor {ratio:.3g} would be off by {off:.0%}"
        )
    return multiplier, shift
