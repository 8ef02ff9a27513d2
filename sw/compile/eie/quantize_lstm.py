"""Quantization of an LSTM: a gate layer with two codebooks, and the cell behind it.

The gates are one fully connected layer of the input x and the state h. Both parts add up in the
same accumulators, so both products have one scale::

    input_scale * weight_scale_x = hidden_scale * weight_scale_h = product_scale

The part that needs the larger product scale for its largest weight to fit decides; the weights of
the other one become smaller integers. What the gates are rounded to is the power of two that the
cell works with, so here the ratio of the two scales cannot be handed on to the next layer, as
elsewhere. It is exact nevertheless: the product scale is raised to the next one that multiplier and
shift can express, which costs the codebooks at most a part of ``2**(1 - multiplier_bits)`` of their
range, and the gates nothing.
"""

import math
from collections.abc import Sequence

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.lstm import MOST_GATE_REACH_LOG2, LstmCell
from spec.errors import UserError
from spec.numbers import signed_bounds
from sw.compile.calibrate import LstmRange, Ranges
from sw.compile.eie.integer_lstm import IntegerLstm
from sw.compile.eie.quantize import (
    IntegerLayer,
    check_sums,
    count_codes,
    drop_vanished,
    quantize_bias,
    quantize_layer,
    with_most_bits,
)
from sw.compile.eie.share import SharedLayer, SharedLstm
from sw.compile.scaling import MisfitError, requantization


def quantize_recurrent(
    layers: Sequence[SharedLayer | SharedLstm],
    ranges: Ranges,
    config: EieConfig,
    *,
    rescale: bool = True,
) -> list[IntegerLayer | IntegerLstm]:
    """Quantize all layers of a recurrent network, one scale handed on to the next."""
    low, high = signed_bounds(config.act_bits)
    scale, quantized = ranges.input / high, []
    for layer, reach in zip(layers, ranges.outputs, strict=True):
        if isinstance(layer, SharedLstm):
            inside = ranges.insides[layer.name]
            result = quantize_lstm(
                layer, scale, inside, config, act_range=(low, high), rescale=rescale
            )
            low = signed_bounds(config.act_bits)[0]
        else:
            result = quantize_layer(
                layer, scale, reach / high, config, act_range=(low, high), rescale=rescale
            )
            low = 0 if layer.relu else signed_bounds(config.act_bits)[0]
        quantized.append(result)
        scale = result.output_scale
    return quantized


def quantize_lstm(
    layer: SharedLstm,
    input_scale: float,
    inside: LstmRange,
    config: EieConfig,
    *,
    act_range: tuple[int, int],
    rescale: bool = True,
) -> IntegerLstm:
    """Quantize one LSTM; weights give up bits as in :func:`sw.compile.eie.quantize.quantize_layer`.

    Parameters
    ----------
    inside : LstmRange
        Gates and state c get the next power of two as their range; gates no more than 16, beyond
        which sigmoid and tanh are flat.
    act_range : (int, int)
        Lowest and highest input that can arrive; includes 0.

    Raises
    ------
    UserError
        If it does not fit; names the layer, the row, the bound and the width.
    """
    try:
        cell = _cell(layer, inside, config)
    except UserError as error:
        raise UserError(f"layer {layer.name}: {error}") from None

    def attempt(bits: int) -> IntegerLstm:
        return _quantize(layer, cell, input_scale, config, act_range, bits)

    return with_most_bits(layer.name, attempt, config, rescale)


def _cell(layer: SharedLstm, inside: LstmRange, config: EieConfig) -> LstmCell:
    """The cell with the finest scales on which gates and state c fit."""
    most = config.act_bits - 1
    return LstmCell(
        hidden=layer.h.codes.shape[1],
        act_bits=config.act_bits,
        gate_fraction_bits=most - _reach_log2(inside.gates, min(MOST_GATE_REACH_LOG2, most)),
        cell_fraction_bits=most - _reach_log2(inside.cell, most),
    )


def _reach_log2(reach: float, most: int) -> int:
    """The smallest power of two from 1 to 2**most that is at least ``reach``, or 2**most."""
    return next((log2 for log2 in range(most) if reach <= math.ldexp(1.0, log2)), most)


def _quantize(
    layer: SharedLstm,
    cell: LstmCell,
    input_scale: float,
    config: EieConfig,
    act_range: tuple[int, int],
    bits: int,
) -> IntegerLstm:
    """Quantize with weights of ``bits`` bits, or raise :class:`MisfitError`."""
    parts, scales = (layer.x, layer.h), (input_scale, cell.hidden_scale)
    largest = max(
        scale * float(np.abs(part.values).max()) for part, scale in zip(parts, scales, strict=True)
    )
    # Without any weight the sums are biases: give them the gates' scale.
    wanted = largest / max(1, signed_bounds(bits)[1]) or cell.gate_scale
    multiplier, shift = _multiplier_above(wanted / cell.gate_scale, config)
    product_scale = math.ldexp(cell.gate_scale * multiplier, -shift)

    codebooks = [
        _codebook(part, product_scale / scale, config)
        for part, scale in zip(parts, scales, strict=True)
    ]
    counts = [count_codes(part.codes, len(part.values)) for part in parts]
    sums = _check_both(counts, codebooks, act_range, config)
    (codes_x, lost_x), (codes_h, lost_h) = (
        drop_vanished(part.codes, count, codebook)
        for part, count, codebook in zip(parts, counts, codebooks, strict=True)
    )
    return IntegerLstm(
        name=layer.name,
        codes_x=codes_x,
        codebook_x=codebooks[0],
        codes_h=codes_h,
        codebook_h=codebooks[1],
        bias=quantize_bias(layer.x.bias, product_scale, config),
        multiplier=multiplier,
        shift=shift,
        cell=cell,
        returns=layer.returns,
        input_scale=input_scale,
        product_scale=product_scale,
        weight_bits=bits,
        sums=sums,
        vanished=lost_x + lost_h,
    )


def _multiplier_above(ratio: float, config: EieConfig) -> tuple[int, int]:
    """The smallest quotient of multiplier and shift, of as many bits as there are, that is at least
    ``ratio``."""
    multiplier, shift = requantization(ratio, config)
    multiplier += math.ldexp(multiplier, -shift) < ratio
    if multiplier >> config.multiplier_bits:
        if shift == 0:
            raise MisfitError(
                f": requantization ratio {ratio:g} is above {multiplier - 1}, "
                f"the largest multiplier of {config.multiplier_bits} bits"
            )
        multiplier, shift = multiplier >> 1, shift - 1
    return multiplier, shift


def _codebook(part: SharedLayer, unit: float, config: EieConfig) -> np.ndarray:
    codebook = np.zeros(config.codes, np.int64)
    codebook[: len(part.values)] = np.rint(part.values / unit)
    return codebook


def _check_both(
    counts: Sequence[np.ndarray],
    codebooks: Sequence[np.ndarray],
    act_range: tuple[int, int],
    config: EieConfig,
) -> tuple[int, int]:
    """Prove that both parts together do not overflow; inputs are taken as wide as states, which is
    exact unless they come from a ReLU."""
    low, high = signed_bounds(config.act_bits)
    used = [book[: count.shape[1]] for book, count in zip(codebooks, counts, strict=True)]
    widest = min(low, act_range[0]), max(high, act_range[1])
    return check_sums(np.hstack(counts), np.concatenate(used), widest, config)
