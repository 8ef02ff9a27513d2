"""Outlet: every word of every item, in order, and TLAST where it belongs."""

import numpy as np
import pytest

from hw.shell.outlet import Outlet
from spec.messages import WORD_BITS, answer_words, words_for
from tests.hw.streams import paces, receiver, sender, simulate, steady, watcher

pytestmark = pytest.mark.unit


def words_of(value: int, count: int, last: bool) -> list[dict]:
    mask = (1 << WORD_BITS) - 1
    return [
        {"word": value >> (WORD_BITS * at) & mask, "last": int(last and at == count - 1)}
        for at in range(count)
    ]


def wide(rng: np.random.Generator, bits: int) -> int:
    return int.from_bytes(rng.bytes(-(-bits // 8)), "little") & ((1 << bits) - 1)


@pytest.mark.parametrize("traffic", range(6))
@pytest.mark.parametrize("bits", [24, 64, 160])
def test_results(rng, traffic, bits):
    dut, pace, other = Outlet(bits), *paces(rng)[traffic]
    results = [wide(rng, bits) for _ in range(20)]
    expected = [
        word for at, one in enumerate(results) for word in words_of(one, words_for(bits), at == 11)
    ]

    async def setup(ctx) -> None:
        ctx.set(dut.count, 12)

    _, _, taken = simulate(
        dut,
        setup,
        sender(dut.results, results, pace),
        receiver(dut.o, len(expected), other),
        background=[watcher(dut.o)],
    )
    assert [one.payload for one in taken] == expected


@pytest.mark.parametrize("traffic", range(6))
def test_answers(rng, traffic):
    dut, pace, other = Outlet(0), *paces(rng)[traffic]
    answers = [{"data": wide(rng, 64), "last": at % 5 == 4} for at in range(20)]
    expected = [w for one in answers for w in words_of(one["data"], answer_words(), one["last"])]
    _, taken = simulate(
        dut,
        sender(dut.answers, answers, pace),
        receiver(dut.o, len(expected), other),
        background=[watcher(dut.o)],
    )
    assert [one.payload for one in taken] == expected


def test_a_word_in_every_cycle():
    dut = Outlet(96)
    _, taken = simulate(dut, sender(dut.results, range(9), steady), receiver(dut.o, 27, steady))
    assert [one.cycle for one in taken] == [Outlet.latency + at for at in range(27)]


def test_an_answer_goes_before_a_result_and_never_into_one():
    dut = Outlet(96)

    async def drive(ctx) -> None:
        ctx.set(dut.results.valid, 1)
        ctx.set(dut.answers.valid, 1)
        for _ in range(2):
            await ctx.tick()
        ctx.set(dut.answers.valid, 0)

    async def take(ctx) -> list[int]:
        ctx.set(dut.results.payload, 0x3_00000002_00000001)
        ctx.set(dut.answers.payload, {"data": 0x500000004, "last": 0})
        return [one.payload["word"] for one in await receiver(dut.o, 5)(ctx)]

    _, words = simulate(dut, drive, take)
    assert words == [4, 5, 1, 2, 3]


def test_counting_begins_anew_with_a_run():
    dut, seen = Outlet(32), []

    async def drive(ctx) -> None:
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.count, 2)
        ctx.set(dut.results.valid, 1)
        for at in range(12):
            ctx.set(dut.first, at == 4)
            _, _, valid, last = await ctx.tick().sample(dut.o.valid, dut.o.payload.last)
            seen.append(bool(valid and last))

    simulate(dut, drive)
    # Words leave a cycle after their results came: the second is seen in cycle 2, and again in 7.
    assert [at for at, one in enumerate(seen) if one] == [2, 7]


def test_restart_throws_the_rest_of_an_item_away():
    dut = Outlet(96)

    async def drive(ctx) -> None:
        ctx.set(dut.results.payload, 7)
        ctx.set(dut.results.valid, 1)
        await ctx.tick()
        ctx.set(dut.results.valid, 0)
        ctx.set(dut.restart, 1)
        assert ctx.get(dut.sending)
        await ctx.tick()
        ctx.set(dut.restart, 0)
        assert not ctx.get(dut.sending)
        assert ctx.get(dut.results.ready)

    simulate(dut, drive)
