"""Convolutions and poolings of an exported graph: windows, and matrices of weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.fx import Node

from spec.errors import UserError
from spec.nm.unfold import MaxPool, Unfold
from sw.compile.network import FloatLayer
from sw.compile.nodes import place_of, shape_of

Pair = tuple[int, int]


def convolution(node: Node, weight: np.ndarray) -> tuple[Unfold, np.ndarray]:
    """Windows of a ``conv2d``, and its weight as a matrix.

    Parameters
    ----------
    weight : float64, shape (outputs, channels of a group, kernel rows, kernel columns)

    Returns
    -------
    windows : Unfold
    matrix : float64, shape (outputs, inputs of a window)
        Zeros outside an output's channel group.
    """
    channels, height, width = image_of(node, "Conv2d")
    stride, dilation = (_pair(argument(node, at, name, [1, 1])) for at, name in _STEPS.items())
    padding = argument(node, 4, "padding", [0, 0])
    if isinstance(padding, str):
        weight, padding = _padded_by_name(node, padding, weight, dilation)
    windows = Unfold(
        channels=channels,
        height=height,
        width=width,
        kernel=(weight.shape[2], weight.shape[3]),
        stride=stride,
        padding=_pair(padding),
        dilation=dilation,
    )
    return windows, windows.arrange(_all_channels(weight, argument(node, 6, "groups", 1)))


_STEPS = {3: "stride", 5: "dilation"}


def pooling(node: Node, layer: FloatLayer | None) -> MaxPool:
    """What a ``max_pool2d`` behind a convolution does."""
    image = image_of(node, "MaxPool2d")
    if layer is None or layer.windows is None:
        raise UserError(
            f"{place_of(node)}: a MaxPool2d must stand behind a Conv2d (and its BatchNorm and "
            "ReLU); let the host pool the samples, or put a convolution in front"
        )
    if layer.pool or image != (layer.outputs, *layer.windows.windows):
        raise UserError(
            f"{place_of(node)}: a MaxPool2d of other than what the Conv2d {layer.name} gives; "
            "two poolings in a row are one with a larger kernel and stride"
        )
    kernel = argument(node, 1, "kernel_size", None)
    pool = MaxPool(
        channels=image[0],
        height=image[1],
        width=image[2],
        kernel=_pair(kernel),
        stride=_pair(argument(node, 2, "stride", []) or kernel),
        padding=_pair(argument(node, 3, "padding", [0, 0])),
        dilation=_pair(argument(node, 4, "dilation", [1, 1])),
    )
    if pool.windows != shape_of(node)[2:]:
        raise UserError(
            f"{place_of(node)}: ceil_mode makes windows that the image does not fill, "
            f"{tuple(shape_of(node)[2:])} instead of {pool.windows}; use ceil_mode=False, with "
            "padding if needed"
        )
    return pool


def image_of(node: Node, what: str) -> tuple[int, int, int]:
    """Channels, height and width of what an operation takes."""
    sizes = shape_of(node.args[0])
    if len(sizes) != 4:
        raise UserError(
            f"{place_of(node)}: a {what} on {len(sizes)} dimensions is not supported, it must be "
            "on (samples, channels, height, width)"
        )
    if not all(isinstance(size, int) for size in sizes[1:]):
        raise UserError(
            f"{place_of(node)}: a {what} on images of shape {tuple(sizes[1:])}; "
            "only the number of samples may be a torch.export.Dim"
        )
    return sizes[1], sizes[2], sizes[3]


def argument(node: Node, at: int, name: str, default: Any) -> Any:
    """An operation's argument, by its place or its name."""
    return node.args[at] if at < len(node.args) else node.kwargs.get(name, default)


def _pair(values: int | Sequence[int]) -> Pair:
    """Vertical and horizontal; torch takes one number for both."""
    numbers = [values] if isinstance(values, int) else list(values)
    return int(numbers[0]), int(numbers[-1])


def _padded_by_name(
    node: Node, padding: str, weight: np.ndarray, dilation: Pair
) -> tuple[np.ndarray, Pair]:
    """Padding ``"same"`` or ``"valid"`` in numbers.

    An even kernel reaches one further down (to the right) than up: with a row (column) of zeros in
    front it is an odd one.
    """
    if padding == "valid":
        return weight, (0, 0)
    for axis in (0, 1):
        if dilation[axis] * (weight.shape[2 + axis] - 1) % 2:
            if dilation[axis] > 1:
                raise UserError(
                    f"{place_of(node)}: padding='same' of an even kernel with a dilation of "
                    f"{dilation[axis]} is not the same on both sides; use an odd kernel, or "
                    "padding in numbers"
                )
            zeros = [(0, 0)] * 4
            zeros[2 + axis] = (1, 0)
            weight = np.pad(weight, zeros)
    down, across = (dilation[axis] * (weight.shape[2 + axis] - 1) // 2 for axis in (0, 1))
    return weight, (down, across)


def _all_channels(weight: np.ndarray, groups: int) -> np.ndarray:
    """Weights for all channels, zeros for those of other groups."""
    if groups == 1:
        return weight
    outputs, channels = weight.shape[:2]
    spread = np.zeros((groups, outputs // groups, groups, *weight.shape[1:]))
    for group, own in enumerate(weight.reshape(groups, -1, *weight.shape[1:])):
        spread[group, :, group] = own
    return spread.reshape(outputs, groups * channels, *weight.shape[2:])
