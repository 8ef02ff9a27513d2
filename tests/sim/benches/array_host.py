"""What a host does to the array, with any traffic on its streams, and what must come of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import cocotb
import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.golden import GoldenModel
from spec.eie.iomap import WHILE_COMPUTING, write_fields
from spec.eie.loading import Turn, plan_turns
from spec.eie.program import Program, Run, Segment
from spec.eie.vectors import Vectors
from tests.hw.streams import Pace, ragged, steady
from tests.sim.benches.drivers import Bench, Fields, Stream
from tests.sim.benches.jobs import Job
from tests.sim.benches.requests import Questions, Results, arming, feeding, loading

MOST_CYCLES = 5000
"""Longer than any run of these benches: what takes longer hangs."""

OF_HOST = ("loads", "hidden")
"""Counters of what the host writes; what it really wrote is watched on its stream."""


class Ended(NamedTuple):
    """How a run ended."""

    cycles: int
    error: int


class ArrayHost(Bench):
    """An array and its host. The rules of streams and of I/O mode are watched all the time.

    Attributes
    ----------
    loads, hidden : int
        Words that were written before the last run, since the one before it began, and during the
        last run.
    """

    def __init__(self, dut: Any, config: EieConfig) -> None:
        super().__init__(dut, "start write__valid read__valid data__ready")
        self.config = config
        self.write = Stream(self, "write")
        self.read = Stream(self, "read")
        self.data = Stream(self, "data")
        self.is_ragged = False
        self.loads = self.hidden = 0
        cocotb.start_soon(self.data.watch())
        cocotb.start_soon(self._watch_requests())
        cocotb.start_soon(self._watch_words())

    async def _watch_requests(self) -> NoReturn:
        """Fail if a request is taken at the wrong time, or an answer comes without a question."""
        open_questions = 0
        anytime = [int(memory) for memory in WHILE_COMPUTING] if self.config.double_buffer else []
        fields = Fields(write_fields(self.config))
        while True:
            await self.edge
            asked = int(self.read.valid.value) and int(self.read.ready.value)
            answered = int(self.data.valid.value)
            if int(self.dut.busy.value):
                assert not int(self.read.ready.value), "a read is taken while busy"
                if int(self.write.valid.value):
                    memory = fields.unpack(int(self.write.payload.value))["memory"]
                    taken = bool(int(self.write.ready.value))
                    assert taken == (memory in anytime), f"a write to {memory} while busy: {taken}"
            assert open_questions or not answered, "an answer without a question"
            open_questions += asked - (answered and int(self.data.ready.value))
            if int(self.dut.rst.value):
                open_questions = 0

    async def _watch_words(self) -> NoReturn:
        """Count the words that are written before and during runs."""
        waiting, words, was_started = 0, 0, False
        while True:
            await self.edge
            busy = int(self.dut.busy.value)
            if was_started and busy:
                self.loads, self.hidden = waiting, 0
                words -= waiting
            wrote = int(self.write.valid.value) and int(self.write.ready.value)
            was_started = int(self.dut.start.value) and not busy
            waiting = words
            words += wrote
            self.hidden += wrote and busy
            if int(self.dut.rst.value):
                words, was_started = 0, False

    def pace(self) -> Pace:
        """Of one side of a stream: steady or, in ragged traffic, with more gaps or fewer."""
        if not self.is_ragged:
            return steady
        return ragged(self.rng, float(self.rng.choice([0.2, 0.5, 0.9])))

    # Words ------------------------------------------------------------------------------------

    async def tell(self, writes: Sequence[int]) -> None:
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

    async def run_armed(
        self, segment: Segment, run: Run, *, ahead: Sequence[int] = (), eager: bool = False
    ) -> tuple[Ended, Results]:
        """Run what is loaded, fed and armed, and read what it gives.

        ``ahead`` is written during the run; ``eager`` reads are sent then, too.
        """
        questions = Questions(self.config, segment, run)
        await self.pulse("start")
        tells = cocotb.start_soon(self.tell(ahead))
        answers = cocotb.start_soon(self.ask(questions.reads)) if eager else None
        ended = await self.idle()
        await tells
        found = await answers if answers else await self.ask(questions.reads)
        return ended, questions.results(found)

    async def run_single(self, program: Program, acts: np.ndarray) -> tuple[Ended, Results]:
        """Feed and arm a program of one run, which is loaded, and run it."""
        ((segment, run),) = program.runs()
        await self.tell(feeding(self.config, acts) + arming(self.config, segment, run))
        return await self.run_armed(segment, run)

    async def run_lanes(
        self, program: Program, images: np.ndarray, turns: Sequence[Turn], *, eager: bool = False
    ) -> tuple[Ended, Results]:
        """One image per lane through all runs, each loaded as ``turns`` say; all counters."""
        vectors, busy, parts = Vectors(program, images), 0, []
        for turn in turns:
            segment, run = turn.segment, turn.run
            await self.tell(loading(self.config, segment if turn.load else None))
            if run.feed:
                await self.tell(feeding(self.config, vectors.inputs[run.feed.layer], run.feed))
            await self.tell(arming(self.config, segment, run))
            ahead = loading(self.config, turn.ahead)
            ended, results = await self.run_armed(segment, run, ahead=ahead, eager=eager)
            assert ended.error == 0
            self.check_words(results)
            busy += ended.cycles
            parts.append(results)
            if run.fetch:
                vectors.fetch(run.fetch, results.outputs)
        in_pe, in_array = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("in_pe", "in_array")
        )
        return Ended(busy, 0), Results(vectors.outputs, in_pe, in_array)

    def check_words(self, results: Results) -> None:
        """The array has counted the words that were written."""
        assert results.of_array("loads").tolist() == [
            self.loads,
            *[0] * (len(results.in_array) - 1),
        ]
        assert results.of_array("hidden").sum() == self.hidden


class Expected:
    """What the models say about a job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outputs, self.counts = GoldenModel(job.program).run(job.batch)

    def turns(self) -> list[list[Turn]]:
        """What is loaded when, for every group of images."""
        program = self.job.program
        runs = list(program.runs())
        times = len(self.counts[0].array)
        turns = plan_turns(program.config, runs * times)
        return [turns[at : at + len(runs)] for at in range(0, len(turns), len(runs))]

    def cycles(self, time: int) -> int:
        """Busy cycles of all runs of a group of images."""
        return sum(self.counter(number, time, "cycles") for number in range(len(self.counts)))

    def counter(self, number: int, time: int, name: str) -> int:
        """A counter of the array in pass ``number``."""
        return int(self.counts[number].of(name)[time])

    def check_single(self, ended: Ended, results: Results, error: int = 0) -> None:
        """Compare what the only run of a program gives for the first group of images."""
        program = self.job.program
        outputs = program.in_place(len(program.layers) - 1, results.outputs)
        self.check(0, ended, results._replace(outputs=outputs), error)

    def check(
        self, time: int, ended: Ended, results: Results, error: int = 0, *, skipped: Any = OF_HOST
    ) -> None:
        """Compare outputs, busy cycles, error code and every counter that is not skipped."""
        lanes = self.job.program.config.lanes
        where = f"{self.job.name}, group {time}"
        outputs = self.outputs[time * lanes : (time + 1) * lanes]
        assert results.outputs[: len(outputs)].tolist() == outputs.tolist(), f"{where}: outputs"
        for number, counts in enumerate(self.counts):
            in_pe = dict(zip(PE_COUNTERS, counts.pe[time].T.tolist(), strict=True))
            in_array = dict(zip(ARRAY_COUNTERS, counts.array[time].tolist(), strict=True))
            found = dict(zip(PE_COUNTERS, results.in_pe[number].T.tolist(), strict=True))
            assert found == in_pe, f"{where}: counters of the PEs in pass {number}"
            found = dict(zip(ARRAY_COUNTERS, results.in_array[number].tolist(), strict=True))
            for name in skipped:
                found[name] = in_array[name]
            assert found == in_array, f"{where}: counters of the array in pass {number}"
        assert ended == Ended(self.cycles(time), error), f"{where}: busy cycles, error code"
