"""Counters: every event counted once, kept until the next run."""

import pytest

from hw.nm.counters import Counters
from spec.nm.config import preset
from spec.nm.counters import COUNTERS
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def test_counts_each_run_anew(rng):
    for counter_bits in (8, 64):
        counters = Counters(preset("tiny", counter_bits=counter_bits))
        steps, expected = [], []
        for length in (1, 7, 200):
            events = rng.random((length, len(COUNTERS))) < rng.random(len(COUNTERS))
            steps.append({"clear": 1})
            steps += [
                {"clear": 0, "events": dict(zip(COUNTERS, row, strict=True))}
                for row in events.astype(int).tolist()
            ]
            steps.append({"events": dict.fromkeys(COUNTERS, 0)})
            reads = [{"read_enable": 1, "read_address": at} for at in range(len(COUNTERS))]
            expected += [(len(steps) + at + 1, n) for at, n in enumerate(events.sum(axis=0))]
            steps += [*reads, {"read_enable": 0}]
        found = play(counters, steps, ["read_data"])
        assert [found[cycle][0] for cycle, _ in expected] == [count for _, count in expected]


def test_largest_count():
    steps = [{"clear": 1}, {"clear": 0, "events.busy": 1}, *[{}] * 254, {"events.busy": 0}]
    steps += [{"read_enable": 1, "read_address": COUNTERS.index("busy")}, {"read_enable": 0}]
    assert play(Counters(preset("tiny", counter_bits=8)), steps, ["read_data"])[-1] == (255,)
