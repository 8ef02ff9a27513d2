"""The N:M form: round trips, completion, refusals, the lecture's example, storage."""

from itertools import product

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, Mode
from spec.nm.groups import check_pattern, encode, storage_bits
from tests.spec.nm.cases import random_rows

pytestmark = pytest.mark.unit

MODES = [Mode(1, 1), Mode(1, 2), Mode(1, 4), Mode(2, 4), Mode(2, 8), Mode(4, 8), Mode(1, 8)]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_encode_and_decode(rng, mode):
    for _ in range(20):
        groups, rows = (int(one) for one in rng.integers(1, 9, 2))
        dense = random_rows(rng, (rows, groups * mode.m), mode, 8)
        form = encode(dense, mode)
        assert np.array_equal(form.decode(), dense)
        assert form.values.shape == form.places.shape == (rows, groups, mode.n)
        assert (np.diff(form.places, axis=2) > 0).all()
        assert form.places.min() >= 0
        assert form.places.max() < mode.m


@pytest.mark.parametrize("mode", MODES[:6], ids=str)
def test_every_mask_of_a_group(mode):
    """Allowed ones keep their non-zeros; what is added are zeros of the last N places."""
    for mask in product([0, 1], repeat=mode.m):
        dense = np.array([mask]) * np.arange(1, mode.m + 1)
        if sum(mask) > mode.n:
            with pytest.raises(UserError, match=f"the pattern {mode} allows {mode.n}"):
                encode(dense, mode)
            continue
        form = encode(dense, mode)
        assert np.array_equal(form.decode(), dense)
        added = form.places[form.values == 0]
        assert (added >= mode.m - mode.n).all()


@pytest.mark.parametrize(
    ("mask", "places"),
    [
        ("0000", (2, 3)),
        ("0001", (2, 3)),
        ("0010", (2, 3)),
        ("0100", (1, 2)),
        ("1000", (0, 2)),
        ("1100", (0, 1)),
        ("0101", (1, 3)),
    ],
)
def test_completion_of_two_of_four(mask, places):
    dense = np.array([[int(bit) for bit in mask]])
    assert tuple(encode(dense, Mode(2, 4)).places[0, 0]) == places


def test_the_lectures_example():
    dense = np.array([[1, 0, 2, 0], [3, 0, 4, 0], [0, 5, 0, 6], [0, 7, 0, 8]] * 2)
    form = encode(dense, Mode(2, 4))
    assert form.values.reshape(8, 2).tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]] * 2
    assert form.places.reshape(8, 2).tolist() == [[0, 2], [0, 2], [1, 3], [1, 3]] * 2


def test_the_row_and_group_that_break_the_pattern_are_told():
    dense = np.zeros((3, 12), int)
    dense[1, 4:7] = 1
    with pytest.raises(UserError, match=r"row 1, group 1: 3 non-zeros in the inputs 4\.\.\.7"):
        check_pattern(dense, Mode(2, 4))
    with pytest.raises(UserError, match="row 40, group 1"):
        check_pattern(dense, Mode(2, 4), np.array([30, 40, 50]))
    with pytest.raises(UserError, match="rows of 12 inputs are no whole groups of 8"):
        check_pattern(dense, Mode(2, 8))


def test_storage():
    dense = storage_bits(768, 768, DENSE, 8)
    assert storage_bits(768, 768, Mode(2, 4), 8) / dense == 0.625
    assert storage_bits(768, 768, Mode(1, 4), 8) / dense == 0.3125
    assert storage_bits(768, 768, Mode(2, 4), 16) / (2 * dense) == 0.5625
    assert storage_bits(1, 5, Mode(2, 4), 8) == 40
