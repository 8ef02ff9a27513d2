"""The array: what the golden model gives, for passes of all kinds; host and reset at any time."""

from itertools import product

import numpy as np
import pytest
from amaranth import ClockDomain

from hw.eie.array import EieArray
from sim.eie.pysim import PysimPort
from spec.eie.config import preset
from spec.eie.iomap import Error, Memory
from spec.eie.program import Layer, Program, Slice
from tests.hw.eie.machine import CONFIGS, SMALL, Machine, random_machine
from tests.hw.streams import simulate
from tests.packing import Builder, Plan
from tests.programs import random_acts, random_codes, random_program

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", CONFIGS)
def test_tiles_and_gaps(name: str, rng: np.random.Generator) -> None:
    """Twice in a row: passes that only add up, or make some of the outputs, anywhere in memory."""
    machine = random_machine(rng, CONFIGS[name], tiles=(2, 2), gaps=True, top=bool(rng.integers(2)))
    machine.assert_right()
    machine.assert_right()


@pytest.mark.parametrize("split", [0, 1, 2])
def test_every_division(split: int, rng: np.random.Generator) -> None:
    """Full layers on one cluster, on two and on four, whose queues are short."""
    random_machine(rng, CONFIGS["clusters"], full=True, split=split).assert_right()


@pytest.mark.parametrize("busy", [0, 3])
def test_clusters_with_unequal_work(busy: int, rng: np.random.Generator) -> None:
    """One of four has nearly all non-zero activations: the others wait for it."""
    config = CONFIGS["clusters"]
    program = random_program(rng, config, [32, 12], density=0.5, split=2)
    acts = random_acts(rng, config, 1, 32, density=1.0)
    others = np.arange(32) % config.pes != busy
    acts[:, others] *= rng.random(others.sum()) < 0.1
    Machine(program, acts).assert_right()


@pytest.mark.parametrize("late", [0, 1])
def test_a_pass_lasts_as_long_as_any_scan(late: int, rng: np.random.Generator) -> None:
    """One of two clusters is behind with its rows, and comes to its last non-zero when all else is
    idle: no column has weights."""
    config = CONFIGS["clusters"]
    program = random_program(rng, config, [32, 12], density=0.0, split=1)
    acts = np.zeros((8, 2, 2), np.int64)
    acts[[0, 1, 2, 7], late] = 1
    Machine(program, acts.reshape(1, -1)).assert_right()


@pytest.mark.parametrize("widen", [0, 1, 2])
def test_every_width_of_runs(widen: int, rng: np.random.Generator) -> None:
    """Long gaps, with lines of more entries or fewer."""
    options = {"long_runs": 0.5, "empty_columns": 0.3, "widen": widen, "gaps": True}
    random_machine(rng, CONFIGS["lanes"], **options).assert_right()


def test_sums_stay_from_run_to_run(rng: np.random.Generator) -> None:
    """A layer over several segments: runs without drain, other weights, then a run with it."""
    config = CONFIGS["ahead"]
    program = random_program(rng, config, [14, 14], density=0.5, tiles=(1, 3), segments=True)
    drains = [segment.passes[0].descriptor.drain for segment in program.segments]
    assert drains == [False, False, True]
    Machine(program, random_acts(rng, config, 1, 14, density=0.6)).assert_right()


@pytest.mark.parametrize("paced", [True, False])
def test_segments_are_loaded_behind_each_other(paced: bool, rng: np.random.Generator) -> None:
    """Twice: segments of two runs each, at the bottom and the top in turn, the next one written
    while one computes; also by a host that pauses."""
    config = CONFIGS["ahead"]
    port = PysimPort(config, ragged=None if paced else int(rng.integers(1000)))
    machine = random_machine(rng, config, port=port, segments=True, runs=2, tiles=(2, 2))
    assert len(machine.program.segments) > 2
    assert sum(int(count.of("hidden").sum()) for count in machine.counts) > 0
    machine.assert_right()
    machine.assert_right()


CHAINS = preset("tiny", **(SMALL | {"act_rows": 5, "line_bits": 16}))


def chain(
    rng: np.random.Generator, port: PysimPort, drains: tuple[bool, ...], swaps: tuple[bool, ...]
) -> Machine:
    """Passes from anywhere in the source half to anywhere in the other, which is read whole.

    A pass without drain leaves its sums to later ones, under the same division; the last pass has
    as many rows as any, since no sum may be left behind.
    """
    config = port.config
    builder = Builder(config)
    book = np.concatenate([[0], rng.integers(-99, 99, config.codes - 1)])
    whole = config.acts
    heights = np.sort(rng.integers(1, 5, len(drains))).tolist()
    split = int(rng.integers(config.splits + 1))
    for rows, drain, swap in zip(heights, drains, swaps, strict=True):
        inputs = int(rng.integers(1, 5))
        source, target = (int(rng.integers(config.act_rows - count)) for count in (inputs, rows))
        columns = inputs * config.pes
        # Weights behind the pass's own inputs, which stand for a later tile, keep it from draining.
        width = columns if drain else columns + config.pes
        codes = random_codes(rng, config, rows * config.pes, width, density=0.4)
        bias = rng.integers(-(1 << 12), 1 << 12, len(codes))
        plan = Plan(codes, 0, bias, int(rng.integers(1, 200)), 12, bool(rng.integers(2)))
        output, part = (0, len(codes)), (0, columns)
        builder.add_pass(0, plan, output, part, (source, target), swap=swap, split=split)
        split = int(rng.integers(config.splits + 1)) if drain else split
    span = Slice(layer=0, first=0, count=whole)
    scales = dict.fromkeys(("input_scale", "weight_scale", "output_scale"), 1.0)
    layer = Layer(name="chain", inputs=whole, outputs=whole, relu=False, weights=0, **scales)
    segment = builder.segment(book[None], span, span)
    program = Program(config=config, layers=(layer,), segments=(segment,))
    machine = Machine(program, random_acts(rng, config, 1, whole, density=0.7), port)
    # The model's store begins with zeros.
    machine.write(Memory.ACTIVATIONS, np.zeros((config.pes, 2 << config.act_row_bits), np.int64))
    return machine


def test_swaps_and_bases(rng: np.random.Generator) -> None:
    """Swap or not after each of three passes, from and to random rows, drained or summed."""
    # Ragged traffic of the host, beside: it must make no difference.
    port = PysimPort(CHAINS, ragged=int(rng.integers(1000)))
    for swaps in product((False, True), repeat=2):
        drains = [(True, True, True), (False, True, True)][sum(swaps) % 2]
        chain(rng, port, drains, (*swaps, bool(rng.integers(2)))).assert_right()


def test_the_host_waits_for_a_run(rng: np.random.Generator) -> None:
    """A read asked for during a run is answered with its result; a write does not disturb it."""
    machine = random_machine(rng, CONFIGS["ahead"])
    machine.assert_right()
    right = machine.result()

    machine.feed(machine.acts)
    machine.run_until(1)
    assert machine.result() == right

    # What the first layer leaves for the second is overwritten, but not before the end.
    machine.feed(machine.acts)
    machine.run_until(machine.cycles // 2)
    config = machine.config
    zeros = np.zeros((config.pes, config.act_rows), np.int64)
    machine.write(Memory.ACTIVATIONS, zeros, 1 << config.act_row_bits)
    assert machine.result() == right
    machine.assert_right()


@pytest.mark.parametrize("name", ["ahead", "one PE"])
def test_reset_in_a_run(name: str, rng: np.random.Generator) -> None:
    """At some moments of every state, see :func:`assert_resets`."""
    machine = random_machine(rng, CONFIGS[name])
    names = ("control", "compute", "drain", "cycles")
    first, second = ({name: int(count.of(name)[0]) for name in names} for count in machine.counts)
    computing, draining = first["control"], first["control"] + first["compute"]
    moments = [1, computing - 1, computing, (computing + draining) // 2, draining]
    assert_resets(machine, [*moments, first["cycles"], first["cycles"] + second["control"] + 2])
    assert_resets(machine, [machine.cycles - second["drain"] + 1, machine.cycles - 1])


def assert_resets(machine: Machine, moments: list[int]) -> None:
    """In each of these cycles of a run a reset ends it: I/O mode, no image, no error.

    After that a right run follows. The memories keep their words: only what has changed must be
    loaded again.
    """
    machine.assert_right()
    for moment in moments:
        machine.feed(machine.acts)
        machine.run_until(moment)
        machine.reset()
        assert machine.run() == (0, Error.NO_IMAGE)
        machine.assert_right()


def test_reset_before_a_full_load(rng: np.random.Generator) -> None:
    """A run is cut short, another program loaded, and run."""
    config = CONFIGS["published"]
    machine = random_machine(rng, config)
    machine.assert_right()
    machine.run_until(machine.cycles // 2)
    random_machine(rng, config, port=machine.port).assert_right()


def test_reset_while_answering() -> None:
    """An answer that nobody took is gone; a reset while sums are cleared begins that again."""
    config = CONFIGS["ahead"]
    array, domain = EieArray(config), ClockDomain("sync")

    async def testbench(ctx) -> None:
        await ctx.tick().repeat(config.rows)
        ctx.set(array.read.valid, 1)
        while not ctx.get(array.data.valid):
            await ctx.tick()
        ctx.set(array.read.valid, 0)
        for _ in range(2):
            ctx.set(domain.rst, 1)
            await ctx.tick()
            ctx.set(domain.rst, 0)
            assert not ctx.get(array.data.valid)
            for _ in range(config.rows - 1):
                await ctx.tick()
                assert ctx.get(array.busy)
        await ctx.tick()
        assert not ctx.get(array.busy)

    simulate(array, testbench, domain=domain)
