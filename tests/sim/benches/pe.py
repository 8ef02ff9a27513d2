"""Bench of a whole PE: memories loaded, columns streamed, sums drained, every counter compared."""

from typing import Any

import cocotb
import numpy as np

from spec.eie.cycles import MAC_CYCLES
from spec.eie.iomap import Memory
from tests.hw.streams import Pace, ragged, steady
from tests.sim.benches.jobs import Job, read_jobs
from tests.sim.benches.pe_bench import Order, PeBench, Share


def orders(share: Share, bias_base: int, half: int, *, clear: bool) -> list[Order]:
    """All rows of the pass, to be stored from the first address of a half on."""
    store_base = half << share.config.act_row_bits
    return [
        Order(row, bias_base + row, store_base + row, clear) for row in range(share.descriptor.rows)
    ]


async def assert_sums(bench: PeBench, share: Share, acts: np.ndarray) -> None:
    """Compare all bits of the sums: with a bias that cancels the right one, the output is zero.

    The sums stay as they are.
    """
    rows, config = share.descriptor.rows, share.config
    spare = config.biases - rows
    assert share.segment.biases.shape[1] <= spare
    await bench.write(Memory.BIASES, (-share.sums(acts)).tolist(), spare)
    bench.configure(share, multiplier=1, shift=0, relu=0)
    await bench.drain(orders(share, spare, 0, clear=False))
    for row in range(rows):
        assert await bench.read(Memory.ACTIVATIONS, row) == 0, f"sum of row {row}"


async def assert_drains(bench: PeBench, share: Share, acts: np.ndarray, pace: Pace) -> None:
    """Drain, and compare the activations. The sums are zero afterwards."""
    half = int(bench.rng.integers(2))
    bench.configure(share)
    await bench.drain(orders(share, share.descriptor.bias_base, half, clear=True), pace)
    for row, wanted in enumerate(share.outputs(acts)):
        word = await bench.read(Memory.ACTIVATIONS, half << share.config.act_row_bits | row)
        assert word == wanted, f"output of row {row}"


async def assert_right(bench: PeBench, share: Share, acts: np.ndarray, pace: Pace) -> None:
    """Run one vector through: sums, activations and counters."""
    bench.configure(share)
    columns = share.columns(acts)
    cycles = await bench.compute(columns, pace)
    blocked = bench.blocked
    await assert_sums(bench, share, acts)
    await assert_drains(bench, share, acts, pace)

    counts = await bench.counters(int(bench.rng.integers(share.config.layers)))
    if pace is steady:
        assert counts == share.counts(acts)
    entries, pads = (int(part.sum()) for part in share.entries(acts))
    assert (counts["busy"], counts["pads"]) == (entries - pads, pads)
    assert counts["blocking"] == blocked
    # Every cycle is counted under one name; blocking is a cause, not a state.
    assert sum(counts.values()) - blocked == cycles


def shares(job: Job, bench: PeBench) -> list[Share]:
    """What two of the PEs have of a job."""
    pes = job.program.config.pes
    return [Share(job, int(pe)) for pe in bench.rng.choice(pes, min(pes, 2), replace=False)]


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged"])
async def layers(dut: Any, traffic: str) -> None:
    """Vectors one after another: the sums begin at what the drain before has left, at zero."""
    bench = PeBench(dut)
    await bench.pulse("rst")
    for job in read_jobs():
        for share in shares(job, bench):
            dut._log.info("%s, PE %d", job.name, share.pe)
            await bench.load(share, ragged(bench.rng) if traffic == "ragged" else steady)
            await bench.clear(share.config)
            for acts in job.batch:
                willing = float(bench.rng.choice([0.2, 0.5, 0.9]))
                pace = ragged(bench.rng, willing) if traffic == "ragged" else steady
                await assert_right(bench, share, acts, pace)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def resets(dut: Any) -> None:
    """In any cycle of computing; with the sums cleared, the next run is right in every count."""
    bench = PeBench(dut)
    for job in read_jobs():
        (share, *_), acts = shares(job, bench), job.batch[-1]
        await bench.load(share)
        await bench.clear(share.config)
        longest = sum(share.counts(acts).values())
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
