"""What a host does to the N:M array, with any traffic on its streams, and what it sees of a run."""

from collections.abc import Sequence
from typing import Any, NoReturn

import cocotb
from cocotb.task import Task

from sim.limbs import join
from spec.nm.config import NmConfig
from spec.nm.counters import COUNTERS
from spec.nm.descriptor import Descriptor
from spec.nm.iomap import Error, Memory, pack_reads, pack_writes
from tests.hw.nm.machine import LIMIT, Job, Ran
from tests.hw.streams import Pace, ragged, steady
from tests.sim.benches.drivers import Bench, Stream

BEHIND = (1, 2, 3)
"""Words behind a run's own, which it must leave alone."""

STEADY: frozenset[str] = frozenset()
RAGGED = frozenset({"write", "read", "data", "i", "o"})
"""Streams with gaps."""


class NmHost(Bench):
    """An array and its host. What streams may do is watched all the time.

    Attributes
    ----------
    ragged_sides : set of str
        Streams with gaps on the host's side.
    taken : int
        Words that were taken off the load stream since the last start.
    results : list of int
        Words that were given on the result stream since then.
    """

    def __init__(self, dut: Any, config: NmConfig) -> None:
        super().__init__(dut, "start write__valid read__valid data__ready i__valid o__ready")
        self.config = config
        self.write = Stream(self, "write")
        self.read = Stream(self, "read")
        self.data = Stream(self, "data")
        self.i = Stream(self, "i")
        self.o = Stream(self, "o")
        self.ragged_sides: frozenset[str] = STEADY
        self.taken = 0
        self.results: list[int] = []
        cocotb.start_soon(self.data.watch())
        cocotb.start_soon(self._watch_idle())
        cocotb.start_soon(self._watch_run())

    async def _watch_idle(self) -> NoReturn:
        """Between runs, streams stand still; during runs, requests wait."""
        while True:
            await self.edge
            if int(self.dut.busy.value):
                assert not int(self.write.ready.value), "a write is taken while busy"
                assert not int(self.read.ready.value), "a read is taken while busy"
            else:
                assert not int(self.i.ready.value), "a word is taken while not busy"
                assert not int(self.o.valid.value), "a result is offered while not busy"

    async def _watch_run(self) -> NoReturn:
        """Note what moves; a result that is offered stays until it is taken, or the run ends."""
        offered = None
        while True:
            await self.edge
            is_start = int(self.dut.start.value) and not int(self.dut.busy.value)
            if is_start:
                self.taken, self.results = 0, []
            self.taken += int(self.i.valid.value) and int(self.i.ready.value)
            valid, ready = int(self.o.valid.value), int(self.o.ready.value)
            payload = int(self.o.payload.value) if valid else None
            if offered is not None and int(self.dut.busy.value):
                assert payload == offered, "a result changed before it was taken"
            if payload is not None and ready:
                self.results.append(payload)
            waits = not ready and not int(self.dut.rst.value)
            offered = payload if waits else None

    def pace(self, name: str) -> Pace:
        """Of the host's side of a stream: steady or, in ragged traffic, with more gaps or fewer."""
        if name not in self.ragged_sides:
            return steady
        return ragged(self.rng, float(self.rng.choice([0.2, 0.5, 0.9])))

    # Requests ---------------------------------------------------------------------------------

    async def describe(self, descriptor: Descriptor) -> None:
        """Write a descriptor."""
        words = descriptor.pack(self.config)
        writes = pack_writes(self.config, Memory.DESCRIPTOR, range(len(words)), words)
        await self.write.send(join(writes), self.pace("write"))

    async def counters(self) -> dict[str, int]:
        """Read all counters."""
        reads = pack_reads(self.config, Memory.COUNTERS, range(len(COUNTERS)))
        sender = cocotb.start_soon(self.read.send(reads.tolist(), self.pace("read")))
        try:
            taken = await self.data.receive(len(COUNTERS), self.pace("data"))
        finally:
            sender.cancel()  # nothing to do, unless this one is cancelled
        return dict(zip(COUNTERS, (word for _, word in taken), strict=True))

    # Runs -------------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Reset for some cycles; the array is ready in the next."""
        await self.pulse("rst", int(self.rng.integers(1, 4)))
        await self.edge
        assert not int(self.dut.busy.value), "busy behind a reset"

    async def start(self) -> None:
        """Pulse ``start``; behind it, the first cycle of the run begins."""
        await self.pulse("start")

    def serve(self, words: Sequence[int]) -> list[Task]:
        """Begin to serve both streams; until the tasks are cancelled."""
        return [
            cocotb.start_soon(self.i.send([*words, *BEHIND], self.pace("i"))),
            cocotb.start_soon(self.o.receive(LIMIT, self.pace("o"))),
        ]

    async def moved(self, stream: Stream, count: int) -> None:
        """Wait until so many words have moved on a stream, from now on."""
        while count:
            await self.edge
            count -= int(stream.valid.value) and int(stream.ready.value)

    async def finish(self) -> int:
        """Wait until the array is not busy: cycles from now on."""
        cycles = 0
        await self.edge
        while int(self.dut.busy.value):
            cycles += 1
            assert cycles < LIMIT, "the array hangs"
            await self.edge
        return cycles

    async def run(self, descriptor: Descriptor, words: Sequence[int]) -> Ran:
        """A whole run, and its counters."""
        await self.describe(descriptor)
        await self.start()
        tasks = self.serve(words)
        cycles = await self.finish()
        return await self.ran(cycles, tasks)

    async def ran(self, cycles: int, tasks: Sequence[Task]) -> Ran:
        """What came of a run that has ended."""
        for task in tasks:
            task.cancel()
        await self.edge
        error = Error(int(self.dut.error.value))
        results, taken = list(self.results), self.taken
        return Ran(results, cycles, error, taken, await self.counters())

    async def assert_right(self, job: Job) -> None:
        """Run a layer, and compare all that is seen with the models."""
        ran = await self.run(job.descriptor, job.words)
        job.assert_right(ran, paced=bool(self.ragged_sides & {"i", "o"}))
