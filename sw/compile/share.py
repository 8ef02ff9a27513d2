"""Shared weights: find the few values that a layer's weights take, exactly.

The compiler does not change weights to make them fit a codebook: that is compression.
"""

from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import UserError
from sw.compile.network import FloatLayer


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


def recover(layer: FloatLayer, config: EieConfig) -> SharedLayer:
    """Recover the codebook of a layer whose weights were shared.

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
