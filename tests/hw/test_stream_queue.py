"""The queue between two streams, against a list, cycle by cycle."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from hw.stream_queue import StreamQueue
from tests.hw.streams import paces, play, receiver, send, sender, simulate, steady

pytestmark = pytest.mark.unit

DEPTHS = [1, 2, 3, 4, 7, 8]


def assert_queue(depth: int, traffic: list[tuple[bool, bool]]) -> None:
    """Offer the next number or nothing, be ready or not, in every cycle; compare with a list."""
    steps: list[dict[str, Any]] = []
    expected: list[tuple[int, int]] = []
    kept: list[int] = []
    number = 0
    for offers, takes in traffic:
        steps.append({"i.valid": offers, "i.payload": number, "o.ready": takes})
        expected.append((len(kept) < depth, kept[0] if kept else -1))
        goes_in, goes_out = offers and len(kept) < depth, takes and bool(kept)
        kept = kept[goes_out:] + [number] * goes_in
        number = (number + goes_in) % 256
    found = play(StreamQueue(8, depth), steps, ["i.ready", "o.valid", "o.payload"])
    assert [(ready, payload if valid else -1) for ready, valid, payload in found] == expected


@pytest.mark.parametrize("depth", [1, 2])
def test_all_traffic_of_four_cycles(depth: int) -> None:
    """Every pattern of offers and readiness, from an empty queue and from a full one.

    In particular a full queue is not ready in the cycle in which one goes out, but in the next.
    """
    patterns = product(product([False, True], repeat=2), repeat=4)
    fill, empty = [(True, False)] * depth, [(False, True)] * depth
    traffic = []
    for pattern in patterns:
        traffic += [*pattern, *empty, *fill, *pattern, *empty]
    assert_queue(depth, traffic)


@pytest.mark.parametrize("depth", DEPTHS)
def test_ragged_traffic(depth: int, rng: np.random.Generator) -> None:
    """Long stretches in which it fills up, runs empty, or neither."""
    traffic = []
    for offers, takes in [(0.9, 0.2), (0.2, 0.9), (0.5, 0.5), (1.0, 1.0), (0.6, 0.6)]:
        traffic += list(zip(rng.random(150) < offers, rng.random(150) < takes, strict=True))
    assert_queue(depth, [(bool(offers), bool(takes)) for offers, takes in traffic])


@pytest.mark.parametrize("depth", DEPTHS)
def test_order_and_latency(depth: int, rng: np.random.Generator) -> None:
    """Everything comes out, in order; with a willing taker ``latency`` cycles after it went in."""
    numbers = list(range(50))
    for maker, taker in paces(rng):
        dut = StreamQueue(8, depth)
        sent, taken = simulate(
            dut, sender(dut.i, numbers, maker), receiver(dut.o, len(numbers), taker)
        )
        assert [payload for _, payload in taken] == numbers
        if taker is steady:
            assert [cycle for cycle, _ in taken] == [cycle + dut.latency for cycle in sent]


@pytest.mark.parametrize("depth", DEPTHS)
def test_keeps_its_depth(depth: int) -> None:
    """Without a taker exactly ``depth`` go in."""
    dut = StreamQueue(8, depth)

    async def fill(ctx) -> int:
        await send(ctx, dut.i, range(depth))
        return ctx.get(dut.i.ready)

    assert simulate(dut, fill) == [0]


@pytest.mark.parametrize("depth", DEPTHS)
def test_tells_how_much_it_holds(rng: np.random.Generator, depth: int) -> None:
    steps = [{"i.valid": int(a), "o.ready": int(b)} for a, b in rng.integers(0, 2, (300, 2))]
    found = play(StreamQueue(1, depth), steps, ["level", "o.valid", "i.ready"])
    level = 0
    for step, (told, valid, ready) in zip(steps, found, strict=True):
        assert (told, valid, ready) == (level, level != 0, level != depth)
        level += (step["i.valid"] & ready) - (step["o.ready"] & valid)
