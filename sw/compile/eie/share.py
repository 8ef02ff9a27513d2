"""Shared weights: find the few values that a layer's weights take, exactly.

The compiler does not change weights to make them fit a codebook: that is compression.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import UserError
from sw.compile.network import FloatLayer, FloatLstm


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedLayer:
    """A layer as codes and the real values that they stand for; ``values[codes]`` is its weight.

    Attributes
    ----------
    codes : uint8, shape (outputs, inputs)
    values : float64, shape (distinct values and zero,)
        Ascending but for the first, which is exactly 0.
    bias : float64, shape (outputs,)
    """

    name: str
    codes: np.ndarray
    values: np.ndarray
    bias: np.ndarray
    relu: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedLstm:
    """An LSTM with the weights of its input and those of its state h each in a codebook.

    Attributes
    ----------
    x, h : SharedLayer
        Codes of shape (4 * hidden, inputs) and (4 * hidden, hidden); the bias of both stands with
        ``x``.
    returns : "sequence" or "last"
    """

    name: str
    x: SharedLayer
    h: SharedLayer
    returns: Literal["sequence", "last"]

    def as_float(self) -> FloatLstm:
        """The LSTM that these weights stand for."""
        return FloatLstm(
            name=self.name,
            weight_ih=self.x.values[self.x.codes],
            weight_hh=self.h.values[self.h.codes],
            bias=self.x.bias,
            returns=self.returns,
        )


def refuse_windows(layer: FloatLayer | FloatLstm) -> None:
    """Refuse a convolution."""
    if isinstance(layer, FloatLayer) and layer.windows:
        raise UserError(
            f"layer {layer.name}: a convolution, but an EIE array computes fully connected layers "
            "and LSTMs; the N:M engine takes it (--engine nm, or auto)"
        )


def recover(layer: FloatLayer, config: EieConfig) -> SharedLayer:
    """Recover the codebook of a fully connected layer whose weights were shared.

    Raises
    ------
    UserError
        If there are more non-zero values than codes.
    """
    kept = np.flatnonzero(layer.weight)
    weights = layer.weight.reshape(-1)[kept]
    values = np.unique(weights)
    if len(values) > config.codes - 1:
        raise UserError(_too_many(layer, len(values), config))
    codes = np.zeros(layer.weight.size, np.uint8)
    codes[kept] = 1 + np.searchsorted(values, weights).astype(np.uint8)
    return SharedLayer(
        name=layer.name,
        codes=codes.reshape(layer.weight.shape),
        values=np.concatenate([[0.0], values]),
        bias=layer.bias,
        relu=layer.relu,
    )


def recover_lstm(layer: FloatLstm, config: EieConfig) -> SharedLstm:
    """Recover both codebooks of an LSTM; see :func:`recover`."""
    x, h = (
        recover(
            FloatLayer(
                name=f"{layer.name}.{part}", weight=weight, bias=bias, relu=False, folded=folded
            ),
            config,
        )
        for part, weight, bias, folded in (
            ("weight_ih", layer.weight_ih, layer.bias, layer.folded),
            ("weight_hh", layer.weight_hh, np.zeros_like(layer.bias), ()),
        )
    )
    return SharedLstm(name=layer.name, x=x, h=h, returns=layer.returns)


def _too_many(layer: FloatLayer, count: int, config: EieConfig) -> str:
    message = (
        f"layer {layer.name}: its weights take {count} distinct values besides zero, a codebook of "
        f"{config.code_bits}-bit codes holds {config.codes - 1}; "
    )
    if layer.folded:
        return message + (
            f"folding {', '.join(layer.folded)} gives every output, or input, a factor of its own: "
            "fold BatchNorm into the network (torch.nn.utils.fusion) before weights are shared"
        )
    return message + "share the weights first (sw.compress.share), or raise code_bits (up to 8)"
