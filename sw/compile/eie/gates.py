"""The gates of an LSTM as a layer of the array: one matrix of two parts, x and the state h.

Both parts add up in the same accumulators, but each has a codebook of its own, so no pass may work
on both. The part of x is filled up with empty columns to whole rows of activations, where a pass
can end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.lstm import LstmCell
from sw.compile.eie.integer_lstm import IntegerLstm
from sw.compile.eie.quantize import IntegerLayer


@dataclass(frozen=True, kw_only=True, eq=False)
class GateLayer:
    """An LSTM's gates, with the members that tiling and packing ask a layer for.

    Attributes
    ----------
    codes : uint8, shape (4 * hidden, columns)
    codebooks : tuple of int64 arrays, shape (codes of the configuration,)
        One for each part.
    starts : tuple of int
        First column of each part.
    inputs : int
        Of them, those that are not filled up: x.
    cell : LstmCell
        What the host makes of the outputs.
    returns : "sequence" or "last"
    """

    name: str
    codes: np.ndarray
    codebooks: tuple[np.ndarray, ...]
    starts: tuple[int, ...]
    inputs: int
    bias: np.ndarray
    multiplier: int
    shift: int
    input_scale: float
    weight_scale: float
    output_scale: float
    cell: LstmCell
    returns: Literal["sequence", "last"]
    relu: bool = False

    @property
    def outputs(self) -> int:
        return self.codes.shape[0]


StoredLayer = IntegerLayer | GateLayer


def as_stored(layer: IntegerLayer | IntegerLstm, config: EieConfig) -> StoredLayer:
    """A layer as it is tiled and packed."""
    if isinstance(layer, IntegerLayer):
        return layer
    rows = -(-layer.inputs // config.pes)
    filling = np.zeros((len(layer.codes_x), rows * config.pes - layer.inputs), np.uint8)
    return GateLayer(
        name=layer.name,
        codes=np.hstack([layer.codes_x, filling, layer.codes_h]),
        codebooks=(layer.codebook_x, layer.codebook_h),
        starts=(0, rows * config.pes),
        inputs=layer.inputs,
        bias=layer.bias,
        multiplier=layer.multiplier,
        shift=layer.shift,
        input_scale=layer.input_scale,
        weight_scale=layer.weight_scale_x,
        output_scale=layer.output_scale,
        cell=layer.cell,
        returns=layer.returns,
    )


def count_steps(layers: Sequence[StoredLayer]) -> tuple[int, bool]:
    """How many layers, from the first on, run at every step of a sequence, and whether the outputs
    of every step are wanted; see :class:`spec.eie.program.Program`."""
    gates = [number for number, layer in enumerate(layers) if isinstance(layer, GateLayer)]
    lasts = [number for number in gates if layers[number].returns == "last"]  # type: ignore[union-attr]
    if lasts:
        return lasts[-1] + 1, False
    return (len(layers), True) if gates else (0, False)
