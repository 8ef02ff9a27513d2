"""Lane: sums of the updates that reach it, and the activations that they become."""

import numpy as np
import pytest

from hw.eie.lane import Lane
from spec.eie.config import EieConfig, preset
from spec.eie.cycles import REQUANTIZE_CYCLES
from spec.numbers import requantize, signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit

SCALE = {"multiplier": 40_000, "shift": 33}
HALF = 1
"""Half of the activation store that drain fills here."""


def updates(rng: np.random.Generator, config: EieConfig, sums: np.ndarray) -> list[dict]:
    """Random updates, many to the same row as the one before; gated ones show their row, too.

    Adds them to ``sums``. The last one is followed by the cycles that the unit takes.
    """
    low, high = signed_bounds(config.act_bits)
    steps: list[dict] = []
    for _ in range(150):
        row, live = int(rng.integers(config.rows)), rng.random() < 0.6
        if steps and rng.random() < 0.6:
            row = steps[-1]["i.payload"]["row"]
        value, weight = (int(word) for word in rng.integers(low, high, 2, endpoint=True))
        sums[row] += value * weight if live else 0
        payload = {"row": row, "value": value if live else 0}
        steps.append({"i.valid": live, "i.payload": payload, "weight": weight})
    return [*steps, {"i.valid": 0}, *[{}] * Lane.latency]


def orders(config: EieConfig, reduced: np.ndarray, biases: np.ndarray) -> list[dict]:
    """Central control's orders to drain all rows, with what comes back for them."""
    steps: list[dict] = []
    for cycle in range(len(reduced) + REQUANTIZE_CYCLES):
        stored = cycle - REQUANTIZE_CYCLES
        ordered, comes = cycle < len(reduced), 0 < cycle <= len(reduced)
        steps.append(
            {
                "order.enable": ordered,
                "order.clear": ordered,
                "order.row": cycle if ordered else 0,
                "reduced": int(reduced[cycle - 1]) if comes else -1,
                "bias": int(biases[cycle - 1]) if comes else -1,
                "order.store_enable": stored >= 0,
                "order.store_address": HALF << config.act_row_bits | max(0, stored),
            }
        )
    return [*steps, {"order.store_enable": 0}]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_from_updates_to_activations(rows: int, relu: bool, rng: np.random.Generator) -> None:
    """Twice: sums of all rows, then activations of what the clusters' sums add up to."""
    config = preset("tiny", rows=rows)
    low, high = signed_bounds(config.acc_bits - 4)
    steps: list[dict] = [{f"settings.{name}": value for name, value in SCALE.items()}]
    steps[0] |= {"settings.relu": relu}
    sums_due: dict[int, int] = {}
    acts_due: dict[int, int] = {}
    for reader in ("scan", "host_read"):
        sums = np.zeros(rows, np.int64)
        steps += updates(rng, config, sums)
        sums_due |= {len(steps) + 1 + row: total for row, total in enumerate(sums.tolist())}
        reduced, biases = sums + rng.integers(low, high, rows), rng.integers(low, high, rows)
        steps += orders(config, reduced, biases)
        made = requantize(reduced, biases, **SCALE, act_bits=config.act_bits, relu=relu)
        acts_due |= {len(steps) + 1 + row: act for row, act in enumerate(made.tolist())}
        for row in range(rows):
            address = HALF << config.act_row_bits | row
            steps.append({f"{reader}.enable": 1, f"{reader}.address": address})
        steps.append({f"{reader}.enable": 0})
    found = play(Lane(config), steps, ["sum", "scan.data", "host_read.data"])
    assert {cycle: found[cycle][0] for cycle in sums_due} == sums_due
    for cycle, act in acts_due.items():
        assert found[cycle][1:] == (act, act)


def test_the_host_writes_activations(rng: np.random.Generator) -> None:
    """And both readers find them."""
    config = preset("tiny", act_rows=4)
    low, high = signed_bounds(config.act_bits)
    acts = rng.integers(low, high, 4, endpoint=True).tolist()
    steps: list[dict] = [
        {"host_write.enable": 1, "host_write.address": row, "host_write.data": act}
        for row, act in enumerate(acts)
    ]
    steps += [{"host_write.enable": 0, "scan.enable": 1, "scan.address": row} for row in range(4)]
    found = play(Lane(config), [*steps, {}], ["scan.data", "host_read.data"])
    assert found[-4:] == [(act, act) for act in acts]


def test_busy_while_a_sum_is_written(rng: np.random.Generator) -> None:
    """``latency`` after every update."""
    steps: list[dict] = [{"i.valid": int(on)} for on in rng.random(40) < 0.5]
    found = play(Lane(preset("tiny")), [*steps, {"i.valid": 0}], ["busy"])
    begun = {cycle + Lane.latency for cycle, step in enumerate(steps) if step["i.valid"]}
    assert {cycle for cycle, (busy,) in enumerate(found) if busy} == begun
