"""Array: rows share weights, columns windows; sums leave behind the next tile."""

import numpy as np
import pytest

from hw.nm.array import MacArray
from hw.nm.mac import mac_latency
from spec.nm.config import preset
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "changes", [{}, {"rows": 1, "columns": 1}, {"n": 1, "m": 1}, {"pipeline": True}], ids=str
)
def test_tile_behind_tile(rng, changes):
    """Tiles of ``rows`` steps without a gap: each hands over in time, none disturbs another."""
    config = preset("tiny", **changes)
    latency, late = mac_latency(config), int(config.pipeline)
    tiles, rows, columns, count = 4, config.rows, config.columns, config.multipliers
    weights = rng.integers(-128, 128, (tiles, rows, rows, count))
    places = rng.integers(0, config.m, weights.shape)
    windows = rng.integers(-128, 128, (tiles, rows, columns, count, config.m))
    steps: list[dict] = [{} for _ in range(rows * (tiles + 1) + latency + late + 1)]
    for tile, step in np.ndindex(tiles, rows):
        steps[tile * rows + step] = {
            "valid": 1,
            "first": int(step == 0),
            "weights": weights[tile, step].tolist(),
            "windows": windows[tile, step].tolist(),
        }
        if config.place_bits:
            steps[tile * rows + step]["places"] = places[tile, step].tolist()
    steps[tiles * rows]["valid"] = 0
    hands = [(tile + 1) * rows - 1 + latency for tile in range(tiles)]
    for at, step in enumerate(steps):
        step["hand_over"] = int(at in hands)
    found = [o for (o,) in play(MacArray(config), steps, ["o"])]
    unit, column = np.arange(count), np.arange(columns)[:, None]
    for tile, row in np.ndindex(tiles, rows):
        sums = np.zeros(columns, np.int64)
        for step in range(rows):
            picked = windows[tile, step, column, unit, places[tile, step, row]]
            sums += (picked * weights[tile, step, row]).sum(axis=1)
        assert found[hands[tile] + 1 + late + row] == sums.tolist()
