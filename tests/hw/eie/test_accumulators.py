"""Accumulators: the MAC's reads and writes, and drain's taking and clearing, of the same sums."""

import numpy as np
import pytest

from hw.eie.accumulators import Accumulators
from spec.eie.config import preset
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_against_an_array(rows: int, rng: np.random.Generator) -> None:
    """Phases of the MAC (a read and a write in any cycle) and of drain (take, clear, or both)."""
    config = preset("tiny", rows=rows)
    low, high = signed_bounds(config.acc_bits)
    sums = np.zeros(rows, np.int64)
    steps: list[dict] = []
    expected: list[int | None] = [None]
    for phase in range(40):
        by_mac = phase % 2 == 0
        for _ in range(rng.integers(1, 12)):
            first, second = rng.random(2) < 0.7
            read, write = (int(row) for row in rng.integers(0, rows, 2))
            value = [low, high, int(rng.integers(low, high))][rng.integers(3)]
            steps.append(
                {
                    "mac_read.enable": by_mac and first,
                    "mac_read.address": read,
                    "mac_write.enable": by_mac and second,
                    "mac_write.address": write,
                    "mac_write.data": value,
                    "take": not by_mac and first,
                    "clear": not by_mac and second,
                    "take_row": read,
                }
            )
            # What is read or taken is always the sum from before this cycle's write.
            expected.append(int(sums[read]) if first else expected[-1])
            if second:
                sums[write if by_mac else read] = value if by_mac else 0
    found = play(Accumulators(config), steps, ["mac_read.data", "taken"], tail=1)
    known = [
        (mac, taken, wanted)
        for (mac, taken), wanted in zip(found, expected, strict=True)
        if wanted is not None
    ]
    assert all(mac == taken == wanted for mac, taken, wanted in known)
