"""An LSTM in integers, and the dense reference of what an array and its host compute for it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spec.eie.lstm import LstmCell, step
from spec.errors import UserError
from spec.numbers import requantize, signed_bits
from sw.compile.network import FloatLstm
from sw.compile.scaling import EXACT_FLOAT


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerLstm:
    """An LSTM as hardware and host compute it.

    Attributes
    ----------
    codes_x, codes_h : uint8, shapes (4 * hidden, inputs) and (4 * hidden, hidden)
    codebook_x, codebook_h : int64, shape (codes of the configuration,)
        Entry 0 is 0.
    bias : int64, shape (4 * hidden,)
    multiplier, shift : int
        From sums to gates, without ReLU; see :mod:`spec.numbers`. ``product_scale`` is exactly
        ``cell.gate_scale * multiplier / 2**shift``.
    cell : LstmCell
        From gates to states.
    returns : "sequence" or "last"
    weight_bits : int
        Bits that the larger of the two codebooks may use.
    sums : (int, int)
        Lowest and highest sum of both parts together that any activations of that width can reach,
        on the way included.
    vanished : int
        Weights that are not zero but are rounded to it.
    """

    name: str
    codes_x: np.ndarray
    codebook_x: np.ndarray
    codes_h: np.ndarray
    codebook_h: np.ndarray
    bias: np.ndarray
    multiplier: int
    shift: int
    cell: LstmCell
    returns: Literal["sequence", "last"]
    input_scale: float
    product_scale: float
    weight_bits: int
    sums: tuple[int, int]
    vanished: int

    @property
    def inputs(self) -> int:
        return self.codes_x.shape[1]

    @property
    def hidden(self) -> int:
        return self.cell.hidden

    @property
    def outputs(self) -> int:
        return self.cell.hidden

    @property
    def output_scale(self) -> float:
        return self.cell.hidden_scale

    @property
    def weight_scale_x(self) -> float:
        return self.product_scale / self.input_scale

    @property
    def weight_scale_h(self) -> float:
        return self.product_scale / self.cell.hidden_scale

    @property
    def sum_bits(self) -> int:
        """Width of an accumulator that holds every sum."""
        return signed_bits(*self.sums)

    @property
    def codebook_bits(self) -> tuple[int, int]:
        """Bits that the values of x and of h really take. Far fewer for one of them tell that its
        products are far smaller than the other's."""
        x, h = (
            signed_bits(int(book.min()), int(book.max()))
            for book in (self.codebook_x, self.codebook_h)
        )
        return x, h

    def as_float(self) -> FloatLstm:
        """The LSTM of real numbers that these weights and biases stand for."""
        return FloatLstm(
            name=self.name,
            weight_ih=self.codebook_x[self.codes_x] * self.weight_scale_x,
            weight_hh=self.codebook_h[self.codes_h] * self.weight_scale_h,
            bias=self.bias * self.product_scale,
            returns=self.returns,
        )


def run_integers_lstm(layer: IntegerLstm, acts: np.ndarray) -> np.ndarray:
    """One LSTM from zero states, nothing skipped or tiled.

    Parameters
    ----------
    acts : int64, shape (images, steps, inputs)
        At ``layer.input_scale``.

    Returns
    -------
    int64, shape (images, steps, hidden), or (images, hidden) if the layer returns the last step
        At ``layer.output_scale``.
    """
    if acts.ndim != 3 or acts.shape[2] != layer.inputs:
        raise UserError(
            f"layer {layer.name}: takes inputs of shape (images, steps, {layer.inputs}), "
            f"not {acts.shape}"
        )
    weights = np.hstack([layer.codebook_x[layer.codes_x], layer.codebook_h[layer.codes_h]])
    # As floats only if every partial sum is proven to be an integer that float64 holds exactly.
    kind = np.float64 if max(-layer.sums[0], layer.sums[1]) <= EXACT_FLOAT else np.int64
    weights = weights.T.astype(kind)
    h = c = np.zeros((len(acts), layer.hidden), np.int64)
    outputs = []
    for number in range(acts.shape[1]):
        sums = np.hstack([acts[:, number], h]).astype(kind) @ weights
        gates = requantize(
            sums.astype(np.int64),
            layer.bias,
            layer.multiplier,
            layer.shift,
            act_bits=layer.cell.act_bits,
            relu=False,
        )
        h, c = step(layer.cell, gates, c)
        outputs.append(h)
    return h if layer.returns == "last" else np.stack(outputs, axis=1)
