"""MAC against a plain sum: every operand at small widths, every place, gaps, first steps."""

from itertools import product

import numpy as np
import pytest

from hw.nm.mac import Mac
from spec.nm.config import NmConfig, preset
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def latency_of(config: NmConfig) -> int:
    """What the cycle model counts from select to the accumulator."""
    return 8 if config.pipeline else 4


def assert_sums(config: NmConfig, steps: list[dict | None]) -> None:
    """``o`` holds every step's sum in the cycle ``latency`` behind it, and keeps it over gaps.

    A step has weights, places, windows and first; ``None`` is a gap, with junk on all ports.
    """
    latency = latency_of(config)
    played, expected, total = [], [0] * latency, 0
    for step in steps:
        if step:
            picked = [window[p] for window, p in zip(step["windows"], step["places"], strict=True)]
            dot = sum(w * a for w, a in zip(step["weights"], picked, strict=True))
            total = dot + (0 if step["first"] else total)
            played.append(step | {"valid": 1})
        else:
            played.append({"valid": 0, "first": 1})
        expected.append(total)
    if not config.place_bits:
        played = [{k: v for k, v in step.items() if k != "places"} for step in played]
    played.append({"valid": 0})
    found = play(dut := Mac(config), played, ["o"], tail=latency - 1)
    assert dut.latency == latency
    assert [o for (o,) in found] == expected


def random_steps(rng: np.random.Generator, config: NmConfig, count: int) -> list[dict | None]:
    """Any operands, often the most negative; some gaps; every few steps a new sum."""
    (w_low, w_high), (a_low, a_high) = map(signed_bounds, (config.weight_bits, config.act_bits))
    steps: list[dict | None] = []
    for number in range(count):
        weights = rng.integers(w_low, w_high + 1, config.multipliers)
        windows = rng.integers(a_low, a_high + 1, (config.multipliers, config.m))
        weights[rng.random(weights.shape) < 0.2] = w_low
        windows[rng.random(windows.shape) < 0.2] = a_low
        step = {
            "weights": weights.tolist(),
            "places": rng.integers(0, config.m, config.multipliers).tolist(),
            "windows": windows.tolist(),
            "first": number == 0 or bool(rng.random() < 0.2),
        }
        steps.append(step)
        steps += [None] * int(rng.choice([0, 0, 1, 5]))
    return steps


def test_every_operand_at_every_place():
    """One multiplier of two bits: all weights, windows of two, and places; each a sum of its own,
    then the same added up. Among them both most negative."""
    config = preset("tiny", n=1, m=2, weight_bits=2, act_bits=2, acc_bits=12)
    values = range(-2, 2)
    steps: list[dict | None] = []
    for first in (True, False):
        for weight, one, other, place in product(values, values, values, range(2)):
            steps.append(
                {"weights": [weight], "places": [place], "windows": [[one, other]], "first": first}
            )
    assert_sums(config, steps)


def test_every_pair_of_operands():
    """Two multipliers, all weights and picked activations of two bits; what is not picked is of
    the opposite sign."""
    config = preset("tiny", n=2, m=2, weight_bits=2, act_bits=2, acc_bits=12)
    values = range(-2, 2)
    steps: list[dict | None] = []
    for number, (w0, w1, a0, a1) in enumerate(product(values, repeat=4)):
        places = [number % 2, number // 2 % 2]
        windows = [[~a0, ~a0], [~a1, ~a1]]
        windows[0][places[0]], windows[1][places[1]] = a0, a1
        steps.append({"weights": [w0, w1], "places": places, "windows": windows, "first": True})
    assert_sums(config, steps)


def test_both_most_negative_at_full_width():
    """The largest product there is, until the accumulator is full to the last bit."""
    config = preset("tiny", weight_bits=8, act_bits=16, acc_bits=26)
    low = {"weights": [-128, -128], "places": [0, 3], "first": False}
    low["windows"] = [[-(2**15), 1, 1, 1], [1, 1, 1, -(2**15)]]
    almost = low | {"weights": [-128, -127], "windows": [[-(2**15)] * 4, [-(2**15)] * 4]}
    rest = low | {"weights": [1, 0], "windows": [[2**15 - 1] * 4, [5] * 4]}
    steps = [low | {"first": True}, low, low, almost, rest]
    assert_sums(config, [*steps, None, None])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"m": 8, "n": 4},
        {"m": 16, "n": 1, "groups": 4},
        {"n": 1, "m": 1, "groups": 2},
        {"n": 1, "m": 1, "groups": 1},
        {"weight_bits": 4, "act_bits": 16},
        {"pipeline": True},
        {"pipeline": True, "logic_multipliers": 1},
    ],
    ids=str,
)
def test_random_steps_and_gaps(rng, changes):
    config = preset("tiny", **changes)
    assert_sums(config, random_steps(rng, config, 60))
