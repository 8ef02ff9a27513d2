"""Processing element: columns in; the golden model's sums, then its activations, inside."""

import numpy as np
import pytest

from hw.eie import lane as lane_module
from spec.eie.config import EieConfig, preset
from spec.eie.cycles import MAC_CYCLES
from spec.eie.iomap import Memory
from tests.hw.eie.pe_bench import Bench
from tests.hw.streams import keep_made, paces, simulate, steady
from tests.programs import random_acts, random_program

pytestmark = pytest.mark.unit

CONFIGS = {
    "ahead": {"pes": 3, "clusters": 1},
    "published": {
        "pes": 3,
        "clusters": 1,
        "ahead_depth": 0,
        "queue_spare": True,
        "run_bits": 2,
        "run_bits_most": 2,
        "share_pads": False,
    },
    "smallest": {
        "pes": 3,
        "clusters": 1,
        "lines": 512,
        "queue_depth": 1,
        "ahead_depth": 1,
        "run_bits": 1,
        "run_bits_most": 1,
        "line_bits": 8,
        "code_bits": 2,
    },
    "clusters": {"pes": 4, "clusters": 4, "rows": 64, "run_bits": 1},
    "lanes": {"pes": 4, "lanes": 4, "rows": 32},
}


def config_of(name: str) -> EieConfig:
    return preset("tiny", **{"rows": 16, "act_rows": 64, "biases": 64, **CONFIGS[name]})


@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_layer(
    name: str, density: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several times, one after another: sums, activations, and what was counted on the way."""
    config = config_of(name)
    split = config.splits and int(rng.integers(1, config.splits + 1))
    program = random_program(rng, config, [20, 40], density=density, long_runs=0.1, split=split)
    macs = keep_made(monkeypatch, lane_module, "Mac")
    bench = Bench(program, int(rng.integers(config.pes)), macs)
    batch = random_acts(rng, config, 4 * config.lanes, 20, density=0.6 / config.lanes)

    async def testbench(ctx) -> None:
        await bench.load(ctx)
        groups = batch.reshape(4, config.lanes, -1)
        for acts, (pace, _) in zip(groups, paces(rng)[1:], strict=False):
            bench.written.clear()
            cycles = await bench.compute(ctx, acts, pace)
            updates = bench.updates
            sums, totals = bench.sums(bench.own(acts)), bench.sums(acts)
            assert bench.last_sums().tolist() == sums.tolist()
            assert await bench.drain(ctx, totals) == sums.T.tolist()
            await bench.assert_activations(ctx, totals)

            counts = await bench.counters(ctx)
            wanted = bench.counted(acts)
            assert {name: counts[name] for name in wanted} == wanted
            assert updates == counts["busy"] * config.lanes - counts["gated"]
            # Every cycle is counted under one name.
            states = ("busy", "pads", "empty", "starved", "imbalance")
            assert sum(counts[name] for name in states) == cycles

    simulate(bench.dut, testbench, background=[bench.record])


@pytest.mark.parametrize("name", CONFIGS)
def test_latency(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a column on ``broadcast`` to its first sum; idle rises behind the last."""
    config = config_of(name)
    program = random_program(rng, config, [1, 40], density=1.0, split=0)
    bench = Bench(program, 0, keep_made(monkeypatch, lane_module, "Mac"))
    entries = int(bench.decoded.work.weights[0, 0])

    async def testbench(ctx) -> int:
        await bench.load(ctx)
        bench.written.clear()
        return await bench.compute(ctx, np.ones((config.lanes, 1), np.int64), steady)

    (cycles,) = simulate(bench.dut, testbench, background=[bench.record])
    latency = bench.dut.latency
    # The recorder also saw the last cycle of loading.
    writes = [cycle - 1 for cycle, (on, *_) in enumerate(bench.written) if on]
    assert writes == list(range(latency, latency + entries))
    assert cycles == writes[-1] + 2
    assert latency == 1 + 1 + bool(config.ahead_depth) + 1 + MAC_CYCLES


@pytest.mark.parametrize("name", ["ahead", "lanes"])
def test_answers_only_what_it_keeps(name: str, rng: np.random.Generator) -> None:
    """Activations of every lane, both halves, and counters can be read; all else reads as zero."""
    config = config_of(name)
    program = random_program(rng, config, [6, 6], density=1.0)
    bench = Bench(program, 0, [])
    size = config.lanes * 2 << config.act_row_bits
    acts = rng.integers(0, 1 << config.act_bits, size)

    async def testbench(ctx) -> None:
        await bench.load(ctx)
        await bench.write(ctx, Memory.ACTIVATIONS, acts)
        for address in range(size):
            assert await bench.read(ctx, Memory.ACTIVATIONS, address) == acts[address]
        for memory in set(Memory) - {Memory.ACTIVATIONS, Memory.COUNTERS}:
            assert await bench.read(ctx, memory, 0) == 0

    simulate(bench.dut, testbench)
