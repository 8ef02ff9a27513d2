"""Packing: what it keeps, and what it refuses, by name."""

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, Mode, preset
from spec.nm.golden import Decoded
from spec.nm.pack import Matrix, pack_layer
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
        ((4, 34), DENSE, {}, "34 inputs take 17 steps of 1:1, .* holds 16: use a sparser"),
        ((4, 8), DENSE, {"kept": np.ones((2, 8), bool)}, r"kept inputs are bool of shape \(2, 8\)"),
        ((4, 8), DENSE, {"kept": np.arange(8)[None] < 3}, "row 0: input 3 is dropped"),
    ],
)
def test_refusals(shape, mode, options, message):
    dense = np.ones(shape, int) if mode == DENSE else np.zeros(shape, int)
    with pytest.raises(UserError, match=f"layer q: .*{message}"):
        pack_layer(CONFIG, "q", plain(dense), mode, **options)
