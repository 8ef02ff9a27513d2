"""What a program of the N:M engine computes, stated once more: torch's convolutions on integers,
and one rounding of exact fractions."""

from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F

from spec.nm.golden import Decoded
from spec.nm.program import Layer, Program
from spec.nm.summary import unpack
from spec.numbers import signed_bounds


def run_reference(program: Program, images: np.ndarray) -> np.ndarray:
    """Integers to integers, through all layers of a chain; int64, (images, values)."""
    dense = unpack(program)
    for number, layer in enumerate(program.layers):
        decoded = Decoded(program, number)
        sums = _sums(layer, dense[layer.name], images)
        results = np.empty(sums.shape, np.int64)
        for output in range(layer.outputs):
            at = int(np.flatnonzero(program.order(number) == output)[0])
            results[:, output] = _round(sums[:, output], decoded, at, layer, program)
        if layer.pool:
            pool = layer.pool
            results = F.max_pool2d(
                torch.from_numpy(results).double(),
                pool.kernel,
                pool.stride,
                pool.padding,
                pool.dilation,
            ).numpy()
        images = results.reshape(len(images), -1).astype(np.int64)
    return images


def _sums(layer: Layer, dense: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Sums of products, outputs along axis 1."""
    acts = torch.from_numpy(images).double()
    unfold = layer.unfold
    if unfold is None:
        return (acts @ torch.from_numpy(dense).double().T).numpy()
    kernels = torch.from_numpy(dense.reshape(len(dense), unfold.channels, *unfold.kernel)).double()
    acts = acts.reshape(-1, unfold.channels, unfold.height, unfold.width)
    return F.conv2d(acts, kernels, None, unfold.stride, unfold.padding, unfold.dilation).numpy()


def _round(
    sums: np.ndarray, decoded: Decoded, at: int, layer: Layer, program: Program
) -> np.ndarray:
    low, high = signed_bounds(program.config.act_bits)
    factor = Fraction(int(decoded.multiplier[at]), 1 << int(decoded.shift[at]))
    bias = int(decoded.bias[at])
    rounded = [round((int(one) + bias) * factor) for one in sums.ravel()]
    clipped = np.clip(np.array(rounded, object), 0 if layer.relu else low, high)
    return clipped.astype(np.int64).reshape(sums.shape)
