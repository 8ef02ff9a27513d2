"""Mistakes set an error code and never hang, and the run that follows is right."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from spec.eie.config import EieConfig
from spec.eie.iomap import Error, Memory
from spec.eie.program import Segment
from tests.hw.eie.array_bench import ArrayBench, Job
from tests.hw.eie.test_array import CONFIGS, random_job

pytestmark = pytest.mark.unit


@pytest.fixture(params=["ahead", "published"])
def config(request: pytest.FixtureRequest) -> EieConfig:
    return CONFIGS[request.param]


def padded_job(rng: np.random.Generator, config: EieConfig) -> Job:
    """A job whose inputs do not fill the last row of activations; all activations are non-zero."""
    while True:
        job = random_job(rng, config)
        if job.program.inputs % config.pes:
            return Job(job.program, np.where(job.acts == 0, 1, job.acts))


class Mistake(NamedTuple):
    """What is wrong with a job, and what the array says to it."""

    name: str
    segment: Segment
    acts: np.ndarray
    code: Error


def mistakes(rng: np.random.Generator, config: EieConfig, job: Job) -> list[Mistake]:
    """One of every kind, somewhere."""
    right, acts = job.segment, job.acts
    pe, column = int(rng.integers(config.pes)), int(rng.integers(1, job.program.inputs))
    behind, backwards = right.pointers.copy(), right.pointers.copy()
    behind[pe, column] = config.entries + 1
    backwards[pe, column - 1] = backwards[pe, column] + 1
    lines = right.lines.copy()
    longest = config.longest_run << config.code_bits
    places = range(0, config.entries_per_line * config.entry_bits, config.entry_bits)
    lines[pe] |= np.uint64(sum(longest << place for place in places))
    everything = replace(with_rows(right, 0, 0), pointers=np.full_like(behind, 0))
    everything.pointers[:, 0] = config.entries + 1
    return [
        Mistake("non-zero behind the last column", right, np.append(acts, -1), Error.COLUMN),
        Mistake("entry behind the first pass's rows", with_rows(right, 0), acts, Error.ROW),
        Mistake("entry behind the second pass's rows", with_rows(right, 1), acts, Error.ROW),
        Mistake("longest runs only", replace(right, lines=lines), acts, Error.ROW),
        Mistake("column behind the memory", replace(right, pointers=behind), acts, Error.POINTER),
        Mistake("column backwards", replace(right, pointers=backwards), acts, Error.POINTER),
        Mistake("pointers first, then others", everything, np.append(acts, -1), Error.POINTER),
    ]


def with_rows(segment: Segment, number: int, rows: int | None = None) -> Segment:
    """The segment with fewer rows in one pass: one less unless ``rows`` says how many."""
    passes = list(segment.passes)
    descriptor = passes[number].descriptor
    descriptor = replace(descriptor, rows=descriptor.rows - 1 if rows is None else rows)
    passes[number] = replace(passes[number], descriptor=descriptor)
    return replace(segment, passes=tuple(passes))


def test_mistakes(config: EieConfig, rng: np.random.Generator) -> None:
    """Each has its code, twice in a row; what is right then runs, and counts, without a reset."""
    bench = ArrayBench(config)
    job = padded_job(rng, config)

    async def testbench(ctx) -> None:
        await bench.load(ctx, job.segment)
        for mistake in mistakes(rng, config, job):
            await bench.load(ctx, mistake.segment, job.segment)
            for _ in range(2):
                await bench.feed(ctx, mistake.acts)
                assert (await bench.run(ctx)).error == mistake.code, mistake.name
            await bench.load(ctx, job.segment, mistake.segment)
            await job.assert_right(bench, ctx)

    bench.simulate(testbench)


def test_start_before_an_image(rng: np.random.Generator) -> None:
    """NO_IMAGE, and not busy; also when all but the number of passes has been written."""
    config = CONFIGS["ahead"]
    job = random_job(rng, config)
    bench = ArrayBench(config)

    async def refused(ctx) -> None:
        await bench.start(ctx)
        for _ in range(3):
            assert (ctx.get(bench.array.busy), ctx.get(bench.array.error)) == (0, Error.NO_IMAGE)
            await ctx.tick()

    async def testbench(ctx) -> None:
        await refused(ctx)
        await bench.load(ctx, job.segment)
        await bench.write(ctx, Memory.CONTROL, 0, 0, 0)
        await refused(ctx)
        await bench.arm(ctx, job.segment)
        await job.assert_right(bench, ctx)

    bench.simulate(testbench)


def test_refused_start_keeps_the_error(rng: np.random.Generator) -> None:
    """The first error stays until a start is accepted."""
    config = CONFIGS["ahead"]
    job = padded_job(rng, config)
    bench = ArrayBench(config)

    async def testbench(ctx) -> None:
        await bench.load(ctx, job.segment)
        await bench.feed(ctx, np.append(job.acts, -1))
        await bench.run(ctx)
        await bench.write(ctx, Memory.CONTROL, 0, 0, 0)
        await bench.start(ctx)
        assert (ctx.get(bench.array.busy), ctx.get(bench.array.error)) == (0, Error.COLUMN)

    bench.simulate(testbench)


def test_second_start(rng: np.random.Generator) -> None:
    """BUSY, in any cycle; outputs, cycles and counters are those of an undisturbed run."""
    config = CONFIGS["ahead"]
    job = random_job(rng, config)
    bench = ArrayBench(config)

    async def testbench(ctx) -> None:
        await bench.load(ctx, job.segment)
        for starts in [(0,), (3, 4, int(rng.integers(5, job.cycles - 1))), (job.cycles - 1,)]:
            await job.assert_right(bench, ctx, error=Error.BUSY, starts=starts)
        await job.assert_right(bench, ctx, counters=False)

    bench.simulate(testbench)


def assert_survives_rubbish(config: EieConfig, rng: np.random.Generator) -> None:
    """Random pointers, lines, activations, or all of them: a run ends, and a right one follows."""
    job = random_job(rng, config)
    drawn = {
        "pointers": rng.integers(0, config.entries // 4, job.segment.pointers.shape),
        "lines": rng.integers(
            0, 1 << config.line_bits, job.segment.lines.shape, dtype=np.uint64, endpoint=False
        ),
        "acts": rng.integers(-3, 4, config.acts),
    }
    chosen = list(drawn) if rng.random() < 0.3 else [str(rng.choice(list(drawn)))]
    words = {name: drawn[name] for name in chosen}
    acts = words.pop("acts", job.acts)
    bench = ArrayBench(config)

    async def testbench(ctx) -> None:
        await bench.load(ctx, replace(job.segment, **words))
        await bench.feed(ctx, acts)
        code = (await bench.run(ctx)).error
        assert code in (Error.NONE, Error.COLUMN, Error.ROW, Error.POINTER)
        await bench.load(ctx, job.segment)
        await job.assert_right(bench, ctx)

    bench.simulate(testbench)


def test_rubbish(rng: np.random.Generator) -> None:
    """See :func:`assert_survives_rubbish`."""
    assert_survives_rubbish(CONFIGS["ahead"], rng)
