"""Packing: what it keeps, and what it refuses, by name."""

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.checks import check_fits
from spec.nm.config import DENSE, Mode, preset
from spec.nm.golden import Decoded
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import Program
from tests.spec.nm.cases import random_case

pytestmark = pytest.mark.unit

CONFIG = preset("tiny")


def plain(dense: np.ndarray) -> Matrix:
    ones = np.ones(len(dense), int)
    return Matrix(dense=dense, bias=0 * ones, multiplier=ones, shift=0 * ones)


def test_nothing_is_lost(rng):
    for _ in range(40):
        case = random_case(rng)
        program, layer = case.program, case.layer
        dense = Decoded(program, 0).dense[: layer.outputs]
        assert np.array_equal(dense, case.matrix.dense[program.order(0)])
        assert layer.weights == np.count_nonzero(case.matrix.dense)


def test_slots_of_an_even_matrix():
    for mode, slots in (("dense", 1024), ("2:4", 512), ("1:4", 256)):
        layer, _ = pack_layer(CONFIG, "a", plain(np.zeros((32, 32), int)), Mode.parse(mode))
        assert layer.slots == slots
    kept = np.zeros((8, 32), bool)
    kept[:, :16] = True
    layer, _ = pack_layer(CONFIG, "a", plain(np.zeros((32, 32), int)), Mode(2, 4), kept=kept)
    assert layer.slots == 256


def test_slots_of_groups_that_are_not_full(rng):
    """Two inputs of one bank stand in two groups: each may have a weight."""
    dense = np.zeros((4, 32), int)
    dense[:, [0, 8]] = 1
    layer, _ = pack_layer(CONFIG, "a", plain(dense), Mode(1, 4), gather=True)
    assert (layer.weights, layer.slots) == (8, 8)


def test_a_broken_pattern_is_told_with_layer_row_and_group():
    dense = np.zeros((6, 8), int)
    dense[5, 4:7] = 1
    with pytest.raises(UserError, match="layer ffn: row 5, group 1: 3 non-zeros"):
        pack_layer(CONFIG, "ffn", plain(dense), Mode(2, 4))
    with pytest.raises(UserError, match="layer ffn: row 5, group 1"):
        pack_layer(CONFIG, "ffn", plain(dense), Mode(2, 4), order=np.array([5, 0, 1, 2, 3, 4]))


@pytest.mark.parametrize(
    ("shape", "mode", "options", "message"),
    [
        ((4, 8), Mode(2, 8), {}, "pattern 2:8 is none of this array's: 1:1, 1:2, 1:4, 2:4"),
        ((4, 300), DENSE, {}, "300 inputs are 38 lines, .* holds 32: at most 256 inputs"),
        ((4, 8), DENSE, {"kept": np.ones((2, 8), bool)}, r"kept inputs are bool of shape \(2, 8\)"),
        ((4, 8), DENSE, {"kept": np.arange(8)[None] < 3}, "row 0: input 3 is dropped"),
    ],
)
def test_refusals(shape, mode, options, message):
    dense = np.ones(shape, int) if mode == DENSE else np.zeros(shape, int)
    with pytest.raises(UserError, match=f"layer q: .*{message}"):
        pack_layer(CONFIG, "q", plain(dense), mode, **options)


def test_a_bank_that_holds_no_line():
    config = preset("tiny", weight_steps=3)
    matrix = plain(np.ones((4, 8), int))
    pack_layer(config, "q", plain(np.ones((4, 6), int)), DENSE)
    with pytest.raises(UserError, match="4 steps of 1:1 do not fit .*'s 3, nor does a line of 4"):
        pack_layer(config, "q", matrix, DENSE)


@pytest.mark.parametrize("gather", [False, True])
def test_parts_are_even_whole_lines(gather):
    """34 lines of 8 inputs, 4 of which a bank holds: nine parts of three or four lines."""
    config = preset("tiny", act_lines=40)
    dense = np.tile(np.arange(8) - 4, 34)[None] * np.ones((7, 1), int)
    layer, weights = pack_layer(config, "q", plain(dense), DENSE, gather=gather)
    program = Program(config=config, layers=(layer,), weights=(weights,))
    assert layer.parts == 9
    steps = program.steps(0).reshape(2, 9)
    assert (steps.sum(axis=1) == 4 * 34).all()
    assert set(steps.ravel().tolist()) == {12, 16}
    check_fits(program)
    assert np.array_equal(Decoded(program, 0).dense[:7], dense)


def test_a_short_strip_is_filled_up_to_as_many_parts():
    config = preset("tiny", act_lines=40)
    dense = np.ones((8, 272), int)
    dense[4:, 9:] = 0
    layer, weights = pack_layer(config, "q", plain(dense), DENSE, gather=True)
    program = Program(config=config, layers=(layer,), weights=(weights,))
    steps = program.steps(0).reshape(2, layer.parts)
    assert steps[1].tolist() == [4] * (layer.parts - 1) + [1]
    check_fits(program)
    assert np.array_equal(Decoded(program, 0).dense, dense)
