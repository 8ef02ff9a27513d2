"""Quantization: a layer becomes integers, and a proof that none of its sums overflows.

Every tensor has a real scale, ``real = integer * scale``. A layer's input scale is the output
scale of the one in front; its weight scale maps its largest shared value to the largest weight; its
sums and biases then have the scale ``input_scale * weight_scale``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.numbers import signed_bits, signed_bounds
from sw.compile.calibrate import Ranges
from sw.compile.eie.share import SharedLayer
from sw.compile.scaling import MisfitError, requantization

Quantized = TypeVar("Quantized")


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerLayer:
    """A layer as the hardware computes it.

    Attributes
    ----------
    codes : uint8, shape (outputs, inputs)
    codebook : int64, shape (codes of the configuration,)
        Entry 0 is 0.
    bias : int64, shape (outputs,)
    multiplier, shift : int
        See :mod:`spec.numbers`; ``output_scale`` is exactly what they make it.
    weight_bits : int
        Bits that the codebook uses; fewer than the configuration's if sums could overflow.
    sums : (int, int)
        Lowest and highest sum that any activations of that width can reach, on the way included.
    vanished : int
        Weights that are not zero but are rounded to it.
    """

    name: str
    codes: np.ndarray
    codebook: np.ndarray
    bias: np.ndarray
    multiplier: int
    shift: int
    relu: bool
    input_scale: float
    weight_scale: float
    output_scale: float
    weight_bits: int
    sums: tuple[int, int]
    vanished: int

    @property
    def inputs(self) -> int:
        return self.codes.shape[1]

    @property
    def outputs(self) -> int:
        return self.codes.shape[0]

    @property
    def sum_bits(self) -> int:
        """Width of an accumulator that holds every sum."""
        return signed_bits(*self.sums)

    @property
    def codebooks(self) -> tuple[np.ndarray, ...]:
        """Of the parts that its columns fall into: just one."""
        return (self.codebook,)

    @property
    def starts(self) -> tuple[int, ...]:
        """First column of each part."""
        return (0,)

    @property
    def cell(self) -> None:
        """The host computes nothing behind it."""
        return


def quantize_network(
    layers: Sequence[SharedLayer], ranges: Ranges, config: EieConfig, *, rescale: bool = True
) -> list[IntegerLayer]:
    """Quantize all layers, one scale handed on to the next; see :func:`quantize_layer`."""
    low, high = signed_bounds(config.act_bits)
    scale, quantized = ranges.input / high, []
    for layer, reach in zip(layers, ranges.outputs, strict=True):
        result = quantize_layer(
            layer, scale, reach / high, config, act_range=(low, high), rescale=rescale
        )
        quantized.append(result)
        scale, low = result.output_scale, 0 if layer.relu else signed_bounds(config.act_bits)[0]
    return quantized


def quantize_layer(
    layer: SharedLayer,
    input_scale: float,
    output_scale: float,
    config: EieConfig,
    *,
    act_range: tuple[int, int],
    rescale: bool = True,
) -> IntegerLayer:
    """Quantize one layer.

    If a sum or a bias could exceed the accumulator, or the shift is too short for the output's
    scale, the weights are given one bit less, down to ``code_bits``: with fewer, values must merge.

    Parameters
    ----------
    output_scale : float
        The wish; the result has what multiplier and shift make of it.
    act_range : (int, int)
        Lowest and highest activation that can arrive; includes 0.
    rescale : bool
        Whether bits may be given up at all.

    Raises
    ------
    UserError
        If it does not fit; names the layer, the row, the bound and the width.
    """
    counts = count_codes(layer.codes, len(layer.values))

    def attempt(bits: int) -> IntegerLayer:
        return _quantize(layer, counts, input_scale, output_scale, config, act_range, bits)

    return with_most_bits(layer.name, attempt, config, rescale)


def with_most_bits(
    name: str, attempt: Callable[[int], Quantized], config: EieConfig, rescale: bool
) -> Quantized:
    """What ``attempt`` makes of a layer with weights of as many bits as fit, but not fewer than
    ``code_bits``."""
    fewest = min(config.code_bits, config.weight_bits) if rescale else config.weight_bits
    for bits in range(config.weight_bits, fewest - 1, -1):
        try:
            return attempt(bits)
        except MisfitError as misfit:
            reason = misfit
    advice = f"not even with weights of {fewest} bits" if rescale else "and rescaling is off"
    raise UserError(f"layer {name}{reason}, {advice}")


def _quantize(
    layer: SharedLayer,
    counts: np.ndarray,
    input_scale: float,
    output_scale: float,
    config: EieConfig,
    act_range: tuple[int, int],
    bits: int,
) -> IntegerLayer:
    """Quantize with weights of ``bits`` bits, or raise :class:`MisfitError`."""
    largest = float(np.abs(layer.values).max())
    # Without any weight the sums are biases: give them the output's scale.
    unit = largest / max(1, signed_bounds(bits)[1]) if largest else output_scale / input_scale
    codebook = np.zeros(config.codes, np.int64)
    codebook[: len(layer.values)] = np.rint(layer.values / unit)

    sums = check_sums(counts, codebook, act_range, config)
    bias = quantize_bias(layer.bias, input_scale * unit, config)
    multiplier, shift = requantization(input_scale * unit / output_scale, config)

    codes, vanished = drop_vanished(layer.codes, counts, codebook)
    return IntegerLayer(
        name=layer.name,
        codes=codes,
        codebook=codebook,
        bias=bias,
        multiplier=multiplier,
        shift=shift,
        relu=layer.relu,
        input_scale=input_scale,
        weight_scale=unit,
        output_scale=input_scale * unit * math.ldexp(1.0, shift) / multiplier,
        weight_bits=bits,
        sums=sums,
        vanished=vanished,
    )


def drop_vanished(
    codes: np.ndarray, counts: np.ndarray, codebook: np.ndarray
) -> tuple[np.ndarray, int]:
    """Codes without those whose value was rounded to zero, and how many weights that takes."""
    kept = (codebook != 0).astype(np.uint8) * np.arange(len(codebook), dtype=np.uint8)
    lost = np.flatnonzero(kept[1 : counts.shape[1]] == 0) + 1
    return kept[codes] if len(lost) else codes, int(counts[:, lost].sum())


def count_codes(codes: np.ndarray, values: int) -> np.ndarray:
    """How often each code occurs in each row; int64, shape (rows, values), without code 0."""
    rows, columns = codes.shape
    at = np.flatnonzero(codes)
    cells = at // columns * values + codes.reshape(-1)[at]
    return np.bincount(cells, minlength=rows * values).reshape(rows, values)


def check_sums(
    counts: np.ndarray, codebook: np.ndarray, act_range: tuple[int, int], config: EieConfig
) -> tuple[int, int]:
    """Prove that no accumulator overflows, whatever the activations and the order of the sum.

    Every term's range includes 0, so the sum of all terms' maxima bounds each partial sum, and the
    activations of these maxima reach it: the bound is the exact worst case.
    """
    values = codebook[: counts.shape[1]]
    positive = counts @ np.maximum(values, 0)
    negative = counts @ np.minimum(values, 0)
    # Python's integers, because a bound may exceed 64 bits.
    low, high = (int(bound) for bound in act_range)
    highest = positive.astype(object) * high + negative.astype(object) * low
    lowest = positive.astype(object) * low + negative.astype(object) * high
    allowed = signed_bounds(config.acc_bits)
    for row in (int(np.argmax(highest)), int(np.argmin(lowest))):
        if lowest[row] < allowed[0] or highest[row] > allowed[1]:
            raise MisfitError(
                f", row {row}: its sum can reach {lowest[row]}...{highest[row]}, "
                f"an accumulator of {config.acc_bits} bits holds {allowed[0]}...{allowed[1]}"
            )
    return min(lowest), max(highest)


def quantize_bias(bias: np.ndarray, scale: float, config: EieConfig) -> np.ndarray:
    """Biases as integers at the accumulator's scale."""
    low, high = signed_bounds(config.acc_bits)
    with np.errstate(over="ignore"):
        rounded = np.rint(bias / scale)
    row = int(np.argmax(np.abs(rounded)))
    if not low <= rounded[row] <= high:
        raise MisfitError(
            f", row {row}: its bias becomes {rounded[row]:.3g}, "
            f"an accumulator of {config.acc_bits} bits holds {low}...{high}"
        )
    return rounded.astype(np.int64)
