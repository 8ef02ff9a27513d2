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
    """Phases of the MAC (a read and a write in any cycle) and of drain (take, clear, or both), a
    cycle apart, in which the MAC's datum is zero. What is read at the edge that writes it is not
    looked at."""
    config = preset("tiny", rows=rows)
    low, high = signed_bounds(config.acc_bits)
    sums = np.zeros(rows, np.int64)
    steps: list[dict] = []
    expected: list[int | None] = [None]
    for phase in range(40):
        by_mac = phase % 2 == 0
        cleared = None
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
                    "mac_write.data": value if by_mac else 0,
                    "take": not by_mac and first,
                    "clear": not by_mac and second,
                    "take_row": read,
                }
            )
            written = (write if second else None) if by_mac else cleared
            known = None if read == written else int(sums[read])
            expected.append(known if first else expected[-1])
            if written is not None:
                sums[written] = value if by_mac else 0
            cleared = read if second and not by_mac else None
        steps.append(dict.fromkeys(steps[-1], 0))
        expected.append(expected[-1])
        if cleared is not None:
            sums[cleared] = 0
    found = play(Accumulators(config), steps, ["mac_read.data", "taken", "clearing"], tail=1)
    assert [clearing for *_, clearing in found] == [0, *(int(step["clear"]) for step in steps)]
    known = [
        (mac, taken, wanted)
        for (mac, taken, _), wanted in zip(found, expected, strict=True)
        if wanted is not None
    ]
    assert all(mac == taken == wanted for mac, taken, wanted in known)
