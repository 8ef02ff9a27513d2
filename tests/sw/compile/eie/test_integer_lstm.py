"""The dense integer reference of one LSTM against a slow statement without arrays."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.lstm import step
from spec.errors import UserError
from spec.numbers import signed_bounds
from sw.compile.eie.integer_lstm import IntegerLstm, run_integers_lstm
from sw.compile.scaling import EXACT_FLOAT
from tests.sw.compile.networks import integer_lstm

pytestmark = pytest.mark.unit


def slow_gates(layer: IntegerLstm, x: list[int], h: list[int]) -> list[int]:
    """One image's gates: a loop over rows, one rounding of an exact fraction each."""
    low, high = signed_bounds(layer.cell.act_bits)
    gates = []
    for row, bias in enumerate(layer.bias):
        total = int(bias)
        for code, value in zip(layer.codes_x[row], x, strict=True):
            total += int(layer.codebook_x[code]) * value
        for code, value in zip(layer.codes_h[row], h, strict=True):
            total += int(layer.codebook_h[code]) * value
        rounded = round(Fraction(total * layer.multiplier, 2**layer.shift))
        gates.append(min(max(rounded, low), high))
    return gates


@pytest.mark.parametrize("act_bits", [8, 16])
def test_every_step_is_that_of_loops_over_integers(act_bits, rng):
    config = preset("tiny", act_bits=act_bits)
    layer = integer_lstm(rng, config, inputs=5, hidden=4)
    low, high = signed_bounds(act_bits)
    acts = rng.integers(low, high, (3, 6, 5), endpoint=True) >> rng.integers(0, 5, (3, 1, 1))
    outputs = run_integers_lstm(layer, acts)
    assert outputs.shape == (3, 6, 4)
    for image in range(3):
        h = c = np.zeros((1, 4), np.int64)
        for number in range(6):
            x = [int(value) for value in acts[image, number]]
            gates = slow_gates(layer, x, [int(value) for value in h[0]])
            h, c = step(layer.cell, np.array([gates]), c)
            np.testing.assert_array_equal(outputs[image, number], h[0])
    only_last = run_integers_lstm(replace(layer, returns="last"), acts)
    np.testing.assert_array_equal(only_last, outputs[:, -1])


def test_sums_beyond_floats_stay_integers(rng):
    layer = integer_lstm(rng, preset("tiny"), inputs=5, hidden=4)
    acts = rng.integers(-32768, 32768, (3, 6, 5))
    wide = replace(layer, sums=(-EXACT_FLOAT - 1, 0))
    np.testing.assert_array_equal(run_integers_lstm(wide, acts), run_integers_lstm(layer, acts))


def test_properties(rng):
    layer = integer_lstm(rng, preset("tiny"), inputs=5, hidden=4)
    assert (layer.inputs, layer.hidden, layer.outputs) == (5, 4, 4)
    assert layer.output_scale == 2**-15
    assert layer.input_scale * layer.weight_scale_x == pytest.approx(layer.product_scale, rel=1e-15)
    assert layer.output_scale * layer.weight_scale_h == layer.product_scale
    books = layer.codebook_x, layer.codebook_h
    for bits, book in zip(layer.codebook_bits, books, strict=True):
        low, high = signed_bounds(bits)
        assert low <= book.min() <= book.max() <= high
        assert np.abs(book).max() >= high // 2


def test_shapes_that_do_not_fit(rng):
    layer = integer_lstm(rng, preset("tiny"), inputs=5, hidden=4)
    for shape in ((3, 5), (3, 6, 4)):
        with pytest.raises(
            UserError, match=r"layer lstm: takes inputs of shape \(images, steps, 5"
        ):
            run_integers_lstm(layer, np.zeros(shape, int))
