"""Quantization of an LSTM: one scale for two codebooks, exact gates, and the proof."""

import itertools
import math

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.errors import UserError
from spec.numbers import signed_bits, signed_bounds
from sw.compile.calibrate import LstmRange
from sw.compile.eie.integer_lstm import IntegerLstm
from sw.compile.eie.quantize_lstm import quantize_lstm
from sw.compile.eie.share import SharedLstm, recover_lstm
from tests.sw.compile.networks import float_lstm

pytestmark = pytest.mark.unit

INSIDE = LstmRange(gates=5.0, cell=1.5)
ACTS = signed_bounds(16)


def shared(rng, config: EieConfig, inputs: int = 7, hidden: int = 5, **changes) -> SharedLstm:
    return recover_lstm(float_lstm(rng, inputs, hidden, **changes), config)


def check(layer: IntegerLstm, float_layer, config: EieConfig) -> None:
    """Integers stand for the real weights to within half a unit, and for the gates exactly."""
    ratio = math.ldexp(layer.multiplier, -layer.shift)
    assert layer.cell.gate_scale * ratio == layer.product_scale
    assert 0 < layer.multiplier < 2**config.multiplier_bits
    assert 0 <= layer.shift <= config.shift_max
    given = layer.as_float()
    for name, unit in (
        ("weight_ih", layer.weight_scale_x),
        ("weight_hh", layer.weight_scale_h),
        ("bias", layer.product_scale),
    ):
        error = getattr(given, name) - getattr(float_layer, name)
        assert np.abs(error).max() <= unit * (0.5 + 1e-9)
    assert layer.codebook_x[0] == layer.codebook_h[0] == 0
    assert max(layer.codebook_bits) <= layer.weight_bits


@pytest.mark.parametrize("input_scale", [2**-15, 1e-4, 1e-6, 0.03])
def test_both_parts_have_one_scale(input_scale, rng):
    config = preset("default")
    float_layer = float_lstm(rng, 7, 5)
    layer = quantize_lstm(
        recover_lstm(float_layer, config), input_scale, INSIDE, config, act_range=ACTS
    )
    check(layer, float_layer, config)
    # The larger one of the two scales decides, and its codebook is full but for the multiplier.
    largest = [
        scale * np.abs(weight).max()
        for scale, weight in (
            (input_scale, float_layer.weight_ih),
            (2**-15, float_layer.weight_hh),
        )
    ]
    full = (layer.codebook_x, layer.codebook_h)[int(np.argmax(largest))]
    assert 32767 * (1 - 2**-14) <= np.abs(full).max() <= 32767
    assert layer.weight_bits == 16


@pytest.mark.parametrize(
    ("gates", "cell", "fractions"),
    [
        (0.0, 0.0, (15, 15)),
        (1.0, 1.0, (15, 15)),
        (1.01, 2.0, (14, 14)),
        (8.0, 2.1, (12, 13)),
        (9.0, 100.0, (11, 8)),
        (1000.0, 1e9, (11, 0)),
    ],
)
def test_ranges_are_powers_of_two(gates, cell, fractions, rng):
    config = preset("default")
    inside = LstmRange(gates, cell)
    layer = quantize_lstm(shared(rng, config), 1e-4, inside, config, act_range=ACTS)
    assert (layer.cell.gate_fraction_bits, layer.cell.cell_fraction_bits) == fractions
    assert (layer.cell.hidden, layer.cell.act_bits) == (5, 16)


@pytest.mark.parametrize("act_bits", [8, 12])
def test_narrow_activations(act_bits, rng):
    config = preset("tiny", act_bits=act_bits)
    float_layer = float_lstm(rng, 7, 5)
    act_range = signed_bounds(act_bits)
    layer = quantize_lstm(
        recover_lstm(float_layer, config), 0.01, INSIDE, config, act_range=act_range
    )
    check(layer, float_layer, config)
    assert layer.output_scale == 2.0 ** (1 - act_bits)
    assert layer.cell.gate_scale == 2.0 ** (4 - act_bits)


@pytest.mark.parametrize("act_bits", [7, 17])
def test_activations_that_no_table_fits(act_bits, rng):
    config = preset("tiny", act_bits=act_bits)
    with pytest.raises(UserError, match=f"layer lstm: LSTM cell: act_bits = {act_bits}, must be"):
        quantize_lstm(shared(rng, config), 0.01, INSIDE, config, act_range=(0, 1))


def test_bounds_are_the_exact_worst_case_of_both_parts(rng):
    config = preset("tiny", act_bits=8, weight_bits=5, acc_bits=20)
    for _ in range(20):
        layer = quantize_lstm(
            shared(rng, config, 4, 3, density=0.8), 0.01, INSIDE, config, act_range=(-128, 127)
        )
        weights = np.hstack([layer.codebook_x[layer.codes_x], layer.codebook_h[layer.codes_h]])
        highest = np.where(weights > 0, 127, -128)
        lowest = np.where(weights > 0, -128, 127)
        assert layer.sums == ((weights * lowest).sum(1).min(), (weights * highest).sum(1).max())
        assert layer.sum_bits == signed_bits(*layer.sums) <= 20


def test_sums_of_both_parts_decide_how_many_bits_remain(rng):
    """Each part alone would fit with a bit more than both together."""
    config = preset("tiny", acc_bits=34)
    ones = np.ones((8, 8))
    both = float_lstm(rng, 8, 2, weight_ih=ones[:, :8], weight_hh=ones[:, :2])
    alone = float_lstm(rng, 8, 2, weight_ih=ones[:, :8], weight_hh=np.zeros((8, 2)))
    bits = [
        quantize_lstm(
            recover_lstm(layer, config), 2**-15, INSIDE, config, act_range=ACTS
        ).weight_bits
        for layer in (both, alone)
    ]
    assert bits == [15, 16]
    with pytest.raises(UserError, match="layer lstm, row 0: its sum can reach .* rescaling is off"):
        quantize_lstm(
            recover_lstm(both, config), 2**-15, INSIDE, config, act_range=ACTS, rescale=False
        )


def test_weights_that_vanish_beside_larger_ones(rng):
    """Inputs a million times the state leave nothing of its weights; the result says so."""
    config = preset("default")
    float_layer = float_lstm(rng, 7, 5)
    layer = quantize_lstm(recover_lstm(float_layer, config), 1e3, INSIDE, config, act_range=ACTS)
    assert layer.vanished == np.count_nonzero(float_layer.weight_hh)
    assert not layer.codes_h.any()
    assert layer.codebook_bits == (16, 1)


def test_an_lstm_without_weights(rng):
    config = preset("tiny")
    zeros = np.zeros
    float_layer = float_lstm(rng, 7, 5, weight_ih=zeros((20, 7)), weight_hh=zeros((20, 5)))
    layer = quantize_lstm(recover_lstm(float_layer, config), 0.1, INSIDE, config, act_range=ACTS)
    assert layer.multiplier == 1 << layer.shift
    assert layer.sums == (0, 0)
    check(layer, float_layer, config)


def test_factors_at_the_edge_of_the_multiplier(rng):
    """Whatever the ratio, it is rounded up, and stays exact; small multipliers make it coarse."""
    for bits, scale in itertools.product((1, 2, 5, 16), 10.0 ** np.linspace(-7, -1, 23)):
        config = preset("tiny", multiplier_bits=bits)
        float_layer = float_lstm(rng, 7, 5)
        layer = quantize_lstm(
            recover_lstm(float_layer, config), float(scale), INSIDE, config, act_range=ACTS
        )
        check(layer, float_layer, config)


def test_what_does_not_fit_is_refused(rng):
    config = preset("tiny", acc_bits=32)
    layer = shared(rng, config, bias=np.full(20, 1e5))
    with pytest.raises(
        UserError, match="layer lstm, row 0: its bias becomes .* not even with weig"
    ):
        quantize_lstm(layer, 1e-9, INSIDE, config, act_range=ACTS)
    with pytest.raises(UserError, match="layer lstm: requantization ratio .* is above 65535"):
        quantize_lstm(shared(rng, config), 1e12, INSIDE, config, act_range=ACTS)
    short = preset("tiny", shift_bits=1)
    with pytest.raises(UserError, match="layer lstm: requantization ratio .* vanishes"):
        quantize_lstm(shared(rng, short), 1e-9, INSIDE, short, act_range=ACTS)


def test_the_largest_multiplier_of_all(rng):
    """Rounded up, the ratio needs one bit more than there is."""
    config = preset("tiny", weight_bits=4)
    ones = np.ones((8, 2))
    layer = recover_lstm(float_lstm(rng, 2, 2, weight_ih=ones, weight_hh=0 * ones), config)
    ratio = 65535.2
    with pytest.raises(UserError, match=r"ratio 65535.2 is above 65535, the largest multiplier"):
        quantize_lstm(layer, ratio * 7 * 2**-12, INSIDE, config, act_range=(-1, 1))
