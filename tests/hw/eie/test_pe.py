"""Processing element: columns in; the golden model's sums, then its activations, inside."""

import numpy as np
import pytest

from hw.eie import pe as pe_module
from hw.eie.pe import ProcessingElement
from spec.eie.config import EieConfig, preset
from spec.eie.counters import PE_COUNTERS
from spec.eie.cycles import DRAIN_CYCLES, MAC_CYCLES
from spec.eie.golden import decode_pass
from spec.eie.iomap import Memory
from spec.eie.program import Pass, Program, Segment
from spec.numbers import requantize
from tests.hw.streams import Pace, keep_made, paces, recorder, simulate, steady
from tests.programs import random_acts, random_program

pytestmark = pytest.mark.unit

CONFIGS = {
    "ahead": {},
    "published": {"ahead_depth": 0, "queue_spare": True, "run_bits": 2},
    "smallest": {"queue_depth": 1, "ahead_depth": 1, "run_bits": 1, "line_bits": 8, "code_bits": 2},
}


def config_of(name: str) -> EieConfig:
    return preset("tiny", pes=3, rows=16, **CONFIGS[name])


class Bench:
    """One PE of a layer: loads it, plays central control and the scan, and reads the results."""

    def __init__(self, program: Program, number: int, macs: list):
        self.config = program.config
        self.segment: Segment = program.segments[0]
        self.step: Pass = self.segment.passes[0]
        self.number = number
        self.macs = macs
        self.dut = ProcessingElement(self.config)
        self.written: list[tuple] = []

    async def write(self, ctx, memory: Memory, words: np.ndarray) -> None:
        host = self.dut.host
        ctx.set(host.write_enable, 1)
        ctx.set(host.memory, memory)
        for address, word in enumerate(words):
            ctx.set(host.address, address)
            ctx.set(host.data, int(word))
            await ctx.tick()
        ctx.set(host.write_enable, 0)

    async def read(self, ctx, memory: Memory, address: int) -> int:
        host = self.dut.host
        ctx.set(host.memory, memory)
        ctx.set(host.address, address)
        ctx.set(host.read_enable, 1)
        await ctx.tick()
        ctx.set(host.read_enable, 0)
        _, _, answer = await ctx.tick().sample(host.answer)
        assert ctx.get(host.answer) == 0, "a PE that was not asked answers zero"
        return answer

    async def load(self, ctx) -> None:
        segment, mask = self.segment, (1 << 64) - 1
        books = segment.codebooks.ravel().astype(object) & mask
        await self.write(ctx, Memory.CODEBOOK, books)
        await self.write(ctx, Memory.BIASES, segment.biases[self.number].astype(object) & mask)
        await self.write(ctx, Memory.POINTERS, segment.pointers[self.number])
        await self.write(ctx, Memory.LINES, segment.lines[self.number])
        for name in self.dut.settings.shape().members:
            value = int(getattr(self.step.descriptor, name))
            ctx.set(getattr(self.dut.settings, name), value)

    async def compute(self, ctx, acts: np.ndarray, pace: Pace) -> int:
        """Broadcast the non-zero activations, wait until the PE is idle; gives the cycles."""
        dut, cycles = self.dut, 0
        base = self.step.descriptor.pointer_base
        ctx.set(dut.phase.computing, 1)
        ctx.set(dut.phase.scanning, 1)
        for column in np.flatnonzero(acts):
            payload = {"pointer": base + int(column), "value": int(acts[column])}
            ctx.set(dut.broadcast.payload, payload)
            sent = False
            while not sent:
                # The scan offers, but another PE's full queue may keep it from sending.
                willing = pace()
                ctx.set(dut.offered, 1)
                ctx.set(dut.broadcast.valid, willing and ctx.get(dut.broadcast.ready))
                _, _, sent = await ctx.tick().sample(dut.broadcast.valid)
                cycles += 1
            ctx.set(dut.broadcast.valid, 0)
            ctx.set(dut.offered, 0)
        ctx.set(dut.phase.scanning, 0)
        idle = False
        while not idle:
            _, _, idle, *errors = await ctx.tick().sample(
                dut.idle, dut.row_error, dut.pointer_error
            )
            assert not any(errors)
            cycles += 1
        ctx.set(dut.phase.computing, 0)
        return cycles

    async def drain(self, ctx) -> None:
        step, order = self.step.descriptor, self.dut.drain
        for cycle in range(step.rows + DRAIN_CYCLES):
            stored = cycle - DRAIN_CYCLES
            ctx.set(order.enable, cycle < step.rows)
            ctx.set(order.clear, cycle < step.rows)
            ctx.set(order.row, cycle % self.config.rows)
            ctx.set(order.bias_address, (step.bias_base + cycle) % self.config.biases)
            ctx.set(order.store_enable, stored >= 0)
            ctx.set(order.store_address, 1 << self.config.act_row_bits | max(stored, 0))
            await ctx.tick()
        ctx.set(order.store_enable, 0)

    async def counters(self, ctx) -> dict[str, int]:
        ctx.set(self.dut.phase.save, 1)
        await ctx.tick()
        ctx.set(self.dut.phase.save, 0)
        return {
            name: await self.read(ctx, Memory.COUNTERS, index)
            for index, name in enumerate(PE_COUNTERS)
        }

    async def record(self, ctx) -> None:
        """Every write of a sum."""
        write = self.macs[-1].write
        await recorder(self.written, write.enable, write.address, write.data)(ctx)


@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_layer(
    name: str, density: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several vectors, one after another: sums, activations, and what was counted on the way."""
    config = config_of(name)
    program = random_program(rng, config, [20, 40], density=density, long_runs=0.1)
    macs = keep_made(monkeypatch, pe_module, "Mac")
    number = int(rng.integers(config.pes))
    bench = Bench(program, number, macs)
    step = bench.step.descriptor
    decoded = decode_pass(config, bench.segment, bench.step)
    batch = random_acts(rng, config, 4, 20, density=0.6)

    async def testbench(ctx) -> None:
        await bench.load(ctx)
        for acts, (pace, _) in zip(batch, paces(rng)[1:], strict=False):
            bench.written.clear()
            cycles = await bench.compute(ctx, acts, pace)
            active = np.flatnonzero(acts)
            sums = decoded.multiply(acts, active, step.rows * config.pes)[number :: config.pes]
            found = np.zeros_like(sums)
            for on, row, total in bench.written:
                if on:
                    found[row] = total
            assert found.tolist() == sums.tolist()

            await bench.drain(ctx)
            base = step.bias_base
            biases = bench.segment.biases[number, base : base + step.rows]
            scale = (step.multiplier, step.shift)
            model = requantize(sums, biases, *scale, act_bits=config.act_bits, relu=step.relu)
            for row, wanted in enumerate(model.tolist()):
                address = 1 << config.act_row_bits | row
                word = await bench.read(ctx, Memory.ACTIVATIONS, address)
                assert word == wanted & (1 << config.act_bits) - 1, row

            counts = await bench.counters(ctx)
            entries, pads = (int(n[active, number].sum()) for n in (decoded.entries, decoded.pads))
            assert (counts["busy"], counts["pads"]) == (entries - pads, pads)
            # Every cycle is counted under one name; blocking is a cause, not a state.
            assert sum(counts.values()) - counts["blocking"] == cycles

    simulate(bench.dut, testbench, background=[bench.record])


@pytest.mark.parametrize("name", CONFIGS)
def test_latency(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a column on ``broadcast`` to its first sum; idle rises behind the last."""
    config = config_of(name)
    program = random_program(rng, config, [1, 40], density=1.0)
    macs = keep_made(monkeypatch, pe_module, "Mac")
    bench = Bench(program, 0, macs)
    entries = int(decode_pass(config, bench.segment, bench.step).entries[0, 0])

    async def testbench(ctx) -> int:
        await bench.load(ctx)
        bench.written.clear()
        return await bench.compute(ctx, np.array([1]), steady)

    (cycles,) = simulate(bench.dut, testbench, background=[bench.record])
    latency = bench.dut.latency
    # The recorder also saw the last cycle of loading.
    writes = [cycle - 1 for cycle, (on, *_) in enumerate(bench.written) if on]
    assert writes == list(range(latency, latency + entries))
    assert cycles == writes[-1] + 2
    assert latency == 1 + 1 + bool(config.ahead_depth) + 1 + MAC_CYCLES


def test_answers_only_what_it_keeps(rng: np.random.Generator) -> None:
    """Activations of both halves and counters can be read; all else reads as zero."""
    config = config_of("ahead")
    program = random_program(rng, config, [6, 6], density=1.0)
    bench = Bench(program, 0, [])
    size = 2 << config.act_row_bits
    acts = rng.integers(0, 1 << config.act_bits, size)

    async def testbench(ctx) -> None:
        await bench.load(ctx)
        await bench.write(ctx, Memory.ACTIVATIONS, acts)
        for address in range(size):
            assert await bench.read(ctx, Memory.ACTIVATIONS, address) == acts[address]
        for memory in set(Memory) - {Memory.ACTIVATIONS, Memory.COUNTERS}:
            assert await bench.read(ctx, memory, 0) == 0

    simulate(bench.dut, testbench)
