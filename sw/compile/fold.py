"""BatchNorms, which the layer in front of them or behind them absorbs."""

from dataclasses import dataclass, replace

import numpy as np

from spec.errors import UserError
from spec.nm.unfold import Unfold
from sw.compile.network import FloatLayer


@dataclass(frozen=True, eq=False)
class Affine:
    """A BatchNorm in evaluation mode, or several: ``x * factor + offset``.

    Attributes
    ----------
    name : str
    factor, offset : float64, shape (channels,)
        A channel may stand for many values of a sample that follow each other.
    """

    name: str
    factor: np.ndarray
    offset: np.ndarray

    def then(self, other: "Affine") -> "Affine":
        """Both, one after the other."""
        count = max(len(self.factor), len(other.factor))
        first, second = self.for_channels(count), other.for_channels(count)
        if first is None or second is None:
            raise UserError(
                f"layer {other.name}: {len(other.factor)} channels behind the "
                f"{len(self.factor)} of layer {self.name}"
            )
        offset = first.offset * second.factor + second.offset
        return Affine(f"{self.name}, {other.name}", first.factor * second.factor, offset)

    def for_channels(self, count: int) -> "Affine | None":
        """The same with another number of channels; nothing if they would have to differ within."""
        have = len(self.factor)
        if have < count and count % have == 0:
            factor, offset = (np.repeat(one, count // have) for one in (self.factor, self.offset))
            return Affine(self.name, factor, offset)
        if have % count:
            return None
        factors, offsets = (one.reshape(count, -1) for one in (self.factor, self.offset))
        if (factors != factors[:, :1]).any() or (offsets != offsets[:, :1]).any():
            return None
        return Affine(self.name, factors[:, 0], offsets[:, 0])


def fold_behind(layer: FloatLayer, affine: Affine) -> FloatLayer | None:
    """A layer that has absorbed what is behind it, if it can.

    The largest value of a pooling window stays the largest only if its factor is not negative.
    """
    own = affine.for_channels(layer.outputs)
    if own is None or layer.relu or (layer.pool and (own.factor < 0).any()):
        return None
    return replace(
        layer,
        weight=layer.weight * own.factor[:, None],
        bias=layer.bias * own.factor + own.offset,
        folded=(*layer.folded, own.name),
    )


def fold_in_front(
    name: str,
    affine: Affine | None,
    weight: np.ndarray,
    bias: np.ndarray,
    windows: Unfold | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Weight and bias of layer ``name`` with what is in front of it in them, and its name.

    Raises
    ------
    UserError
        A convolution cannot absorb it.
    """
    if affine is None:
        return weight, bias, ()
    own = affine.for_channels(windows.channels if windows else weight.shape[1])
    if own is None:
        raise UserError(
            f"layer {affine.name}: a BatchNorm in front of the Conv2d {name} must have one factor "
            "for each of its channels"
        )
    if windows and any(windows.padding) and own.offset.any():
        raise UserError(
            f"layer {affine.name}: a BatchNorm in front of the Conv2d {name}, whose padding of "
            "zeros it would have to add to; put it behind that convolution, or give it no padding"
        )
    each = weight.shape[1] // len(own.factor)
    factor, offset = (np.repeat(one, each) for one in (own.factor, own.offset))
    return weight * factor, bias + weight @ offset, (own.name,)
