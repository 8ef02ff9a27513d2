"""Payloads as rows of limbs, and as integers."""

import numpy as np
import pytest

from sim.limbs import join, limbs_for, split

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("limbs", [1, 2, 3, 8])
def test_rows_come_back(rng, limbs):
    rows = rng.integers(0, 2**64, (20, limbs), np.uint64)
    payloads = join(rows)
    for row, payload in zip(rows, payloads, strict=True):
        assert payload == sum(int(limb) << 64 * at for at, limb in enumerate(row))
    np.testing.assert_array_equal(split(payloads, limbs), rows)


def test_one_limb_needs_no_axis(rng):
    words = rng.integers(0, 2**64, 20, np.uint64)
    assert join(words) == words.tolist()


@pytest.mark.parametrize("limbs", [1, 3])
def test_nothing_has_its_shape(limbs):
    assert join(np.zeros((0, limbs), np.uint64)) == []
    assert split([], limbs).shape == (0, limbs)
    assert split([1], limbs).dtype == np.uint64


def test_limbs_are_whole():
    assert [limbs_for(bits) for bits in (1, 64, 65, 128, 129)] == [1, 1, 2, 2, 3]
