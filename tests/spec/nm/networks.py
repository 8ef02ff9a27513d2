"""Chains of layers of the N:M engine, packed without the compiler, and what they must compute: by
plain products of matrices, window by window."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spec.nm.config import DENSE, Mode, NmConfig
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import Layer, Program, Weights
from spec.nm.unfold import MaxPool, Unfold
from spec.numbers import requantize, signed_bounds
from tests.spec.nm.cases import fitting, program_of, random_rows


@dataclass(frozen=True)
class Network:
    """A program, and the integers that it was packed from."""

    program: Program
    matrices: tuple[Matrix, ...]

    def expected(self, images: np.ndarray) -> np.ndarray:
        """Outputs of a batch (images, inputs); int64, (images, outputs)."""
        values = np.asarray(images, np.int64)
        for layer, matrix in zip(self.program.layers, self.matrices, strict=True):
            values = _layer(self.program.config, layer, matrix, values)
        return values

    def batch(self, rng: np.random.Generator, images: int) -> np.ndarray:
        """Random integers for it."""
        low, high = signed_bounds(self.program.config.act_bits)
        return rng.integers(low, high, (images, self.program.inputs), endpoint=True)


def _layer(config: NmConfig, layer: Layer, matrix: Matrix, values: np.ndarray) -> np.ndarray:
    if layer.unfold is None:
        return finish(config, layer, matrix, values @ matrix.dense.T)
    planes = _convolve(config, layer, matrix, layer.unfold, values)
    if layer.pool:
        planes = _pool(layer.pool, planes)
    return planes.reshape(len(values), -1)


def finish(config: NmConfig, layer: Layer, matrix: Matrix, sums: np.ndarray) -> np.ndarray:
    """Sums (..., outputs) requantized, each output with its own parameters."""
    rows = [
        requantize(
            sums[..., row],
            int(matrix.bias[row]),
            int(matrix.multiplier[row]),
            int(matrix.shift[row]),
            act_bits=config.act_bits,
            relu=layer.relu,
        )
        for row in range(sums.shape[-1])
    ]
    return np.stack(rows, axis=-1)


def _convolve(
    config: NmConfig, layer: Layer, matrix: Matrix, unfold: Unfold, values: np.ndarray
) -> np.ndarray:
    """(images, outputs, rows, columns)"""
    images = values.reshape(-1, unfold.channels, unfold.height, unfold.width)
    (down, across), (tall, wide) = unfold.padding, unfold.kernel
    padded = np.pad(images, ((0, 0), (0, 0), (down, down), (across, across)))
    shape = (layer.outputs, unfold.channels, tall, wide)
    if unfold.channels_last:
        shape = (layer.outputs, tall, wide, unfold.channels)
    kernels = matrix.dense.reshape(shape)
    if unfold.channels_last:
        kernels = kernels.transpose(0, 3, 1, 2)
    rows, columns = unfold.windows
    planes = np.empty((len(images), layer.outputs, rows, columns), np.int64)
    for y in range(rows):
        for x in range(columns):
            top, left = y * unfold.stride[0], x * unfold.stride[1]
            window = padded[:, :, top :: unfold.dilation[0], left :: unfold.dilation[1]]
            window = window[:, :, :tall, :wide]
            sums = np.einsum("bchw,ochw->bo", window, kernels)
            planes[:, :, y, x] = finish(config, layer, matrix, sums)
    return planes


def _pool(pool: MaxPool, planes: np.ndarray) -> np.ndarray:
    """The largest value of each window; beyond an edge there is nothing."""
    down, across = pool.padding
    lowest = np.iinfo(np.int64).min
    edges = ((0, 0), (0, 0), (down, down), (across, across))
    padded = np.pad(planes, edges, constant_values=lowest)
    rows, columns = pool.windows
    pooled = np.empty((*planes.shape[:2], rows, columns), np.int64)
    for y in range(rows):
        for x in range(columns):
            top, left = y * pool.stride[0], x * pool.stride[1]
            window = padded[:, :, top : top + pool.kernel[0], left : left + pool.kernel[1]]
            pooled[:, :, y, x] = window.max(axis=(2, 3))
    return pooled


Packed = tuple[tuple[Layer, Weights], Matrix]


def linear(
    rng: np.random.Generator,
    config: NmConfig,
    name: str,
    size: tuple[int, int],
    mode: Mode = DENSE,
    **options,
) -> Packed:
    """A layer of (outputs, inputs); its outputs are computed in another order."""
    matrix = fitting(rng, config, random_rows(rng, size, mode, config.weight_bits))
    order = rng.permutation(size[0])
    scales = _scales(rng, size[1], size[0])
    return pack_layer(config, name, matrix, mode, order=order, **scales, **options), matrix


def convolution(
    rng: np.random.Generator,
    config: NmConfig,
    name: str,
    outputs: int,
    unfold: Unfold,
    mode: Mode = DENSE,
    groups: int = 1,
    **options,
) -> Packed:
    """A layer of windows; with groups, its strips drop the inputs of others'."""
    dense = random_rows(rng, (outputs, unfold.inputs), mode, config.weight_bits)
    channel = np.arange(unfold.inputs) // (unfold.inputs // unfold.channels)
    if unfold.channels_last:
        channel = np.arange(unfold.inputs) % unfold.channels
    group = channel // (unfold.channels // groups)
    dense[np.arange(outputs)[:, None] // (outputs // groups) != group] = 0
    matrix = fitting(rng, config, dense)
    scales = _scales(rng, unfold.channels, outputs)
    packed = pack_layer(
        config, name, matrix, mode, gather=groups > 1, unfold=unfold, **scales, **options
    )
    return packed, matrix


def _scales(rng: np.random.Generator, features: int, outputs: int) -> dict[str, np.ndarray]:
    """Integers of 8 bits reach from -1 to 1, more or less."""
    counts = {"scales": outputs, "input_scales": features, "output_scales": outputs}
    return {name: rng.uniform(0.5, 1.5, count) / 128 for name, count in counts.items()}


def network_of(config: NmConfig, *packed: Packed) -> Network:
    """Layers as a chain."""
    layers, matrices = zip(*packed, strict=True)
    return Network(program_of(config, *layers), matrices)


def linear_network(
    rng: np.random.Generator,
    config: NmConfig,
    sizes: Sequence[int],
    modes: Sequence[str] = (),
    *,
    prefix: str = "fc",
) -> Network:
    """Layers of ``sizes[0]`` inputs, then ``sizes[1]`` ... outputs; dense, or of these patterns."""
    packed = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        mode = Mode.parse(modes[number]) if modes else DENSE
        relu = number + 2 < len(sizes)
        name = f"{prefix}{number}"
        packed.append(linear(rng, config, name, (outputs, inputs), mode, relu=relu))
    return network_of(config, *packed)


def conv_network(rng: np.random.Generator, config: NmConfig) -> Network:
    """Three channels of 9 x 8: a convolution with pooling, one in groups, a linear layer."""
    first = Unfold(channels=3, height=9, width=8, kernel=(3, 3), padding=(1, 1))
    pool = MaxPool(channels=6, height=9, width=8, kernel=(3, 2), stride=(2, 2), padding=(1, 0))
    second = Unfold(
        channels=6,
        height=5,
        width=4,
        kernel=(2, 3),
        stride=(2, 1),
        padding=(0, 1),
        dilation=(2, 1),
        channels_last=True,
    )
    # Two rows of four windows are left.
    return network_of(
        config,
        convolution(rng, config, "conv1", 6, first, Mode(1, 2), relu=True, pool=pool),
        convolution(rng, config, "conv2", 8, second, groups=2, relu=True),
        linear(rng, config, "fc", (5, 8 * second.tokens), Mode(2, 4)),
    )
