"""Answers: every read is answered once and in order, whenever the host takes it."""

import pytest

from hw.answers import Answers, latency_of
from tests.hw.streams import paces, receiver, simulate, steady, watcher

pytestmark = pytest.mark.unit


def run(pace, other, count: int = 40):
    """Cycles of the reads, and answers with theirs; read n is answered with 100 + n."""
    dut, asked = Answers(), []

    async def ask(ctx) -> None:
        cycle = 0
        while len(asked) < count:
            offered = pace()
            ctx.set(dut.valid, offered)
            _, _, ready, asks = await ctx.tick().sample(dut.ready, dut.asks)
            assert asks == (offered and ready)
            ctx.set(dut.answer, 100 + len(asked) if asks else 77)
            if asks:
                asked.append(cycle)
            cycle += 1
        ctx.set(dut.valid, 0)
        await ctx.tick()

    take = receiver(dut.data, count, other)
    _, taken = simulate(dut, ask, take, background=[watcher(dut.data)])
    return asked, taken


@pytest.mark.parametrize("traffic", range(6))
def test_traffic(rng, traffic):
    asked, taken = run(*paces(rng)[traffic])
    assert [answer for _, answer in taken] == [100 + number for number in range(len(asked))]
    assert all(cycle >= at + latency_of() for at, (cycle, _) in zip(asked, taken, strict=True))


def test_latency():
    """A read as soon as the answer before is taken."""
    asked, taken = run(steady, steady)
    between = latency_of() + 1
    assert asked == list(range(0, 40 * between, between))
    assert [cycle for cycle, _ in taken] == [cycle + latency_of() for cycle in asked]
