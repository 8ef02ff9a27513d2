"""The array: what the golden model gives, for passes of all kinds; host and reset at any time."""

from itertools import product

import numpy as np
import pytest
from amaranth import ClockDomain

from hw.eie.array import EieArray
from sim.pysim import PysimPort
from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS
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
    machine = random_machine(rng, CONFIGS[name], tiles=(2, 2), gaps=True)
    machine.assert_right()
    machine.assert_right()


def test_sums_stay_from_run_to_run(rng: np.random.Generator) -> None:
    """A layer over several segments: runs without drain, other weights, then a run with it."""
    config = CONFIGS["ahead"]
    program = random_program(rng, config, [14, 14], density=0.5, tiles=(1, 3), segments=True)
    drains = [segment.passes[0].descriptor.drain for segment in program.segments]
    assert drains == [False, False, True]
    Machine(program, random_acts(rng, config, 1, 14, density=0.6)[0]).assert_right()


CHAINS = preset("tiny", **(SMALL | {"pes": 2, "act_rows": 5, "line_bits": 16}))


def chain(
    rng: np.random.Generator, port: PysimPort, drains: tuple[bool, ...], swaps: tuple[bool, ...]
) -> Machine:
    """Passes from anywhere in the source half to anywhere in the other, which is read whole.

    A pass without drain leaves its sums to later ones; the last pass has as many rows as any, since
    no sum may be left behind.
    """
    config = port.config
    builder = Builder(config)
    book = np.concatenate([[0], rng.integers(-99, 99, config.codes - 1)])
    whole = config.acts
    heights = np.sort(rng.integers(1, 5, len(drains))).tolist()
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
        builder.add_pass(0, plan, output, part, (source, target), swap=swap)
    span = Slice(layer=0, first=0, count=whole)
    scales = dict.fromkeys(("input_scale", "weight_scale", "output_scale"), 1.0)
    layer = Layer(name="chain", inputs=whole, outputs=whole, relu=False, weights=0, **scales)
    segment = builder.segment(book[None], span, span)
    program = Program(config=config, layers=(layer,), segments=(segment,))
    machine = Machine(program, random_acts(rng, config, 1, whole, density=0.7)[0], port)
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
    right = machine.result().tolist()

    machine.feed(machine.acts)
    machine.run_until(1)
    assert machine.result().tolist() == right

    # What the first layer leaves for the second is overwritten, but not before the end.
    machine.feed(machine.acts)
    machine.run_until(machine.cycles // 2)
    config = machine.program.config
    hidden = 1 << config.act_row_bits | np.arange(config.act_rows)
    machine.port.write(Memory.ACTIVATIONS, np.arange(config.pes)[:, None], hidden, 0)
    assert machine.result().tolist() == right
    machine.assert_right()


@pytest.mark.parametrize("name", ["ahead", "one PE"])
def test_reset_in_a_run(name: str, rng: np.random.Generator) -> None:
    """At some moments of every state, see :func:`assert_resets`."""
    machine = random_machine(rng, CONFIGS[name])
    first, second = (
        {name: int(count.array[0, ARRAY_COUNTERS.index(name)]) for name in ARRAY_COUNTERS}
        for count in machine.golden.counts
    )
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
        machine.port.reset()
        assert machine.run() == (0, Error.NO_IMAGE)
        machine.arm()
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
