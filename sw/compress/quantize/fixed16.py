"""Fixed point: integers times a power of two, as EIE has its weights and activations in 16 bits.

A number of ``bits`` with ``fraction`` bits behind the point is ``integer * 2**-fraction``; it is
rounded half to even, and saturates. Codebooks stay codebooks: equal weights are rounded equally.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from spec.errors import UserError
from spec.numbers import signed_bounds
from sw.compress.layers import weights
from sw.compress.quantize.base import Quantized, quantize

BITS = 16


def fraction_bits(largest: float, bits: int = BITS) -> int:
    """The most bits behind the point with which a magnitude does not saturate.

    May be negative, or more than ``bits``. Of 0, ``bits - 1``.
    """
    if not 2 <= bits <= 32:
        raise UserError(f"numbers of {bits} bits were asked for, allowed is 2...32")
    if not (math.isfinite(largest) and largest >= 0):
        raise UserError(f"no fixed point holds a magnitude of {largest}")
    if largest == 0:
        return bits - 1
    # The exponent alone may leave the highest integer, which is one short of a power of two, below
    # the magnitude.
    fraction = bits - 1 - math.frexp(largest)[1]
    top = signed_bounds(bits)[1]
    return fraction if round(math.ldexp(largest, fraction)) <= top else fraction - 1


def fixed(real: Tensor, fraction: int, bits: int = BITS) -> Quantized:
    """A tensor with so many bits behind the point."""
    return quantize(real, torch.tensor(2.0**-fraction, dtype=torch.float64), bits)


def fixed_weights(
    model: nn.Module, bits: int = BITS, layers: Iterable[str] | None = None
) -> dict[str, Quantized]:
    """Every layer's weight, or that of the named ones, with a point of its own where none
    saturates."""
    found = weights(model, layers)
    largest = {name: float(weight.detach().abs().max()) for name, weight in found.items()}
    return {n: fixed(weight, fraction_bits(largest[n], bits), bits) for n, weight in found.items()}


def fixed_scales(ranges: Mapping[str, float], bits: int = BITS) -> dict[str, float]:
    """Scales of activations that stay within these magnitudes."""
    return {name: 2.0 ** -fraction_bits(largest, bits) for name, largest in ranges.items()}
