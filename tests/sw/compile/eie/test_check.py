"""The dense runs that steps are made of, and what is told of a wrong image."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.checks import check_fits
from spec.eie.config import preset
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from sw.compile.eie import check
from sw.compile.eie.check import (
    check_program,
    first_layers,
    integer_vectors,
    multiply,
    quantize_inputs,
    run_integer_weights,
    run_integers,
)
from sw.compile.eie.pack import pack_network
from sw.compile.eie.tile import tile_network
from tests.sw.compile.eie.tiles import AMPLE
from tests.sw.compile.networks import integer_layers

pytestmark = pytest.mark.unit


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


# The packed image ---------------------------------------------------------------------------------


def packed(rng: np.random.Generator, **limits: int) -> tuple[Program, list, np.ndarray]:
    """A random network of three layers and two images."""
    config = replace(AMPLE, **limits)
    layers = integer_layers(rng, config, (20, 12, 8, 5), density=0.8)
    batch = rng.integers(-3000, 3000, (2, 20))
    return pack_network(layers, tile_network(layers, config), config), layers, batch


@pytest.mark.parametrize(
    "limits",
    [{}, {"rows": 2}, {"act_rows": 2}, {"columns": 20}, {"layers": 1}, {"double_buffer": False}],
)
def test_programs_of_the_first_layers(rng, limits):
    program, layers, batch = packed(rng, **limits)
    _, *vectors = integer_vectors(layers, batch, program.config)
    for count, wanted in enumerate(vectors, 1):
        part = first_layers(program, count)
        check_fits(part)
        np.testing.assert_array_equal(GoldenModel(part).run(batch)[0], wanted)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_first_layer_that_computes_other_bits_is_named(rng, number):
    program, layers, batch = packed(rng)
    segment = program.segments[0]
    wrong = segment.codebooks.copy()
    wrong[number:, 1:] += 9999
    wrong = replace(program, segments=(replace(segment, codebooks=wrong),))
    with pytest.raises(RuntimeError, match=f"internal error: the packed image of layer fc{number}"):
        check_program(wrong, layers, batch)
    check_program(program, layers, batch)


def test_outputs_out_of_place_are_seen(rng):
    program, layers, batch = packed(rng)
    wrong = replace(program, orders=(*program.orders[:2], program.orders[2][::-1]))
    with pytest.raises(RuntimeError, match="layer fc2"):
        check_program(wrong, layers, batch)
