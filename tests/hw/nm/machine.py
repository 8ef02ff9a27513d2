"""The N:M array in Amaranth's simulator: a testbench that runs layers, and what should come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth import ClockDomain

from hw.nm.engine import NmArray
from sim.limbs import join, split
from spec.nm.config import NmConfig
from spec.nm.counters import CAUSES, COUNTERS, OF_PACE
from spec.nm.descriptor import Descriptor
from spec.nm.golden import GoldenModel
from spec.nm.iomap import Error, Memory
from spec.nm.program import Program
from spec.nm.stream import load_words, order_results, unpack_results
from tests.hw.streams import Context, Pace, receive, send, simulate, steady

LIMIT = 20_000
"""Cycles that a run of these small layers never takes."""


@dataclass(frozen=True)
class Order:
    """A run: the descriptor, the words of its load stream, and how both streams are paced.

    ``starts_at`` are cycles of the run with another start, ``stop`` is a cycle to reset it in.
    ``hurried``: the next run starts in the cycle in which this one has ended, with its descriptor;
    there is no time to read the counters.
    """

    descriptor: Descriptor
    words: Sequence[int]
    offered: Pace = steady
    taken: Pace = steady
    starts_at: tuple[int, ...] = ()
    stop: int | None = None
    hurried: bool = False


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    results: list[int]
    cycles: int
    error: Error
    taken: int
    counts: dict[str, int]


async def write_descriptor(ctx: Context, dut: NmArray, descriptor: Descriptor) -> None:
    for address, data in enumerate(descriptor.pack(dut.config)):
        request = {"data": data, "address": address, "memory": Memory.DESCRIPTOR}
        await send(ctx, dut.write, [request])


async def run(ctx: Context, dut: NmArray, order: Order) -> Ran:
    """Start, serve both streams until the run ends, read the counters."""
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    results, at, cycles, offering = [], 0, 0, False
    while ctx.get(dut.busy) and cycles != order.stop:
        assert cycles < LIMIT, "the run does not end"
        offering = at < len(order.words) and (offering or order.offered())
        willing = order.taken()
        ctx.set(dut.start, cycles in order.starts_at)
        ctx.set(dut.i.valid, offering)
        ctx.set(dut.i.payload, order.words[at] if offering else 0)
        ctx.set(dut.o.ready, willing)
        _, _, ready, valid, payload = await ctx.tick().sample(
            dut.i.ready, dut.o.valid, dut.o.payload
        )
        if offering and ready:
            at, offering = at + 1, False
        if willing and valid:
            results.append(payload)
        cycles += 1
    for port in (dut.start, dut.i.valid, dut.o.ready):
        ctx.set(port, 0)
    counts = {} if order.stop or order.hurried else await read_counters(ctx, dut)
    return Ran(results, cycles, Error(ctx.get(dut.error)), at, counts)


async def read_counters(ctx: Context, dut: NmArray) -> dict[str, int]:
    """All counters of the last run."""
    counts = {}
    for address, name in enumerate(COUNTERS):
        await send(ctx, dut.read, [{"address": address, "memory": Memory.COUNTERS}])
        counts[name] = (await receive(ctx, dut.data, 1))[0].payload
    return counts


def run_all(config: NmConfig, orders: Sequence[Order]) -> list[Ran]:
    """One run after the other on the same array; a stopped one is followed by a reset."""

    async def testbench(ctx: Context) -> list[Ran]:
        found, hurried = [], False
        for order in orders:
            if not hurried:
                await write_descriptor(ctx, dut, order.descriptor)
            found.append(await run(ctx, dut, order))
            hurried = order.hurried
            if order.stop:
                ctx.set(domain.rst, 1)
                await ctx.tick()
                ctx.set(domain.rst, 0)
        return found

    dut, domain = NmArray(config), ClockDomain("sync")
    return simulate(dut, testbench, limit=len(orders) * LIMIT, domain=domain)[0]


class Job:
    """A layer over some tokens: the order, and what must come of it."""

    def __init__(self, program: Program, number: int, acts: np.ndarray):
        self.program, self.number = program, number
        self.descriptor = program.descriptor(number, len(acts))
        self.words = join(load_words(program, number, self.descriptor, acts))
        self.acts, self.tokens = acts, len(acts)
        self.outputs, self.counts = GoldenModel(program).run_layer(number, acts)

    def order(self, **options: Any) -> Order:
        """The run; behind its words come others, which it must leave alone."""
        return Order(self.descriptor, [*self.words, 1, 2, 3], **options)

    def assert_right(self, ran: Ran, *, paced: bool = False) -> None:
        """Bits, cycles and counters are those of the golden model; those that depend on the pace of
        the streams only if it was steady."""
        config = self.program.config
        assert ran.error == Error.NONE
        assert ran.taken == len(self.words)
        results = order_results(
            config,
            self.descriptor,
            unpack_results(config, split(ran.results, config.result_limbs)),
            self.program.layers[self.number].outputs,
            self.tokens,
        )
        assert np.array_equal(self.program.in_place(self.number, results), self.outputs)
        expected = dict(zip(COUNTERS, self.counts.values, strict=True))
        assert ran.cycles == ran.counts["cycles"]
        assert ran.cycles == sum(ran.counts[cause] for cause in CAUSES)
        names = [name for name in COUNTERS if not (paced and name in OF_PACE)]
        assert [ran.counts[name] for name in names] == [expected[name] for name in names]
