"""Requantize against :func:`spec.numbers.requantize`: all of a small one, corners of a large."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from hw.requantize import Requantize
from spec.eie.config import PRESETS
from spec.numbers import requantize, signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit

SMALL = {"acc_bits": 4, "multiplier_bits": 3, "shift_bits": 3, "act_bits": 3}
DEFAULT: dict[str, Any] = {name: getattr(PRESETS["default"], name) for name in SMALL}


def run(
    dut: Requantize, settings: list[dict[str, Any]], sums: list[tuple[int, int]]
) -> list[list[int]]:
    """Results of all sums under each of the settings: a sum in every cycle, settings held."""
    steps: list[dict[str, Any]] = []
    for setting in settings:
        layer: list[dict[str, Any]] = [{"acc": acc, "bias": bias} for acc, bias in sums]
        layer[0] |= setting
        steps += layer + [{}] * dut.latency
    found = [value for (value,) in play(dut, steps, ["o"])]
    stride = len(sums) + dut.latency
    begins = range(dut.latency, len(found), stride)
    return [found[begin : begin + len(sums)] for begin in begins]


def assert_model(widths: dict[str, Any], settings: list[dict[str, Any]], sums: np.ndarray) -> None:
    """Every result is the model's, exactly ``latency`` cycles behind its sum."""
    found = run(Requantize(**widths), settings, [(int(acc), int(bias)) for acc, bias in sums])
    for setting, values in zip(settings, found, strict=True):
        model = requantize(sums[:, 0], sums[:, 1], act_bits=widths["act_bits"], **setting)
        wrong = np.flatnonzero(model != values)
        assert wrong.size == 0, (setting, sums[wrong[0]], model[wrong[0]], values[wrong[0]])


def all_settings(multipliers: list[int], shifts: list[int]) -> list[dict[str, Any]]:
    names = ("multiplier", "shift", "relu")
    combinations = product(multipliers, shifts, (False, True))
    return [dict(zip(names, values, strict=True)) for values in combinations]


@pytest.mark.parametrize("act_bits", [3, 9])
@pytest.mark.parametrize("split", [False, True])
def test_every_input_of_a_small_one(act_bits: int, split: bool) -> None:
    """All sums and biases of 4 bits, multipliers and shifts of 3 bits (of 2 for a wide result)."""
    widths = SMALL | {"act_bits": act_bits, "split": split}
    bits = 3 if act_bits == 3 else 2
    low, high = signed_bounds(widths["acc_bits"])
    sums = np.array(list(product(range(low, high + 1), repeat=2)))
    settings = all_settings(list(range(1 << bits)), list(range(1 << bits)))
    assert_model(widths, settings, sums)


@pytest.mark.parametrize("split", [False, True])
def test_extremes_at_the_default_widths(split: bool) -> None:
    """Most negative and most positive sums, largest multiplier, every shift from 0 to 63."""
    low, high = signed_bounds(DEFAULT["acc_bits"])
    pairs = [(low, low), (low, high), (high, high), (low, 0), (0, low), (high, 0), (-1, 0), (1, 0)]
    sums = np.array(pairs)
    largest = (1 << DEFAULT["multiplier_bits"]) - 1
    settings = all_settings([1, largest], list(range(1 << DEFAULT["shift_bits"])))
    assert_model(DEFAULT | {"split": split}, settings, sums)


def test_ties_go_to_the_even_neighbour() -> None:
    """Halves of both signs and their neighbours, for shifts from smallest to large."""
    for shift in (1, 2, 15, 16, 38):
        halves = (
            np.arange(-9, 10, 2) << (shift - 1) if shift < 36 else np.array([-1, 1]) << (shift - 1)
        )
        sums = np.concatenate([halves - 1, halves, halves + 1])
        sums = np.stack([sums, np.zeros_like(sums)], axis=1)
        assert_model(DEFAULT, all_settings([1], [shift]), sums)


@pytest.mark.parametrize("split", [False, True])
def test_random_sums_at_the_default_widths(rng: np.random.Generator, split: bool) -> None:
    """Sums of all magnitudes, scaled into and beyond the range of an activation."""
    magnitude = 1 << rng.integers(0, DEFAULT["acc_bits"] - 1, (40, 2))
    sums = rng.integers(-magnitude, magnitude)
    multipliers = rng.integers(0, 1 << DEFAULT["multiplier_bits"], 6).tolist()
    shifts = rng.integers(0, 1 << DEFAULT["shift_bits"], 6).tolist()
    assert_model(DEFAULT | {"split": split}, all_settings(multipliers, shifts), sums)
