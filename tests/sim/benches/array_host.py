"""What a host does to the array, with any traffic on its streams, and what must come of it."""

from typing import Any, NamedTuple, NoReturn

import cocotb
import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.golden import GoldenModel
from spec.eie.program import Program, Segment
from tests.hw.streams import Pace, ragged, steady
from tests.sim.benches.drivers import Bench, Stream
from tests.sim.benches.jobs import Job
from tests.sim.benches.requests import Questions, Results, feeding, loading

MOST_CYCLES = 5000
"""Longer than any run of these benches: what takes longer hangs."""


class Ended(NamedTuple):
    """How a run ended."""

    cycles: int
    error: int


class ArrayHost(Bench):
    """An array and its host. The rules of streams and of I/O mode are watched all the time."""

    def __init__(self, dut: Any, config: EieConfig) -> None:
        super().__init__(dut, "start write__valid read__valid data__ready")
        self.config = config
        self.write = Stream(self, "write")
        self.read = Stream(self, "read")
        self.data = Stream(self, "data")
        self.is_ragged = False
        cocotb.start_soon(self.data.watch())
        cocotb.start_soon(self._watch_requests())

    async def _watch_requests(self) -> NoReturn:
        """Fail if a request is taken outside I/O mode, or an answer comes without a question."""
        open_questions = 0
        while True:
            await self.edge
            asked = int(self.read.valid.value) and int(self.read.ready.value)
            answered = int(self.data.valid.value)
            if int(self.dut.busy.value):
                assert not int(self.write.ready.value), "a write is taken while busy"
                assert not int(self.read.ready.value), "a read is taken while busy"
            assert open_questions or not answered, "an answer without a question"
            open_questions += asked - (answered and int(self.data.ready.value))
            if int(self.dut.rst.value):
                open_questions = 0

    def pace(self) -> Pace:
        """Of one side of a stream: steady or, in ragged traffic, with more gaps or fewer."""
        if not self.is_ragged:
            return steady
        return ragged(self.rng, float(self.rng.choice([0.2, 0.5, 0.9])))

    # Words ------------------------------------------------------------------------------------

    async def tell(self, writes: list[int]) -> None:
        """Send writes; in ragged traffic in any order, as no address is written twice."""
        order = self.rng.permutation(len(writes)) if self.is_ragged else range(len(writes))
        await self.write.send([writes[at] for at in order], self.pace())

    async def ask(self, reads: np.ndarray) -> np.ndarray:
        """Send reads, in ragged traffic in any order, and gather the answers meanwhile; int64."""
        order = np.arange(len(reads))
        if self.is_ragged:
            self.rng.shuffle(order)
        sender = cocotb.start_soon(self.read.send(reads[order].tolist(), self.pace()))
        try:
            taken = await self.data.receive(len(reads), self.pace())
        finally:
            sender.cancel()  # nothing to do, unless this one is cancelled
        answers = np.zeros(len(reads), np.uint64)
        answers[order] = [word for _, word in taken]
        return answers.astype(np.int64)

    # Runs -------------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Reset for some cycles; then the accumulators are cleared, a row in a cycle."""
        await self.pulse("rst", int(self.rng.integers(1, 4)))
        assert await self.idle() == Ended(self.config.rows, 0)

    async def idle(self) -> Ended:
        """Wait for I/O mode: cycles of being busy from now on, and the error code."""
        cycles = 0
        await self.edge
        while int(self.dut.busy.value):
            cycles += 1
            assert cycles < MOST_CYCLES, "the array hangs"
            await self.edge
        return Ended(cycles, int(self.dut.error.value))

    async def run(self) -> Ended:
        """Start, and wait until the array is not busy."""
        await self.pulse("start")
        return await self.idle()

    async def run_segment(self, segment: Segment, *, eager: bool = False) -> tuple[Ended, Results]:
        """Run what is loaded, and read what it gives; ``eager`` reads are sent during the run."""
        questions = Questions(self.config, segment)
        if not eager:
            ended = await self.run()
            return ended, questions.results(await self.ask(questions.reads))
        await self.pulse("start")
        answers = cocotb.start_soon(self.ask(questions.reads))
        ended = await self.idle()
        return ended, questions.results(await answers)

    async def run_image(
        self, program: Program, acts: np.ndarray, *, loaded: bool = False, eager: bool = False
    ) -> tuple[Ended, Results]:
        """One vector through all segments, loaded one by one unless ``loaded``; all counters."""
        vectors = [acts, *(np.zeros(layer.outputs, np.int64) for layer in program.layers)]
        busy, parts = 0, []
        for segment in program.segments:
            if not loaded:
                await self.tell(loading(self.config, segment))
            if segment.feed:
                feed = segment.feed
                part = vectors[feed.layer][feed.first : feed.first + feed.count]
                await self.tell(feeding(self.config, part))
            ended, results = await self.run_segment(segment, eager=eager)
            assert ended.error == 0
            busy += ended.cycles
            parts.append(results)
            if segment.fetch:
                fetch = segment.fetch
                target = vectors[fetch.layer + 1]
                target[fetch.first : fetch.first + fetch.count] = results.outputs
        in_pe, in_array = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("in_pe", "in_array")
        )
        return Ended(busy, 0), Results(vectors[-1], in_pe, in_array)


class Expected:
    """What the models say about a job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outputs, self.counts = GoldenModel(job.program).run(job.batch)

    def cycles(self, image: int) -> int:
        """Busy cycles of all runs of a vector."""
        return sum(self.counter(number, image, "cycles") for number in range(len(self.counts)))

    def counter(self, number: int, image: int, name: str) -> int:
        """A counter of the array in pass ``number``."""
        return int(self.counts[number].array[image, ARRAY_COUNTERS.index(name)])

    def check(self, image: int, ended: Ended, results: Results, error: int = 0) -> None:
        """Compare outputs, busy cycles, error code and every counter."""
        where = f"{self.job.name}, image {image}"
        assert results.outputs.tolist() == self.outputs[image].tolist(), f"{where}: outputs"
        for number, counts in enumerate(self.counts):
            in_pe = dict(zip(PE_COUNTERS, counts.pe[image].T.tolist(), strict=True))
            in_array = dict(zip(ARRAY_COUNTERS, counts.array[image].tolist(), strict=True))
            found = dict(zip(PE_COUNTERS, results.in_pe[number].T.tolist(), strict=True))
            assert found == in_pe, f"{where}: counters of the PEs in pass {number}"
            found = dict(zip(ARRAY_COUNTERS, results.in_array[number].tolist(), strict=True))
            assert found == in_array, f"{where}: counters of the array in pass {number}"
        assert ended == Ended(self.cycles(image), error), f"{where}: busy cycles, error code"
