"""Bench of pointer read behind its queue: pointers of real matrices in, columns streamed, spans
compared."""

from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.eie.act_queue import ActQueue
from hw.eie.payloads import column_layout, span_layout
from hw.eie.pointer_read import PointerRead
from spec.eie.config import EieConfig
from tests.hw.streams import Pace, paces, ragged, steady
from tests.sim.benches.drivers import Bench, Fields, Stream
from tests.sim.benches.jobs import Job, groups, heard, read_jobs


class QueuedPointerRead(wiring.Component):
    """Pointer read, and the queue that tells it a cycle ahead which column comes."""

    latency = ActQueue.latency + PointerRead.latency

    def __init__(self, config: EieConfig):
        self._queue, self._read = ActQueue(config), PointerRead(config)
        queue, read = self._queue.signature.members, self._read.signature.members
        names = ("write", "o", "busy", "empty", "error")
        super().__init__({"i": queue["i"], **{name: read[name] for name in names}})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self._queue
        m.submodules.read = read = self._read
        connect(m, flipped(self.i), queue.i)
        connect(m, queue.o, read.i)
        connect(m, read.o, flipped(self.o))
        connect(m, flipped(self.write), read.write)
        m.d.comb += [
            read.following.eq(queue.following),
            self.busy.eq(read.busy),
            self.empty.eq(read.empty),
            self.error.eq(read.error),
        ]
        return m


@dataclass(frozen=True)
class Columns:
    """Columns for one PE, packed, and the spans that must come of them."""

    pointers: list[int]
    columns: list[int]
    spans: list[dict[str, int]]

    @property
    def empty(self) -> int:
        """Columns without entries."""
        return len(self.columns) - len(self.spans)


def columns_of(job: Job, acts: np.ndarray, pe: int) -> Columns:
    """What the scan broadcasts of the first pass to one PE."""
    config, segment = job.program.config, job.program.segments[0]
    first = segment.passes[0].descriptor.pointer_base
    pointers = segment.pointers[pe].astype(int).tolist()
    fields = Fields.of(column_layout(config))
    columns, spans = [], []
    for one in heard(job, acts, pe):
        at, values = first + one.column, one.packed(config)
        columns.append(fields.pack(pointer=at, values=values))
        start, end = pointers[at], pointers[at + 1]
        if start != end:
            spans.append({"start": start, "end": end, "values": values})
    return Columns(pointers, columns, spans)


class PointerBench(Bench):
    """Pointer read, with its write port and its two streams."""

    def __init__(self, dut: Any, job: Job) -> None:
        super().__init__(dut, "write__enable i__valid o__ready")
        self.places = job.program.config.queue_places
        self.spans = Fields.of(span_layout(job.program.config))
        self.i = Stream(self, "i")
        self.o = Stream(self, "o")
        self.looked = self.empty = 0
        cocotb.start_soon(self.o.watch())
        cocotb.start_soon(self._count())

    async def _count(self) -> None:
        """Count the cycles in which a column is looked at, and those in which it is empty."""
        while True:
            await self.edge
            assert not int(self.dut.error.value), "error without a mistake"
            self.looked += int(self.dut.busy.value)
            self.empty += int(self.dut.empty.value)

    async def load(self, pointers: list[int], pace: Pace) -> None:
        """Write pointers from address 0 on."""
        for address, pointer in enumerate(pointers):
            while not pace():
                await self.edge
            self.drive("write", enable=1, address=address, data=pointer)
            await self.edge
            self.drive("write", enable=0)

    async def run(self, work: Columns, maker: Pace = steady, taker: Pace = steady) -> None:
        """Stream columns, and compare all spans; in steady traffic their cycles, too."""
        self.looked = self.empty = 0
        sender = cocotb.start_soon(self.i.send(work.columns, maker))
        taken = await self.o.receive(len(work.spans), taker)
        sent = await sender
        await self.cycles(self.places + QueuedPointerRead.latency)  # the last may be empty ones
        assert [self.spans.unpack(word) for _, word in taken] == work.spans
        assert self.empty == work.empty
        assert not int(self.dut.busy.value)
        if maker is taker is steady:
            assert self.looked == len(sent)
            assert sent == list(range(sent[0], sent[0] + len(sent)))
            assert {cycle - QueuedPointerRead.latency for cycle, _ in taken} <= set(sent)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def spans_in_any_traffic(dut: Any) -> None:
    """Every PE's share of every matrix, steady and ragged on both sides."""
    jobs = read_jobs()
    bench = PointerBench(dut, jobs[0])
    await bench.pulse("rst")
    for job in jobs:
        for pe in range(job.program.config.pes):
            work = columns_of(job, groups(job)[0], pe)
            await bench.load(work.pointers, ragged(bench.rng, 0.8))
            for maker, taker in paces(bench.rng):
                await bench.run(work, maker, taker)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_on_the_way(dut: Any) -> None:
    """A reset forgets the column at hand; the pointers stay, and the next columns go right."""
    jobs = read_jobs()
    bench = PointerBench(dut, jobs[0])
    for job in jobs:
        pe = int(bench.rng.integers(job.program.config.pes))
        work = columns_of(job, groups(job)[0], pe)
        await bench.load(work.pointers, steady)
        for _ in range(5):
            sender = cocotb.start_soon(bench.i.send(work.columns))
            taker = cocotb.start_soon(bench.o.receive(len(work.spans), ragged(bench.rng)))
            await bench.cycles(int(bench.rng.integers(1, len(work.columns))))
            sender.cancel()
            taker.cancel()
            await bench.pulse("rst")
            await bench.edge
            assert (int(dut.busy.value), int(dut.o__valid.value)) == (0, 0)
            await bench.run(work, ragged(bench.rng), ragged(bench.rng))
