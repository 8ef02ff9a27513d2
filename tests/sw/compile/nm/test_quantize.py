"""Quantization of one matrix: scales, multipliers, and the proof against brute force."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import NmConfig, preset
from spec.numbers import signed_bounds
from sw.compile.nm.quantize import FEWEST_BITS, IntegerMatrix, quantize_matrix

pytestmark = pytest.mark.unit

CONFIG = preset("default")


def small(**changes: int) -> NmConfig:
    """Widths for which every input can be tried."""
    widths = {"act_bits": 2, "weight_bits": 3, "acc_bits": 6, "multiplier_bits": 8}
    return preset("tiny", **(widths | changes))


def random_layer(rng: np.random.Generator, outputs: int = 12, inputs: int = 20):
    weight = rng.normal(size=(outputs, inputs)) * rng.uniform(0.01, 100, (outputs, 1))
    return weight * (rng.random(weight.shape) < 0.5), rng.normal(size=outputs)


def compute(integer: IntegerMatrix, acts: np.ndarray, input_scales, config: NmConfig) -> np.ndarray:
    """Real outputs of real inputs, in exact fractions but for the one rounding."""
    low, high = signed_bounds(config.act_bits)
    given = np.clip(np.rint(acts / input_scales), low, high).astype(int)
    outputs = np.zeros((len(acts), len(integer.scales)))
    for sample, row in itertools.product(range(len(acts)), range(len(integer.scales))):
        matrix = integer.matrix
        total = int(given[sample] @ matrix.dense[row]) + int(matrix.bias[row])
        exact = Fraction(total * int(matrix.multiplier[row]), 1 << int(matrix.shift[row]))
        outputs[sample, row] = min(max(round(exact), low), high) * integer.output_scales[row]
    return outputs


@pytest.mark.parametrize("scales", ["row", "tensor"])
@pytest.mark.parametrize("act_bits", [8, 16])
def test_integers_compute_what_the_matrix_does(rng, scales, act_bits):
    config = preset("default", act_bits=act_bits)
    weight, bias = random_layer(rng)
    weight /= np.abs(weight).max(axis=1, keepdims=True)
    acts = rng.uniform(-1, 1, (30, 20)) * rng.uniform(0.1, 10, 20)
    wanted = acts @ weight.T + bias
    high = signed_bounds(act_bits)[1]
    input_scales = np.abs(acts).max(axis=0) / high
    output_scales = np.abs(wanted).max(axis=0) / high
    integer = quantize_matrix(weight, bias, input_scales, output_scales, config, scales=scales)
    assert np.abs(integer.output_scales / output_scales - 1).max() < 2.0**-15
    assert (integer.weight_bits == 8).all()
    error = np.abs(compute(integer, acts, input_scales, config) - wanted).max(axis=0)
    assert (error < np.abs(wanted).max(axis=0) * 0.08).all()
    real = integer.matrix.dense * integer.scales[:, None] / input_scales
    step = integer.scales[:, None] / input_scales
    assert (np.abs(real - weight) <= step * 0.5000001).all()


def test_every_row_uses_all_its_bits_and_a_tensor_only_its_largest(rng):
    weight, bias = random_layer(rng)
    rows = quantize_matrix(weight, bias, 1.0, 1.0, CONFIG)
    assert (np.abs(rows.matrix.dense).max(axis=1) == 127).all()
    tensor = quantize_matrix(weight, bias, 1.0, 1.0, CONFIG, scales="tensor")
    assert len(set(tensor.scales)) == len(set(tensor.matrix.multiplier)) == 1
    assert len(set(tensor.output_scales)) == 1, "the next layer may need one scale"
    largest = np.abs(tensor.matrix.dense).max(axis=1)
    assert largest.max() == 127
    assert largest.min() < 127


def test_zeros_stay_and_what_vanishes_is_counted():
    weight = np.array([[1.0, 0, 1e-4, -1e-4], [0, 0, 0, 0]])
    integer = quantize_matrix(weight, np.array([0.0, 3.0]), 1.0, 0.5, CONFIG)
    assert integer.matrix.dense.tolist() == [[127, 0, 0, 0], [0, 0, 0, 0]]
    assert integer.vanished == 2
    # A row without weights has its output's scale.
    assert integer.scales[1] == 0.5
    assert integer.matrix.bias[1] == 6
    assert integer.output_scales[1] == 0.5


@pytest.mark.parametrize("acc_bits", [5, 6])
def test_sums_are_the_exact_worst_case(rng, acc_bits):
    """Against all inputs of a small layer: the bounds are reached, and never left."""
    config = small(acc_bits=acc_bits)
    low, high = signed_bounds(config.act_bits)
    refused = 0
    for _ in range(40):
        weight = rng.integers(-3, 4, (2, 3)).astype(float)
        weight[:, 0] = 3
        every = np.array(list(itertools.product(range(low, high + 1), repeat=3)))
        sums = every @ weight.T.astype(int)
        allowed = signed_bounds(acc_bits)
        fits = allowed[0] <= sums.min() and sums.max() <= allowed[1]
        try:
            integer = quantize_matrix(weight, np.zeros(2), 1.0, 10.0, config, rescale=False)
        except UserError as error:
            refused += 1
            assert not fits
            reached = re.search(
                r"row (\d): its sum can reach (-?\d+)...(-?\d+), an acc", str(error)
            )
            assert reached
            row = int(reached[1])
            assert (sums[:, row].min(), sums[:, row].max()) == (int(reached[2]), int(reached[3]))
        else:
            assert fits
            assert integer.sums == (sums.min(), sums.max())
            assert integer.sum_bits <= acc_bits
    assert (refused > 0) == (acc_bits == 5)


def test_rows_give_up_bits_one_by_one(rng):
    weight = np.ones((3, 64))
    weight[1] = [1] + [0.001] * 63
    weight[2, 20:] = 0
    config = preset("default", acc_bits=20)
    integer = quantize_matrix(weight, np.zeros(3), 1.0, 100.0, config)
    assert integer.weight_bits.tolist() == [7, 8, 8]
    assert np.abs(integer.matrix.dense).max(axis=1).tolist() == [63, 127, 127]
    tensor = quantize_matrix(weight, np.zeros(3), 1.0, 100.0, config, scales="tensor")
    assert tensor.weight_bits.tolist() == [7, 7, 7]
    tight = preset("default", acc_bits=16)
    with pytest.raises(
        UserError,
        match=r"layer fc, row 0: its sum can reach -57344...56896, .* holds -32768...32767, "
        f"not even with weights of {FEWEST_BITS} bits",
    ):
        quantize_matrix(weight, np.zeros(3), 1.0, 100.0, tight, name="fc")
    with pytest.raises(UserError, match="layer fc, row 0: .*, rescaling is off"):
        quantize_matrix(weight, np.zeros(3), 1.0, 9.0, config, name="fc", rescale=False)


def test_biases_that_no_accumulator_holds(rng):
    weight = np.ones((2, 4)) * [[1.0], [1e-8]]
    bias = np.array([0.0, 1e3])
    integer = quantize_matrix(weight, bias, 1e-3, 10.0, CONFIG)
    # Row 1 could not move its output by half a unit: its bias is what is left.
    assert integer.matrix.dense.tolist() == [[127] * 4, [0] * 4]
    assert integer.matrix.bias.tolist() == [0, 100]
    assert integer.vanished == 4
    assert integer.weight_bits.tolist() == [8, 8]
    with pytest.raises(UserError, match="row 1: its bias becomes .*, an accumulator of 32 bits"):
        quantize_matrix(weight, bias, 1e-3, 10.0, CONFIG, rescale=False)
    with pytest.raises(UserError, match="row 1: its bias becomes 1e"):
        quantize_matrix(weight, np.array([0, 1e12]), 1e-3, 10.0, CONFIG)
    # What could move it is not left out.
    with pytest.raises(UserError, match="row 0: its bias becomes .* not even with weights of 4"):
        quantize_matrix(np.full((1, 4), 0.1), np.array([1e12]), 1.0, 1.0, CONFIG)


def test_numbers_at_the_edge_of_what_a_float_holds():
    weight = np.array([[5e-324, 0], [1e-300, 0], [1e300, 0]])
    integer = quantize_matrix(weight, np.ones(3), 1.0, np.array([1, 1, 1e300]), CONFIG)
    assert integer.matrix.dense[:2].tolist() == [[0, 0], [0, 0]]
    assert integer.matrix.dense[2].tolist() == [127, 0]
    assert np.isfinite(integer.output_scales).all()


def test_a_shift_that_is_too_short():
    config = preset("tiny", shift_bits=1, multiplier_bits=4)
    with pytest.raises(UserError, match="layer fc, row 0: .*the largest shift, 1, not even"):
        quantize_matrix(np.ones((1, 2)), np.zeros(1), 1.0, 127.0, config, name="fc")
    integer = quantize_matrix(np.ones((1, 2)), np.zeros(1), 1.0, 0.14, config)
    assert integer.weight_bits[0] == 5
    assert abs(integer.output_scales[0] / 0.14 - 1) <= 2.0**-4


def test_an_output_that_is_far_below_its_sums():
    with pytest.raises(UserError, match="row 0: requantization ratio .* is above 65535"):
        quantize_matrix(np.ones((1, 2)), np.zeros(1), 1.0, 1e-9, CONFIG)


def test_unknown_scales():
    with pytest.raises(UserError, match="scales 'column' are unknown, there are row, tensor"):
        quantize_matrix(np.ones((1, 2)), np.zeros(1), 1.0, 1.0, CONFIG, scales="column")
