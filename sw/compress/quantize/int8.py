"""Static int8: symmetric, a scale per tensor or per row, activations from calibration.

The scale maps the largest magnitude to 127, so -128 occurs only where something saturates.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from spec.errors import UserError
from spec.numbers import signed_bounds
from sw.compress.layers import weights
from sw.compress.quantize.base import Quantized, quantize

Per = Literal["row", "tensor"]

PER: tuple[Per, ...] = ("row", "tensor")
"""What has a scale of its own: every output, or only the whole weight."""

BITS = 8


def int8(weight: Tensor, per: Per = "row", bits: int = BITS) -> Quantized:
    """One weight as integers. A row of zeros has the scale 1."""
    if per not in PER:
        raise UserError(f"a scale per {per!r} was asked for; there is one per {', '.join(PER)}")
    if not 2 <= bits <= BITS:
        raise UserError(f"integers of {bits} bits were asked for, allowed is 2...{BITS}")
    magnitudes = weight.detach().double().abs()
    if per == "tensor":
        largest = magnitudes.max()
    else:
        largest = magnitudes.flatten(1).amax(1).reshape(-1, *[1] * (weight.ndim - 1))
    return quantize(weight, _scale(largest, bits), bits)


def int8_weights(
    model: nn.Module, per: Per = "row", layers: Iterable[str] | None = None, bits: int = BITS
) -> dict[str, Quantized]:
    """Every layer's weight, or that of the named ones, by :func:`int8`."""
    return {name: int8(weight, per, bits) for name, weight in weights(model, layers).items()}


def int8_scales(ranges: Mapping[str, float], bits: int = BITS) -> dict[str, float]:
    """Scales of activations that stay within these magnitudes."""
    return {
        name: float(_scale(torch.tensor(largest, dtype=torch.float64), bits))
        for name, largest in ranges.items()
    }


def _scale(largest: Tensor, bits: int) -> Tensor:
    scale = largest / signed_bounds(bits)[1]
    return torch.where(scale > 0, scale, 1.0)
