"""What lies between scans and registered PEs: columns there, rows of activations back."""

import numpy as np
import pytest
from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.broadcast import ROOM_PLACES, Broadcast
from hw.eie.rows_ahead import RowsAhead
from hw.eie.station import Station, station_pes
from spec.eie.config import EieConfig, preset
from spec.eie.queues import FROM_PES, ROW_CYCLES, TO_PES
from tests.hw.streams import paces, ragged, simulate, steady

pytestmark = pytest.mark.unit


def config(places: int) -> EieConfig:
    return preset(
        "tiny",
        pes=3,
        clusters=1,
        queue_depth=places,
        scan_pipeline=True,
        pe_registers=True,
    )


class Queues(wiring.Component):
    """A broadcast, a station, and as much of every PE as they talk to: the register of what comes,
    the number of columns in the queue, and the register that tells of places."""

    def __init__(self, places: int):
        self.places = places
        self.broadcast = Broadcast(1)
        self.station = Station(config(places))
        pes = self.station.pes
        super().__init__({"offer": In(1), "takes": In(pes), "over": Out(pes)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.broadcast = broadcast = self.broadcast
        m.submodules.station = station = self.station
        m.d.comb += [
            broadcast.goes.eq(self.offer & broadcast.place),
            station.i.broadcast__valid.eq(broadcast.goes),
            broadcast.room[0].eq(station.common),
        ]
        comes = Signal()
        m.d.sync += comes.eq(station.o.broadcast__valid)
        for pe, room in enumerate(station.room):
            held = Signal(range(self.places + 2), name=f"held{pe}")
            takes = self.takes[pe] & (held != 0)
            m.d.sync += [
                held.eq(held + comes - takes),
                room.eq(Cat(self.places - held > at + comes for at in range(ROOM_PLACES))),
            ]
            m.d.comb += self.over[pe].eq(held > self.places)
        return m


@pytest.mark.parametrize("places", [1, 2, 3, 5, 8])
def test_columns_go_as_soon_as_they_may(rng: np.random.Generator, places: int) -> None:
    """Column k in the cycle in which the place of column k - places is known to be free everywhere,
    and never before: no queue gets more than it has places."""
    for maker, taker in paces(rng):
        dut = Queues(places)
        takes = np.array([[taker() for _ in range(3)] for _ in range(400)])
        if taker is not steady:
            takes[:, 1] = [ragged(rng, 0.3)() for _ in range(400)]
        offers = [maker() for _ in range(400)]

        async def bench(ctx, dut=dut, takes=takes, offers=offers) -> list[int]:
            sent = []
            for cycle, offer in enumerate(offers):
                ctx.set(dut.offer, offer)
                ctx.set(dut.takes, int(takes[cycle] @ (1, 2, 4)))
                _, _, goes, over = await ctx.tick().sample(dut.broadcast.goes, dut.over)
                assert not over
                sent += [cycle] if goes else []
            return sent

        (sent,) = simulate(dut, bench)
        assert sent == expected(places, takes, offers)
        if maker is taker is steady and places > TO_PES + 1 + FROM_PES:
            # Deep enough, it goes on without a break.
            assert sent == list(range(sent[0], 400))


def expected(places: int, takes: np.ndarray, offers: list) -> list[int]:
    """When columns are sent, one by one, from when earlier ones leave the queues."""
    sent: list[int] = []
    left = [[] for _ in range(takes.shape[1])]
    for cycle, offer in enumerate(offers):
        for pe, gone in enumerate(left):
            there = len(gone) < len(sent) and sent[len(gone)] + TO_PES < cycle
            gone += [cycle] if there and takes[cycle, pe] else []
        known = [sum(1 for at in gone if at + FROM_PES < cycle) for gone in left]
        awake = cycle >= FROM_PES  # from reset on, nothing is known
        if offer and awake and len(sent) - min(known) < places:
            sent.append(cycle)
    return sent


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_rows_come_without_a_break(rng: np.random.Generator, share: float) -> None:
    """Row after row, in order, from the first; again from another row, whatever is on its way; and
    no more are read than there is room for."""
    dut = RowsAhead(config(4))
    pace = steady if share == 1 else ragged(rng, share)

    async def bench(ctx) -> None:
        pending: list[int | None] = [None] * ROW_CYCLES
        number = expects = come = 0
        late = ROW_CYCLES
        for cycle in range(400):
            launch = cycle % 57 == 0
            take = ctx.get(dut.valid) and not launch and pace()
            ctx.set(dut.launch, launch)
            ctx.set(dut.active, 1)
            ctx.set(dut.take, take)
            row = pending[-1]
            for act in dut.acts:
                ctx.set(act[0], -1 if row is None else row % 100)
            if launch:
                number = expects = come = cycle
                late = ROW_CYCLES
            elif late:
                late -= 1
                assert not ctx.get(dut.valid)
            else:
                # Row k has come ROW_CYCLES behind its read; those before it have been taken.
                assert ctx.get(dut.valid) == (come > expects)
            if take:
                assert [ctx.get(act[0]) for act in dut.o] == [expects % 100] * 3
                expects += 1
            asks = ctx.get(dut.asks)
            come += not launch and row is not None
            pending = [number if asks else None, *([None] * 3 if launch else pending[:-1])]
            number += asks
            assert number - expects <= 8
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("pes", "clusters", "count"), [(32, 1, 4), (64, 4, 4), (6, 1, 3), (12, 1, 4), (11, 1, 1)]
)
def test_stations_divide_a_sector(pes: int, clusters: int, count: int) -> None:
    assert station_pes(preset("tiny", pes=pes, clusters=clusters)) == count
