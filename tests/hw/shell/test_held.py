"""Held: an array that moves never lacks an item, nor room for a result; its cycles do not depend on
who makes it wait."""

from collections.abc import Iterator

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring

from hw.nm.engine import NmArray
from hw.shell import held
from hw.shell.held import AHEAD, STEADY_DEPTH, Held
from spec.nm.config import NmConfig, preset
from spec.registers.table import NM
from tests.hw.streams import Pace, paces, simulate

pytestmark = pytest.mark.unit

BUSY_BEHIND = 3
"""Cycles that the stand-in is busy when it has all items."""

CLEAR = 5
"""Cycles that it is busy after reset."""


class StandIn(wiring.Component):
    """In place of an N:M array: takes an item in every cycle of a run in which it moves, and gives
    it back as a result. ``error`` stays if there ever was no item, or no room."""

    items = 0

    def __init__(self, config: NmConfig):
        real = NmArray(config)
        real._MustUse__used = True
        super().__init__(dict(real.signature.members))

    def elaborate(self, platform):
        m = Module()
        left, behind = Signal(16), Signal(8)
        clearing = Signal(8, init=CLEAR)
        takes = left != 0
        m.d.comb += [
            self.busy.eq(takes | (behind != 0) | (clearing != 0)),
            self.i.ready.eq(takes),
            self.o.valid.eq(takes),
            self.o.payload.eq(self.i.payload),
        ]
        with m.If(clearing != 0):
            m.d.sync += clearing.eq(clearing - 1)
        with m.If(takes):
            m.d.sync += left.eq(left - 1)
            with m.If(~self.i.valid | ~self.o.ready):
                m.d.sync += self.error.eq(1)
        with m.Elif(behind != 0):
            m.d.sync += behind.eq(behind - 1)
        with m.If(self.start & ~self.busy):
            m.d.sync += [left.eq(self.items), behind.eq(BUSY_BEHIND)]
        return m


@pytest.fixture(params=[1, 2, 3, 4, 5, 20])
def dut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Around a stand-in whose runs take as many items."""
    monkeypatch.setattr(StandIn, "items", request.param)
    monkeypatch.setitem(held.ARRAYS, NM, (StandIn, "nm_array"))
    return Held(preset("tiny"))


async def idle(ctx, dut: Held) -> None:
    while ctx.get(dut.busy):
        await ctx.tick()


async def run(ctx, dut: Held, maker: Pace, taker: Pace) -> tuple[int, int, list[int]]:
    """A run whose items come, and whose results go, at these paces: cycles, of these those that
    count, and results."""
    sent, found, cycles, counted = 0, [], 0, 0
    ctx.set(dut.feed, StandIn.items)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    while ctx.get(dut.busy) or len(found) < StandIn.items:
        offers = sent < StandIn.items and bool(ctx.get(dut.busy)) and maker()
        ctx.set(dut.i.valid, offers)
        ctx.set(dut.i.payload, 1000 + sent)
        ctx.set(dut.o.ready, taker())
        _, _, comes, goes, word, busy, moves = await ctx.tick().sample(
            dut.i.ready, dut.o.valid & dut.o.ready, dut.o.payload, dut.busy, dut.moves
        )
        sent += offers and comes
        found += [int(word)] if goes else []
        cycles += busy
        counted += busy & moves
    ctx.set(dut.i.valid, 0)
    return cycles, counted, found


def test_a_run_counts_as_if_nothing_had_waited(dut: Held, rng: np.random.Generator) -> None:
    async def bench(ctx) -> None:
        await idle(ctx, dut)
        for maker, taker in [*paces(rng), *paces(rng)]:
            cycles, counted, found = await run(ctx, dut, maker, taker)
            assert found == list(range(1000, 1000 + StandIn.items))
            assert counted == StandIn.items + BUSY_BEHIND
            assert ctx.get(dut.taken) == StandIn.items
            assert ctx.get(dut.error) == 0
            if maker is taker:  # both steady: it waits only until there are items enough
                assert cycles - counted <= 2 * AHEAD + STEADY_DEPTH

    simulate(dut, bench)


def test_reset_at_any_moment(dut: Held, rng: np.random.Generator) -> None:
    """It is busy until it is as after power-on, also while it stands still; a start meanwhile is
    lost, and the next run is as ever."""

    async def bench(ctx) -> None:
        for moment in range(16):
            for feed in (0, 1, StandIn.items):
                await idle(ctx, dut)
                ctx.set(dut.feed, StandIn.items)
                ctx.set(dut.start, 1)
                await ctx.tick()
                ctx.set(dut.start, 0)
                ctx.set(dut.o.ready, 0)
                given = 0
                for _ in range(moment):
                    ctx.set(dut.i.valid, given < feed)
                    _, _, taken = await ctx.tick().sample(dut.i.valid & dut.i.ready)
                    given += taken
                ctx.set(dut.i.valid, 0)
                ctx.set(dut.o.ready, 1)  # a stream that a reset cuts off is no stream's mistake
                ctx.set(dut.restart, 1)
                ctx.set(dut.start, moment // 2 % 2)
                await ctx.tick()
                ctx.set(dut.restart, 0)
                ctx.set(dut.start, moment % 2)
                for _ in range(AHEAD + CLEAR + moment % 2):
                    assert ctx.get(dut.busy)
                    assert not ctx.get(dut.o.valid)
                    await ctx.tick()
                    ctx.set(dut.start, 0)
                assert not ctx.get(dut.busy)
        for maker, taker in paces(rng):
            _, counted, found = await run(ctx, dut, maker, taker)
            assert found == list(range(1000, 1000 + StandIn.items))
            assert counted == StandIn.items + BUSY_BEHIND
            assert ctx.get(dut.error) == 0

    simulate(dut, bench)
