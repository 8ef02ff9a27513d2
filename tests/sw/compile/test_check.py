"""The record of steps, and the dense runs that it is made of."""

import numpy as np
import pytest

from spec.eie.config import preset
from sw.compile import check
from sw.compile.check import Log, multiply, quantize_inputs, run_integer_weights, run_integers
from tests.sw.compile.networks import integer_layers

pytestmark = pytest.mark.unit


def test_steps_are_held_against_the_one_before_and_the_first():
    log = Log()
    log.add("network", np.array([[1.0, -4.0], [0.0, 2.0]]))
    log.add("next", np.array([[1.0, -4.0], [2.5, 2.0]]), ["a note"])
    log.add("last", np.array([[1.0, -3.0]]))
    first, second, third = log.steps
    assert (first.samples, first.change, first.relative, first.agreement) == (2, 0, 0, 1)
    assert (second.change, second.relative, second.total) == (2.5, 2.5 / 4, 2.5 / 4)
    assert (second.agreement, second.notes) == (0.5, ("a note",))
    assert (third.samples, third.change, third.total, third.agreement) == (1, 1, 0.25, 1)


def test_outputs_that_are_all_zero_divide_nothing():
    log = Log()
    log.add("network", np.zeros((2, 2)))
    log.add("next", np.full((2, 2), 0.5))
    assert log.steps[1].relative == 0.5


def test_blocks_make_no_difference(rng, monkeypatch):
    codes, values = rng.integers(0, 9, (37, 21)).astype(np.uint8), rng.integers(-99, 99, 9)
    acts = rng.integers(-99, 99, (5, 21))
    whole = multiply(acts, codes, values)
    np.testing.assert_array_equal(whole, acts @ values[codes].T)
    monkeypatch.setattr(check, "_BLOCK_WEIGHTS", 50)
    np.testing.assert_array_equal(multiply(acts, codes, values), whole)


@pytest.mark.parametrize("act_bits", [8, 16])
def test_integers_follow_real_activations(rng, act_bits):
    """The dense reference differs from real arithmetic by roundings of activations only."""
    config = preset("tiny", act_bits=act_bits)
    layers = integer_layers(rng, config, (30, 20, 10))
    batch = rng.normal(size=(8, 30)).clip(-0.5, 0.5)
    real = run_integer_weights(layers, batch)
    integers = run_integers(layers, quantize_inputs(layers, batch, config), config)
    error = np.abs(integers * layers[-1].output_scale - real).max() / np.abs(real).max()
    assert error < 40 * 2.0**-act_bits
