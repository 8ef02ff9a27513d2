"""Real inputs and outputs, by the image's scales."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.lstm import LstmCell
from spec.errors import UserError
from sw.host.quantities import dequantize_output, quantize_input
from tests.programs import random_program

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    return random_program(rng, preset("tiny"), [6, 3], density=0.5)


def test_input_rounds_to_even_and_saturates(program):
    scale = program.layers[0].input_scale
    real = np.array([0.0, 0.5, 1.5, -0.5, -1.6, 1e9, -1e9]) * scale
    assert quantize_input(program, real).tolist() == [0, 0, 2, 0, -2, 32767, -32768]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_all_floating_types_are_taken(program, dtype):
    found = quantize_input(program, np.full((2, 6), 0.25, dtype))
    assert found.dtype == np.int64
    assert (found == 0.25 / program.layers[0].input_scale).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused(program, bad):
    real = np.zeros((3, 6))
    real[1, 4] = bad
    with pytest.raises(
        UserError, match=r"1 values that are NaN or infinite, the first at \[1, 4\]"
    ):
        quantize_input(program, real)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, bool, complex])
def test_other_types_are_refused(program, dtype):
    with pytest.raises(UserError, match="floating-point"):
        quantize_input(program, np.zeros((1, 6), dtype))


def test_outputs_are_scaled(program):
    assert dequantize_output(program, np.array([[-3, 0, 2]])).tolist() == [
        [value * program.layers[-1].output_scale for value in (-3, 0, 2)]
    ]


def test_pixels_are_real_numbers(program):
    pixels = np.arange(6, dtype=np.uint8)[None]
    assert (quantize_input(program, pixels) == quantize_input(program, pixels * 1.0)).all()


def test_the_state_of_an_lstm_has_a_scale_of_its_own(program):
    cell = LstmCell(hidden=3, act_bits=16, gate_fraction_bits=8, cell_fraction_bits=9)
    gates = replace(program, layers=(replace(program.layers[-1], cell=cell),))
    assert dequantize_output(gates, np.array([1 << 14])).tolist() == [0.5]
