"""Registered processing element: what it tells of the places of its queue, and when it is idle."""

from typing import Any

import numpy as np
import pytest

from hw.eie import lane as lane_module
from hw.eie import pe as pe_module
from hw.eie.broadcast import ROOM_PLACES
from hw.eie.registered_pe import RegisteredElement
from spec.eie.config import EieConfig, preset
from spec.eie.iomap import Memory
from tests.hw.streams import keep_made, ragged, simulate, steady

pytestmark = pytest.mark.unit

CONFIGS = {
    "one place": {"queue_depth": 1},
    "two": {"queue_depth": 2, "ahead_depth": 0},
    "spare": {"queue_depth": 5, "queue_spare": True},
    "as many as matter": {"queue_depth": ROOM_PLACES},
    "one more": {"queue_depth": ROOM_PLACES + 1, "ahead_depth": 0},
    "power of two": {"queue_depth": 8},
    "many": {"queue_depth": 21},
}
SHARES = (1.0, 0.5, 0.1)
COLUMNS = 16
CYCLES = 240


class Bench:
    """A registered PE, and a plain model of where its columns are.

    A column is *sent* when it is at the port, *gone* when it leaves the queue, and *done* when as
    many sums are written as it has entries. Lists hold a number for each cycle, from the first that
    is watched.
    """

    def __init__(self, config: EieConfig, entries: list[int], monkeypatch: pytest.MonkeyPatch):
        self.config = config
        self.entries = entries
        self.queues = keep_made(monkeypatch, pe_module, "ActQueue")
        self.macs = keep_made(monkeypatch, lane_module, "Mac")
        self.dut = RegisteredElement(config)
        self.columns: list[int] = []
        self.sent: list[int] = []
        self.gone: list[int] = []
        self.sums: list[int] = []
        self.rooms: set[int] = set()

    async def load(self, ctx: Any) -> None:
        """Entries with code one, in row after row."""
        config, host = self.config, self.dut.host
        most = config.entries_per_line(config.run_bits)
        ends = np.cumsum([0, *self.entries]).tolist()
        pointers = [end // most << config.slot_bits | end % most for end in ends]
        bits = config.code_bits + config.run_bits
        line = sum(1 << place * bits for place in range(most))
        lines = [line] * (ends[-1] // most + 1)
        ctx.set(self.dut.settings.rows, config.rows)
        ctx.set(host.write_enable, 1)
        for memory, words in ((Memory.POINTERS, pointers), (Memory.LINES, lines)):
            ctx.set(host.memory, memory)
            for address, word in enumerate(words):
                ctx.set(host.address, address)
                ctx.set(host.data, word)
                await ctx.tick()
        ctx.set(host.write_enable, 0)
        await ctx.tick().repeat(2)

    @property
    def full(self) -> bool:
        """Another column might find no place."""
        return sum(self.sent) - sum(self.gone) == self.config.queue_places

    async def cycle(self, ctx: Any, column: int | None) -> None:
        """A cycle, with or without a column; what is told is compared with the model."""
        dut, queue, mac = self.dut, self.queues[0].o, self.macs[0].write
        ctx.set(dut.broadcast.valid, column is not None)
        if column is not None:
            ctx.set(dut.broadcast.payload, {"pointer": column, "values": [1]})
        _, _, gone, sums, room, idle, *errors = await ctx.tick().sample(
            *(queue.valid & queue.ready, mac.enable, dut.room, dut.idle),
            *(dut.row_error, dut.pointer_error),
        )
        assert not any(errors)
        free = self.free()
        self.rooms.add(free)
        assert room == sum((free > at) << at for at in range(ROOM_PLACES)), len(self.sent)
        assert idle == self.is_idle(), len(self.sent)
        self.columns += [] if column is None else [column]
        self.sent.append(column is not None)
        self.gone.append(gone)
        self.sums.append(sums)

    def free(self) -> int:
        """Places that are told of in this cycle: a column counts that was at the port two cycles
        before, and is in the register behind it when this is made known; and so do all that had
        left by then."""
        return self.config.queue_places - sum(self.sent[:-1]) + sum(self.gone[:-1])

    def is_idle(self) -> bool:
        """What is told in this cycle: in the one before, no column was in the register behind the
        port or in the queue, none had just left it, and all their sums were written."""
        gone = sum(self.gone[:-1])
        due = sum(self.entries[column] for column in self.columns[:gone])
        looked = self.gone[-2:-1] == [1]
        return sum(self.sent[:-1]) == gone and not looked and sum(self.sums[:-1]) == due


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", CONFIGS)
def test_room_and_idle(
    name: str, share: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit n of ``room`` says in every cycle that more than n places are free, a column that comes
    in counted; it is idle when nothing is left of all that came. Columns come as long as there are
    places, steadily or raggedly, and then none until all are done."""
    config = preset("tiny", scan_pipeline=True, pe_registers=True, **CONFIGS[name])
    bench = Bench(config, [column % 7 for column in range(COLUMNS)], monkeypatch)
    pace = steady if share == 1 else ragged(rng, share)

    async def testbench(ctx) -> None:
        await bench.load(ctx)
        for length in (40, CYCLES, CYCLES // 4):
            # Columns of all sorts, or only such as leave at once.
            most = 2 if length == 40 else COLUMNS
            for _ in range(length):
                sends = pace() and not bench.full
                await bench.cycle(ctx, int(rng.integers(most)) if sends else None)
            while not ctx.get(bench.dut.idle):
                await bench.cycle(ctx, None)
            await bench.cycle(ctx, None)

    simulate(bench.dut, testbench, limit=4000)
    assert max(bench.rooms) == config.queue_places
    if pace is steady:
        assert bench.rooms == {*range(config.queue_places + 1)}


@pytest.mark.parametrize("entries", [0, 1, 3])
def test_a_single_column(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of two cycles behind the port: its place, and that the PE is no longer idle."""
    config = preset("tiny", scan_pipeline=True, pe_registers=True, queue_depth=3)
    bench = Bench(config, [entries] * COLUMNS, monkeypatch)
    told: list[tuple[int, int]] = []

    async def testbench(ctx) -> None:
        await bench.load(ctx)
        for cycle in range(30):
            told.append((ctx.get(bench.dut.room), ctx.get(bench.dut.idle)))
            await bench.cycle(ctx, 0 if cycle == 5 else None)

    simulate(bench.dut, testbench)
    taken = [cycle for cycle, (room, _) in enumerate(told) if room == 0b11]
    assert {room for room, _ in told} == {0b11, 0b111}
    assert taken == [7, 8]
    working = [cycle for cycle, (_, idle) in enumerate(told) if not idle]
    assert working == [*range(7, 7 + len(working))]
    # Until a cycle behind the last sum; or behind the look at a column that has nothing here.
    done = bench.dut.latency + entries - 1 if entries else 3
    assert working[-1] == 5 + done + 1
