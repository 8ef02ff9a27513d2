"""Bench of a whole PE: memories loaded, columns streamed, sums drained, every counter compared."""

from typing import Any

import cocotb
import numpy as np

from spec.eie.cycles import MAC_CYCLES
from spec.eie.iomap import Memory
from tests.hw.streams import Pace, ragged, steady
from tests.sim.benches.jobs import Job, groups, read_jobs
from tests.sim.benches.pe_bench import Order, PeBench, Share

STATES = ("busy", "pads", "empty", "starved", "imbalance")
"""Counters of which each cycle counts in exactly one."""


def orders(share: Share, half: int) -> list[Order]:
    """All rows of the pass, to be stored from the first address of a half on."""
    base = half << share.config.act_row_bits
    rows = range(share.descriptor.rows)
    return [Order(row, share.bias_address(row), base + row, clear=True) for row in rows]


def act_address(share: Share, lane: int, half: int, row: int) -> int:
    return (lane * 2 + half) << share.config.act_row_bits | row


async def assert_sums(bench: PeBench, share: Share, acts: np.ndarray) -> None:
    """Compare all bits of the sums: with a bias that cancels the right one, the output is zero.

    The sums stay as they are.
    """
    rows, config = share.descriptor.rows, share.config
    spare = config.biases - rows
    assert share.segment.biases.shape[1] <= spare
    bench.configure(share, multiplier=1, shift=0, relu=0)
    for lane, sums in enumerate(share.sums(acts)):
        await bench.write(Memory.BIASES, (-sums).tolist(), spare)
        await bench.drain([Order(row, spare + row, row, clear=False) for row in range(rows)])
        for row in range(rows):
            word = await bench.read(Memory.ACTIVATIONS, act_address(share, lane, 0, row))
            assert word == 0, f"sum of row {row} in lane {lane}"


async def assert_drains(bench: PeBench, share: Share, acts: np.ndarray, pace: Pace) -> None:
    """Drain, and compare the activations. The sums are zero afterwards."""
    half = int(bench.rng.integers(2))
    bench.configure(share)
    await bench.drain(orders(share, half), pace)
    for lane, outputs in enumerate(share.outputs(acts)):
        for row, wanted in enumerate(outputs):
            word = await bench.read(Memory.ACTIVATIONS, act_address(share, lane, half, row))
            assert word == wanted, f"output of row {row} in lane {lane}"


async def assert_right(bench: PeBench, share: Share, acts: np.ndarray, pace: Pace) -> None:
    """Run one vector per lane through: sums, activations and counters."""
    number = int(bench.rng.integers(share.config.layers))
    bench.configure(share, number)
    columns = share.columns(acts)
    cycles = await bench.compute(columns, pace)
    blocked = bench.blocked
    await assert_sums(bench, share, acts)
    await assert_drains(bench, share, acts, pace)

    counts = await bench.counters(number)
    told = share.counts(acts)
    if pace is steady:
        assert counts == told
    for name in ("busy", "pads", "lines", "gated"):
        assert counts[name] == told[name], name
    assert counts["blocking"] == blocked
    assert sum(counts[name] for name in STATES) == cycles


def shares(job: Job, bench: PeBench) -> list[Share]:
    """What two of the PEs have of a job."""
    pes = job.program.config.pes
    return [Share(job, int(pe)) for pe in bench.rng.choice(pes, min(pes, 2), replace=False)]


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged"])
async def layers(dut: Any, traffic: str) -> None:
    """Vectors one after another: the sums begin at what the drain before has left, at zero."""
    jobs = read_jobs()
    bench = PeBench(dut, jobs[0].program.config)
    await bench.pulse("rst")
    for job in jobs:
        for share in shares(job, bench):
            dut._log.info("%s, PE %d", job.name, share.pe)
            await bench.load(share, ragged(bench.rng) if traffic == "ragged" else steady)
            await bench.clear(share.config)
            for acts in groups(job):
                willing = float(bench.rng.choice([0.2, 0.5, 0.9]))
                pace = ragged(bench.rng, willing) if traffic == "ragged" else steady
                await assert_right(bench, share, acts, pace)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def resets(dut: Any) -> None:
    """In any cycle of computing; with the sums cleared, the next run is right in every count."""
    jobs = read_jobs()
    bench = PeBench(dut, jobs[0].program.config)
    for job in jobs:
        (share, *_), acts = shares(job, bench), groups(job)[-1]
        await bench.load(share)
        await bench.clear(share.config)
        longest = sum(share.counts(acts)[name] for name in STATES)
        for _ in range(4):
            bench.configure(share)
            run = cocotb.start_soon(bench.compute(share.columns(acts)))
            await bench.cycles(int(bench.rng.integers(1, max(2, longest - MAC_CYCLES))))
            run.cancel()
            bench.stop()
            await bench.pulse("rst", int(bench.rng.integers(1, 3)))
            await bench.edge
            assert int(dut.idle.value), "something is under way after reset"
            await bench.clear(share.config)
            await assert_right(bench, share, acts, steady)
