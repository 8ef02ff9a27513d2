"""Convolution as a product of matrices: every window of an image is a token (im2col). And pooling,
which takes the largest value of each window."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from spec.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Unfold:
    """How the host makes tokens of an image, and images of results.

    The inputs of a token are those of a window, channel by channel, then row by row, as in
    ``torch.nn.functional.unfold``; tokens are the windows, row by row. Windows reach over the edge
    into zeros.

    Images are vectors: channel by channel, row by row.

    Attributes
    ----------
    channels, height, width : int
        Of the input image.
    kernel, stride, padding, dilation : (int, int)
        Vertical, horizontal.
    channels_last : bool
        Inputs stand place by place instead, with all channels of a place together: so groups of
        neighbouring inputs are groups of channels.
    """

    channels: int
    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    channels_last: bool = False

    def __post_init__(self) -> None:
        sizes = (self.channels, self.height, self.width, *self.kernel, *self.stride)
        if min(*sizes, *self.dilation) < 1 or min(self.padding) < 0 or min(self.windows) < 1:
            raise UserError(f"no window fits: {self}")

    @classmethod
    def from_json(cls, values: dict) -> Self:
        """Rebuild from JSON, where pairs are lists; wrong types raise :class:`TypeError`."""
        if not isinstance(values.get("channels_last"), bool):
            raise TypeError(f"windows are {values}")
        pairs = {name: tuple(one) for name, one in values.items() if isinstance(one, list | tuple)}
        flat = [one for pair in pairs.values() for one in pair]
        flat += [one for name, one in values.items() if name not in (*pairs, "channels_last")]
        whole = all(type(one) is int for one in flat)
        if not whole or any(len(pair) != 2 for pair in pairs.values()):
            raise TypeError(f"windows are {values}")
        return cls(**{**values, **pairs})

    @property
    def windows(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        down, across = (
            (size + 2 * self.padding[axis] - self.dilation[axis] * (self.kernel[axis] - 1) - 1)
            // self.stride[axis]
            + 1
            for axis, size in enumerate((self.height, self.width))
        )
        return down, across

    @property
    def tokens(self) -> int:
        """Windows of an image."""
        return self.windows[0] * self.windows[1]

    @property
    def inputs(self) -> int:
        """Inputs of a token."""
        return self.channels * self.kernel[0] * self.kernel[1]

    @property
    def image_size(self) -> int:
        """Values of an image."""
        return self.channels * self.height * self.width

    @property
    def columns(self) -> np.ndarray:
        """Which column of ``weight.flatten(1)`` each input of a token is. int64, shape (inputs,)"""
        return self.arrange(np.arange(self.inputs).reshape(1, self.channels, *self.kernel))[0]

    def arrange(self, weight: np.ndarray) -> np.ndarray:
        """Weights (outputs, channels, kernel rows, kernel columns) as (outputs, inputs)."""
        placed = weight.transpose(0, 2, 3, 1) if self.channels_last else weight
        return placed.reshape(len(weight), -1)

    def unfold(self, images: np.ndarray, edge: float = 0) -> np.ndarray:
        """Images (count, image_size) as tokens (count * tokens, inputs); ``edge`` is what stands
        beyond an edge."""
        down, across = self.padding
        padded = np.pad(
            images.reshape(-1, self.channels, self.height, self.width),
            ((0, 0), (0, 0), (down, down), (across, across)),
            constant_values=edge,
        )
        rows, columns = (
            np.arange(self.kernel[axis])[:, None] * self.dilation[axis]
            + np.arange(self.windows[axis]) * self.stride[axis]
            for axis in (0, 1)
        )
        # count, channel, kernel row, window row, kernel column, window column
        taken = padded[:, :, rows][:, :, :, :, columns]
        order = (0, 3, 5, 2, 4, 1) if self.channels_last else (0, 3, 5, 1, 2, 4)
        return taken.transpose(order).reshape(-1, self.inputs)

    def fold(self, results: np.ndarray) -> np.ndarray:
        """Results (count * tokens, outputs) as images (count, outputs * tokens)."""
        outputs = results.shape[1]
        images = results.reshape(-1, self.tokens, outputs).swapaxes(1, 2)
        return images.reshape(-1, outputs * self.tokens)


@dataclass(frozen=True, kw_only=True)
class MaxPool(Unfold):
    """How the host makes smaller images of a convolution's: the largest value of each window, in
    each channel. Nothing beyond an edge counts."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images (count, image_size) to (count, channels * windows); of any type."""
        one = replace(self, channels=1)
        planes = images.reshape(-1, one.image_size)
        lowest = images.min(initial=0)
        largest = one.unfold(planes, lowest).max(axis=1)
        return largest.reshape(len(images), self.channels * self.tokens)
