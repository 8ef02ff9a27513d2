"""The whole array in Amaranth's simulator, driven cycle by cycle.

Executors run networks; this bench is for what no executor does: starts, resets and requests in
chosen cycles of a run, and memories with mistakes in them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import numpy as np
from amaranth import ClockDomain, Value

from hw.eie.array import EieArray
from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.golden import GoldenModel
from spec.eie.iomap import (
    Memory,
    array_counter_bits,
    descriptor_word_bits,
    pack_reads,
    pack_writes,
    pe_counter_bits,
)
from spec.eie.program import Program, Segment
from tests.hw.streams import simulate

MOST_CYCLES = 3000
"""Longer than any run of these tests: what takes longer hangs."""


class Ended(NamedTuple):
    """How a run ended."""

    cycles: int
    error: int


class ArrayBench:
    """An array, and what a testbench does with it, always from clock edge to clock edge."""

    def __init__(self, config: EieConfig):
        self.config = config
        self.array = EieArray(config)
        self.domain = ClockDomain("sync")

    def simulate(self, *testbenches: Callable[[Any], Awaitable]) -> list:
        """Run testbenches that begin in I/O mode."""

        async def begin(ctx) -> Any:
            await self.idle(ctx)
            return await testbenches[0](ctx)

        return simulate(self.array, begin, *testbenches[1:], limit=200_000, domain=self.domain)

    # The host's streams -----------------------------------------------------------------------

    async def write(self, ctx, memory: Memory, pe, address, data) -> None:
        """Write words; the arguments broadcast."""
        port = self.array.write
        payload = Value.cast(port.payload)
        ctx.set(port.valid, 1)
        for low, high in pack_writes(self.config, memory, pe, address, data):
            ctx.set(payload, int(low) | int(high) << 64)
            ready = False
            while not ready:
                _, _, ready = await ctx.tick().sample(port.ready)
        ctx.set(port.valid, 0)

    async def read(self, ctx, memory: Memory, pe, address) -> np.ndarray:
        """Read words as int64; the shape is what the arguments broadcast to."""
        port, data = self.array.read, self.array.data
        requests = [int(request) for request in pack_reads(self.config, memory, pe, address)]
        asked, words = 0, []
        cycle = ctx.tick().sample(port.ready, data.valid, data.payload)
        ctx.set(data.ready, 1)
        while len(words) < len(requests):
            ctx.set(port.valid, asked < len(requests))
            ctx.set(Value.cast(port.payload), requests[min(asked, len(requests) - 1)])
            _, _, ready, valid, word = await cycle
            asked += ready and asked < len(requests)
            words += [word] * valid
        ctx.set(port.valid, 0)
        ctx.set(data.ready, 0)
        shape = np.broadcast_shapes(np.shape(pe), np.shape(address))
        return np.array(words, np.uint64).astype(np.int64).reshape(shape)

    # What the host does -----------------------------------------------------------------------

    async def load(self, ctx, segment: Segment, loaded: Segment | None = None) -> None:
        """Write all memories that are not those of the segment that is loaded; arm the array."""
        config, pes = self.config, np.arange(self.config.pes)[:, None]
        for memory, name in (
            (Memory.BIASES, "biases"),
            (Memory.POINTERS, "pointers"),
            (Memory.LINES, "lines"),
        ):
            words = getattr(segment, name)
            if words is not getattr(loaded, name, None):
                await self.write(ctx, memory, pes, np.arange(words.shape[1]), words)
        if segment.codebooks is not getattr(loaded, "codebooks", None):
            books, codes = segment.codebooks.shape
            address = np.arange(books)[:, None] << config.code_bits | np.arange(codes)
            words = segment.codebooks.ravel()
            await self.write(ctx, Memory.CODEBOOK, pes, address.ravel(), words)
        for number, step in enumerate(segment.passes):
            words = np.array(step.descriptor.pack(config), np.uint64)
            address = number << descriptor_word_bits(config) | np.arange(len(words))
            await self.write(ctx, Memory.DESCRIPTORS, 0, address, words)
        await self.arm(ctx, segment)

    async def arm(self, ctx, segment: Segment) -> None:
        await self.write(ctx, Memory.CONTROL, 0, 0, len(segment.passes))

    async def feed(self, ctx, acts: np.ndarray) -> None:
        """Write activations into half 0, zeros up to the end of the last row."""
        pes = self.config.pes
        rows = np.zeros(-(-len(acts) // pes) * pes, np.int64)
        rows[: len(acts)] = acts
        words = rows.reshape(-1, pes).T
        places = np.arange(pes)[:, None]
        await self.write(ctx, Memory.ACTIVATIONS, places, np.arange(words.shape[1]), words)

    async def fetch(self, ctx, segment: Segment, count: int) -> np.ndarray:
        """Read the first activations of the half that the last drain wrote."""
        config = self.config
        index = np.arange(count)
        address = segment.final_half << config.act_row_bits | index // config.pes
        words = await self.read(ctx, Memory.ACTIVATIONS, index % config.pes, address)
        unused = 64 - config.act_bits
        return words << unused >> unused

    async def counters(self, ctx, passes: int) -> tuple[np.ndarray, np.ndarray]:
        """Of all passes: shape (passes, pes, PE_COUNTERS) and (passes, ARRAY_COUNTERS)."""
        number, pes = np.arange(passes), np.arange(self.config.pes)[None, :, None]
        address = (number << pe_counter_bits())[:, None, None] | np.arange(len(PE_COUNTERS))
        in_pe = await self.read(ctx, Memory.COUNTERS, pes, address)
        address = (number << array_counter_bits())[:, None] | np.arange(len(ARRAY_COUNTERS))
        return in_pe, await self.read(ctx, Memory.CONTROL, 0, address)

    # Running ----------------------------------------------------------------------------------

    async def start(self, ctx) -> None:
        """A pulse of one cycle."""
        ctx.set(self.array.start, 1)
        await ctx.tick()
        ctx.set(self.array.start, 0)

    async def idle(self, ctx) -> Ended:
        """Wait for I/O mode; fails if it does not come."""
        cycles = 0
        while ctx.get(self.array.busy):
            await ctx.tick()
            cycles += 1
            assert cycles < MOST_CYCLES, "the array hangs"
        return Ended(cycles, ctx.get(self.array.error))

    async def run(self, ctx, starts: tuple[int, ...] = ()) -> Ended:
        """Start and wait; ``starts`` are cycles of the run with another start."""
        await self.start(ctx)
        for cycle in range(max(starts, default=-1) + 1):
            ctx.set(self.array.start, cycle in starts)
            await ctx.tick()
            ctx.set(self.array.start, 0)
        cycles, error = await self.idle(ctx)
        return Ended(cycles + max(starts, default=-1) + 1, error)

    async def reset(self, ctx) -> None:
        """A pulse of one cycle; then wait for I/O mode."""
        ctx.set(self.domain.rst, 1)
        await ctx.tick()
        ctx.set(self.domain.rst, 0)
        await self.idle(ctx)


class Job:
    """A program of one segment, one vector for it, and what must come of them."""

    def __init__(self, program: Program, acts: np.ndarray):
        self.program = program
        self.segment = program.segments[0]
        self.acts = acts
        outputs, counts = GoldenModel(program).run(acts[None])
        self.outputs = outputs[0].tolist()
        self.in_pe = [count.pe[0].tolist() for count in counts]
        self.in_array = [count.array[0].tolist() for count in counts]

    @property
    def cycles(self) -> int:
        return sum(counts[ARRAY_COUNTERS.index("cycles")] for counts in self.in_array)

    async def assert_right(
        self, bench: ArrayBench, ctx, error: int = 0, counters: bool = True, **run: Any
    ) -> None:
        """Feed, run, and compare outputs, cycles, error and all counters with the models."""
        await bench.feed(ctx, self.acts)
        assert await bench.run(ctx, **run) == Ended(self.cycles, error)
        assert (await bench.fetch(ctx, self.segment, len(self.outputs))).tolist() == self.outputs
        if not counters:
            return
        in_pe, in_array = await bench.counters(ctx, len(self.segment.passes))
        assert in_array.tolist() == self.in_array
        assert in_pe.tolist() == self.in_pe
