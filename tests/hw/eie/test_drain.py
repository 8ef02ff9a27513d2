"""Drain: sums and biases in, activations of :func:`spec.numbers.requantize` out, row by row."""

from typing import Any

import numpy as np
import pytest

from hw.eie.drain import Drain
from spec.eie.config import EieConfig, preset
from spec.eie.cycles import DRAIN_CYCLES
from spec.numbers import requantize, signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def drain_rows(
    config: EieConfig, biases: np.ndarray, sums: np.ndarray, base: int, settings: dict[str, Any]
) -> list[tuple[int, int, int]]:
    """(cycle, address, activation) of every store, cycles counted from the first order.

    Orders come as central control gives them.
    """
    mask = (1 << config.acc_bits) - 1
    steps: list[dict] = [
        {"write.enable": 1, "write.address": at, "write.data": int(bias) & mask}
        for at, bias in enumerate(biases)
    ]
    steps.append(
        {"write.enable": 0, **{f"settings.{name}": value for name, value in settings.items()}}
    )
    loading, rows = len(steps), len(sums)
    for step in range(rows + Drain.latency):
        stored = step - Drain.latency
        ordered = step < rows
        orders = {
            "order.enable": ordered,
            "order.row": step if ordered else 0,
            "order.bias_address": base + step if ordered else 0,
            "order.store_enable": stored >= 0,
            "order.store_address": 3 + max(stored, 0),
            # The accumulators answer in the cycle after the order.
            "acc": int(sums[step - 1]) if 0 < step <= rows else -1,
        }
        steps.append(orders)
    outputs = ["store.enable", "store.address", "store.data"]
    found = play(Drain(config), steps, outputs)[loading:]
    return [(cycle, address, data) for cycle, (on, address, data) in enumerate(found) if on]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_layer(relu: bool, rows: int, rng: np.random.Generator) -> None:
    """All rows' activations, ``latency`` cycles after their orders, each with its own bias."""
    config = preset("tiny", act_rows=16)
    assert Drain.latency == DRAIN_CYCLES
    low, high = signed_bounds(config.acc_bits)
    for scale in (1, 1 << 12, 1 << 24):
        base = int(rng.integers(0, config.biases - rows))
        biases = rng.integers(low // scale, high // scale, config.biases)
        sums = rng.integers(low // scale, high // scale, rows)
        settings: dict[str, Any] = {
            "multiplier": int(rng.integers(1, 1 << config.multiplier_bits)),
            "shift": int(rng.integers(20, 44)),
            "relu": relu,
        }
        model = requantize(sums, biases[base : base + rows], act_bits=config.act_bits, **settings)
        stores = drain_rows(config, biases, sums, base, settings)
        assert stores == [
            (Drain.latency + row, 3 + row, value) for row, value in enumerate(model.tolist())
        ]


def test_bias_at_both_ends() -> None:
    """The smallest and the largest bias, from the first and the last word."""
    config = preset("tiny")
    low, high = signed_bounds(config.acc_bits)
    biases = np.full(config.biases, 12345)
    biases[[0, -1]] = low, high
    sums = np.array([low, high])
    settings = {"multiplier": 1, "shift": config.acc_bits - config.act_bits + 1, "relu": False}
    for base in (0, config.biases - 1):
        model = requantize(sums[:1], biases[base], act_bits=config.act_bits, **settings)
        assert drain_rows(config, biases, sums[:1], base, settings) == [
            (Drain.latency, 3, int(model[0]))
        ]
