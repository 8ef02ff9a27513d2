"""Kept inputs: where they stand, what their offsets lead to, and what is refused."""

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import Mode, preset
from spec.nm.tiles import keep, kept_by, restore
from tests.spec.nm.cases import random_config

pytestmark = pytest.mark.unit


def test_every_kept_input_stands_in_its_bank_and_is_found_again(rng):
    for _ in range(60):
        config = random_config(rng, gather_lines=200)
        kept = rng.random(int(rng.integers(1, 150))) < rng.choice([0.05, 0.5, 1.0])
        kept[rng.integers(len(kept))] = True
        places = keep(config, kept)
        used = places.inputs >= 0
        assert sorted(places.inputs[used]) == np.flatnonzero(kept).tolist()
        position = np.arange(places.positions)
        assert (
            places.inputs[used] % config.line_inputs == position[used] % config.line_inputs
        ).all()
        offsets = places.offsets(config)
        assert offsets.min() >= 0
        assert np.array_equal(restore(config, offsets)[used], places.inputs[used])
        # Positions without an input read a line that exists.
        assert restore(config, offsets).max() // config.line_inputs < -(
            -len(kept) // config.line_inputs
        )
        for mode in config.modes:
            steps = places.steps(config, mode)
            assert steps * config.step_inputs(mode) > position[used].max()
            assert (steps - 1) * config.step_inputs(mode) <= position[used].max()


def test_banks_that_keep_as_many_need_no_padding():
    config = preset("default")
    kept = np.zeros(64, bool)
    kept[[*range(8, 24), *range(40, 48)]] = True
    places = keep(config, kept)
    assert places.count == places.positions == 24
    assert places.offsets(config).tolist() == [[1] * 8, [1] * 8, [3] * 8]
    assert [places.steps(config, Mode.parse(mode)) for mode in ("dense", "2:4", "1:4")] == [
        12,
        6,
        3,
    ]


def test_compact():
    config = preset("tiny")
    kept = np.zeros(20, bool)
    kept[[1, 9, 10, 19]] = True
    places = keep(config, kept)
    assert places.inputs.tolist() == [-1, 1, 10, 19, *[-1] * 5, 9, *[-1] * 6]
    rows = np.arange(40).reshape(2, 20)
    assert places.compact(rows)[1].tolist() == [0, 21, 30, 39, *[0] * 5, 29, *[0] * 6]


def test_what_is_kept_by_zeros():
    config = preset("tiny")
    dense = np.zeros((9, 6), int)
    dense[2, 3] = dense[3, 5] = dense[8, 1] = 1
    assert [np.flatnonzero(one).tolist() for one in kept_by(config, dense)] == [[3, 5], [0], [1]]


def test_refusals():
    config = preset("tiny", gather_lines=0)
    with pytest.raises(UserError, match="must keep at least one"):
        keep(config, np.zeros(8, bool))
    with pytest.raises(UserError, match="no gather stage"):
        keep(config, np.ones(136, bool))
