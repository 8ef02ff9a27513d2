"""Dot: every product at small widths; sums of many at both ends."""

from itertools import product

import numpy as np
import pytest

from hw.nm.dot import Dot
from spec.nm.config import NmConfig, preset
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def assert_sums(config: NmConfig, weights: np.ndarray, acts: np.ndarray) -> None:
    """A plain sum of products, two cycles later, or six; shapes (steps, multipliers)."""
    steps = [
        {"weights": w, "acts": a} for w, a in zip(weights.tolist(), acts.tolist(), strict=True)
    ]
    latency = 6 if config.pipeline else 2
    found = play(Dot(config), steps, ["o"], tail=latency)
    assert [o for (o,) in found[latency:]] == (weights * acts).sum(axis=1).tolist()


@pytest.mark.parametrize(("weight_bits", "act_bits"), [(2, 2), (3, 2), (2, 3)])
def test_every_pair_of_products(weight_bits, act_bits):
    """All operands of two multipliers, in particular all four most negative."""
    config = preset("tiny", weight_bits=weight_bits, act_bits=act_bits)
    weights, acts = (
        range(low, high + 1) for low, high in map(signed_bounds, (weight_bits, act_bits))
    )
    cases = np.array(list(product(weights, weights, acts, acts)))
    assert_sums(config, cases[:, :2], cases[:, 2:])


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize(
    ("n", "groups", "logic"), [(1, 1, 0), (1, 1, 1), (2, 1, 1), (4, 2, 0), (4, 2, 8), (1, 16, 5)]
)
def test_many_multipliers(rng, n, groups, logic, pipeline):
    """Random operands and the extremes, of full width; some of the multipliers out of logic."""
    size = {"n": n, "m": 4, "groups": groups, "act_bits": 16, "logic_multipliers": logic}
    config = preset("tiny", **size, pipeline=pipeline)
    shape = (20, config.multipliers)
    weights, acts = rng.integers(-128, 128, shape), rng.integers(-(2**15), 2**15, shape)
    weights[:2], acts[:2] = -128, [[-(2**15)], [2**15 - 1]]
    assert_sums(config, weights, acts)
