"""The array: what the golden model gives, for passes of all kinds; host and reset at any time."""

from itertools import product

import numpy as np
import pytest
from amaranth import Value

from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.iomap import Error, Memory, pack_reads
from spec.eie.program import Layer, Program, Slice
from tests.hw.eie.array_bench import ArrayBench, Job
from tests.packing import Builder, Plan
from tests.programs import random_acts, random_codes, random_program

pytestmark = pytest.mark.unit

SMALL = {"pes": 3, "rows": 8, "act_rows": 8, "entries": 256, "columns": 128, "layers": 8}
CONFIGS = {
    "ahead": preset("tiny", **SMALL),
    "published": preset("tiny", **SMALL, ahead_depth=0, scan_ahead=False, queue_spare=True),
    "one PE": preset("tiny", **(SMALL | {"pes": 1, "rows": 16, "act_rows": 16}), queue_depth=1),
}


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> EieConfig:
    return CONFIGS[request.param]


def random_job(rng: np.random.Generator, config: EieConfig, **options) -> Job:
    """Two layers that fit all of :data:`CONFIGS`."""
    sizes = [int(size) for size in rng.integers(6, 15, 3)]
    program = random_program(rng, config, sizes, density=0.5, **options)
    return Job(program, random_acts(rng, config, 1, sizes[0], density=0.5)[0])


def test_tiles_and_gaps(config: EieConfig, rng: np.random.Generator) -> None:
    """Twice in a row: passes that only add up, or make some of the outputs, anywhere in memory."""
    bench = ArrayBench(config)
    job = random_job(rng, config, tiles=(2, 2), gaps=True)

    async def testbench(ctx) -> None:
        await bench.load(ctx, job.segment)
        for counters in (False, True):
            await job.assert_right(bench, ctx, counters=counters)

    bench.simulate(testbench)


def chain(
    rng: np.random.Generator, config: EieConfig, drains: tuple[bool, ...], swaps: tuple[bool, ...]
) -> Job:
    """Passes from anywhere in the source half to anywhere in the other, which is read whole.

    A pass without drain leaves its sums to the next, whose rows may be more or fewer.
    """
    builder = Builder(config)
    book = np.concatenate([[0], rng.integers(-99, 99, config.codes - 1)])
    whole = config.acts
    for drain, swap in zip(drains, swaps, strict=True):
        rows, inputs = (int(count) for count in rng.integers(1, 5, 2))
        source, target = (int(rng.integers(config.act_rows - count)) for count in (inputs, rows))
        columns = inputs * config.pes
        # Weights behind the pass's own inputs, which stand for a later tile, keep it from draining.
        width = columns if drain else columns + config.pes
        codes = random_codes(rng, config, rows * config.pes, width, density=0.4)
        bias = rng.integers(-(1 << 12), 1 << 12, len(codes))
        plan = Plan(codes, 0, bias, int(rng.integers(1, 200)), 12, bool(rng.integers(2)))
        output, part = (0, len(codes)), (0, columns)
        builder.add_pass(0, plan, output, part, (source, target), swap=swap)
    span = Slice(layer=0, first=0, count=whole)
    scales = dict.fromkeys(("input_scale", "weight_scale", "output_scale"), 1.0)
    layer = Layer(name="chain", inputs=whole, outputs=whole, relu=False, weights=0, **scales)
    segment = builder.segment(book[None], span, span)
    program = Program(config=config, layers=(layer,), segments=(segment,))
    return Job(program, random_acts(rng, config, 1, whole, density=0.7)[0])


CHAINS = preset("tiny", **(SMALL | {"pes": 2, "act_rows": 5, "line_bits": 16}))


@pytest.mark.parametrize("swaps", list(product((False, True), repeat=2)))
def test_swaps_and_bases(swaps: tuple[bool, ...], rng: np.random.Generator) -> None:
    """Swap or not after each of three passes, from and to random rows, drained or summed."""
    drains = [(True, True, True), (False, True, True)][sum(swaps) % 2]
    assert_chain(CHAINS, chain(rng, CHAINS, drains, (*swaps, bool(rng.integers(2)))))


def assert_chain(config: EieConfig, job: Job) -> None:
    """Run a job on a store that is zero, as the model's is."""
    bench = ArrayBench(config)

    async def testbench(ctx) -> None:
        await bench.load(ctx, job.segment)
        await job.assert_right(bench, ctx)

    bench.simulate(testbench)


def test_sums_stay_from_run_to_run(rng: np.random.Generator) -> None:
    """A layer over several segments: runs without drain, other weights, then a run with it."""
    config = CONFIGS["ahead"]
    program = random_program(rng, config, [18, 20], density=0.5, tiles=(1, 3), segments=True)
    acts = random_acts(rng, config, 1, 18, density=0.6)[0]
    outputs = Job(program, acts).outputs
    assert [len(segment.passes) for segment in program.segments] == [1, 1, 1]
    bench = ArrayBench(config)

    async def testbench(ctx) -> list[int]:
        for segment in program.segments:
            await bench.load(ctx, segment)
            assert segment.feed is not None
            first, count = segment.feed.first, segment.feed.count
            await bench.feed(ctx, acts[first : first + count])
            assert (await bench.run(ctx)).error == Error.NONE
        return (await bench.fetch(ctx, program.segments[-1], 20)).tolist()

    assert bench.simulate(testbench) == [outputs]


def test_the_host_waits_for_a_run(rng: np.random.Generator) -> None:
    """A read asked for during a run is answered behind it, with its result; so is a write."""
    config = CONFIGS["ahead"]
    bench = ArrayBench(config)
    job = random_job(rng, config)
    array = bench.array

    async def testbench(ctx) -> None:
        await bench.load(ctx, job.segment)
        await bench.feed(ctx, job.acts)
        address = job.segment.final_half << config.act_row_bits
        request = int(pack_reads(config, Memory.ACTIVATIONS, 0, address)[0])
        await bench.start(ctx)
        ctx.set(Value.cast(array.read.payload), request)
        ctx.set(array.read.valid, 1)
        ctx.set(array.data.ready, 1)
        cycles = 0
        taken = False
        while not taken:
            _, _, taken, busy, valid = await ctx.tick().sample(
                array.read.ready, array.busy, array.data.valid
            )
            assert not (taken and busy)
            assert not valid
            cycles += 1
        ctx.set(array.read.valid, 0)
        # Counters are saved in the first cycle of I/O mode.
        assert cycles == job.cycles + 2
        (word,) = await ctx.tick().sample(array.data.payload).until(array.data.valid)
        assert word == job.outputs[0] & (1 << config.act_bits) - 1

        # What the first layer leaves for the second is overwritten, but not before the end.
        await bench.feed(ctx, job.acts)
        await bench.start(ctx)
        rows = 1 << config.act_row_bits | np.arange(config.act_rows)
        await bench.write(ctx, Memory.ACTIVATIONS, 0, rows, 0)
        assert not ctx.get(array.busy)
        assert (await bench.fetch(ctx, job.segment, len(job.outputs))).tolist() == job.outputs
        assert not (await bench.read(ctx, Memory.ACTIVATIONS, 0, rows)).any()

    bench.simulate(testbench)


@pytest.mark.parametrize("name", ["ahead", "one PE"])
def test_reset_in_a_run(name: str, rng: np.random.Generator) -> None:
    """At some moments of every state, see :func:`assert_resets`."""
    config = CONFIGS[name]
    job = random_job(rng, config)
    control, compute, drain = (
        [counts[ARRAY_COUNTERS.index(name)] for counts in job.in_array]
        for name in ("control", "compute", "drain")
    )
    first = [0, control[0] - 1, control[0], control[0] + compute[0] // 2, control[0] + compute[0]]
    second = [job.cycles - drain[1], job.cycles - 1]
    assert_resets(config, job, [*first, *second])


def assert_resets(config: EieConfig, job: Job, moments: list[int]) -> None:
    """In each of these cycles of a run a reset ends it: I/O mode, no image, no error.

    After that a right run follows. The memories keep their words: only what has changed must be
    loaded again.
    """
    bench = ArrayBench(config)

    async def testbench(ctx) -> None:
        await bench.load(ctx, job.segment)
        for moment in moments:
            await bench.arm(ctx, job.segment)
            await bench.feed(ctx, job.acts)
            await bench.start(ctx)
            for _ in range(moment):
                await ctx.tick()
            assert ctx.get(bench.array.busy)
            await bench.reset(ctx)
            assert ctx.get(bench.array.error) == Error.NONE

            await bench.start(ctx)
            assert not ctx.get(bench.array.busy)
            assert ctx.get(bench.array.error) == Error.NO_IMAGE
            await bench.arm(ctx, job.segment)
            await job.assert_right(bench, ctx, counters=moment == moments[-1])
        await bench.load(ctx, job.segment)
        await job.assert_right(bench, ctx)

    bench.simulate(testbench)


def test_reset_while_answering(rng: np.random.Generator) -> None:
    """An answer that nobody has taken is gone; a reset while sums are cleared begins that again."""
    config = CONFIGS["ahead"]
    bench = ArrayBench(config)
    array = bench.array

    async def testbench(ctx) -> None:
        ctx.set(array.read.valid, 1)
        await ctx.tick().until(array.data.valid)
        ctx.set(array.read.valid, 0)
        for _ in range(2):
            ctx.set(bench.domain.rst, 1)
            await ctx.tick()
            ctx.set(bench.domain.rst, 0)
            assert not ctx.get(array.data.valid)
            for _ in range(config.rows - 1):
                await ctx.tick()
                assert ctx.get(array.busy)
        await ctx.tick()
        assert not ctx.get(array.busy)

    bench.simulate(testbench)
