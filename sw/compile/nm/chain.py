"""Layers one behind the other, in integers: each one's output scales are the next one's input
scales."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.numbers import requantize, signed_bounds
from sw.compile.calibrate import Ranges
from sw.compile.network import FloatLayer, FloatLstm
from sw.compile.nm.quantize import IntegerMatrix, Scales, quantize_matrix
from sw.compile.scaling import EXACT_FLOAT


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerLayer:
    """A layer as the array computes it, its inputs in the order of a window.

    Attributes
    ----------
    source : FloatLayer
        What it was made from.
    integer : IntegerMatrix
    input_scales : float64, shape (features,)
        Of every input, or of every channel of a convolution.
    """

    source: FloatLayer
    integer: IntegerMatrix
    input_scales: np.ndarray

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def scales_of_values(self) -> np.ndarray:
        """Of every value that it takes."""
        return np.repeat(self.input_scales, self.source.takes // len(self.input_scales))

    @property
    def output_scales(self) -> np.ndarray:
        """Of every value that it gives."""
        source = self.source
        return np.repeat(self.integer.output_scales, source.gives // source.outputs)

    def as_float(self) -> FloatLayer:
        """The layer that its integers stand for, with real activations."""
        integer = self.integer
        each = spread(self.input_scales, self.source)
        return replace(
            self.source,
            weight=integer.matrix.dense * integer.scales[:, None] / each,
            bias=integer.matrix.bias * integer.scales,
        )

    def run(self, acts: np.ndarray, config: NmConfig) -> np.ndarray:
        """Integers to integers, (samples, takes) to (samples, gives); nothing skipped or packed."""
        return self.source.apply(acts, lambda tokens: self._compute(tokens, config))

    def _compute(self, tokens: np.ndarray, config: NmConfig) -> np.ndarray:
        matrix = self.integer.matrix
        kind = np.float64 if max(map(abs, self.integer.sums)) <= EXACT_FLOAT else np.int64
        sums = (tokens.astype(kind) @ matrix.dense.T.astype(kind)).astype(np.int64)
        results = np.empty_like(sums)
        for row in range(sums.shape[1]):
            results[:, row] = requantize(
                sums[:, row],
                int(matrix.bias[row]),
                int(matrix.multiplier[row]),
                int(matrix.shift[row]),
                act_bits=config.act_bits,
                relu=self.source.relu,
            )
        return results


def spread(features: np.ndarray, layer: FloatLayer) -> np.ndarray:
    """Scales of features as those of every column of a layer's matrix."""
    return np.repeat(features, layer.inputs // len(features))


def as_matrices(layers: Sequence[FloatLayer | FloatLstm]) -> list[FloatLayer]:
    """The same layers, none of them recurrent."""
    plain = [layer for layer in layers if isinstance(layer, FloatLayer)]
    for layer in layers:
        if isinstance(layer, FloatLstm):
            raise UserError(
                f"layer {layer.name}: an LSTM, but an N:M array computes fully connected layers "
                "and convolutions; the EIE engine takes it (--engine eie)"
            )
    return plain


def quantize_chain(
    layers: Sequence[FloatLayer],
    ranges: Ranges,
    config: NmConfig,
    *,
    scales: Scales = "row",
    rescale: bool = True,
) -> list[IntegerLayer]:
    """Quantize all layers, scales handed on from each to the next."""
    high = signed_bounds(config.act_bits)[1]
    given = np.full(layers[0].takes, ranges.input / high)
    quantized = []
    for number, (layer, reach) in enumerate(zip(layers, ranges.outputs, strict=True)):
        following = layers[number + 1] if number + 1 < len(layers) else None
        features = _features(given, layer)
        integer = quantize_matrix(
            layer.weight,
            layer.bias,
            spread(features, layer),
            reach / high,
            config,
            name=layer.name,
            scales="tensor" if _regroups(layer, following) else scales,
            rescale=rescale,
        )
        result = IntegerLayer(source=layer, integer=integer, input_scales=features)
        quantized.append(result)
        given = result.output_scales
    return quantized


def _features(given: np.ndarray, layer: FloatLayer) -> np.ndarray:
    """Scales of inputs, or of channels, from those of all values that a layer takes."""
    return given.reshape(layer.windows.channels, -1)[:, 0] if layer.windows else given


def _regroups(layer: FloatLayer, following: FloatLayer | None) -> bool:
    """Whether outputs share a channel of the next layer: then they must share a scale."""
    if following is None or following.windows is None:
        return False
    return layer.windows is None or layer.outputs != following.windows.channels


def run_float(layers: Sequence[IntegerLayer], batch: np.ndarray) -> np.ndarray:
    """Run on integer weights and biases, but real activations."""
    for layer in layers:
        batch = layer.as_float()(batch)
    return batch


def run_integers(layers: Sequence[IntegerLayer], batch: np.ndarray, config: NmConfig) -> np.ndarray:
    """The dense integer reference: integer inputs to integer outputs."""
    for layer in layers:
        batch = layer.run(batch, config)
    return batch
