"""Bench of the N:M array: layers of all modes one behind the other, compared with the models."""

from typing import Any

import cocotb

from spec.nm.counters import CAUSES
from spec.nm.iomap import Error
from tests.hw.nm.machine import Job
from tests.sim.benches.nm_host import RAGGED, STEADY, NmHost
from tests.sim.benches.nm_jobs import read_layers

TRAFFIC = {
    "steady": STEADY,
    "late_words": frozenset({"i"}),
    "late_results": frozenset({"o"}),
    "ragged": RAGGED,
}


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(traffic=list(TRAFFIC))
async def every_layer(dut: Any, traffic: str) -> None:
    """In the given order, and once more in another: what one mode leaves behind, no other sees."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    assert_all_counted(jobs)
    await host.reset()
    host.ragged_sides = TRAFFIC[traffic]
    for number in [*range(len(jobs)), *host.rng.permutation(len(jobs))]:
        dut._log.info("layer %d", number)
        await host.assert_right(jobs[number])


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def requests_during_a_run(dut: Any) -> None:
    """The next descriptor and reads of counters are offered all the time: they wait for the end, do
    not disturb, and what they find is of the run that has ended."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    await host.describe(jobs[0].descriptor)
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        await host.start()
        tasks = host.serve(job.words)
        reads = cocotb.start_soon(host.counters())
        writes = cocotb.start_soon(host.describe(following.descriptor))
        cycles = await host.finish()
        counts = await reads
        await writes
        ran = await host.ran(cycles, tasks)
        assert ran.counts == counts
        job.assert_right(ran)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def run_behind_run(dut: Any) -> None:
    """The same descriptor again, started in the first cycle in which that is possible."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    for job in jobs:
        await host.describe(job.descriptor)
        for _ in range(2):
            await host.start()
            tasks = host.serve(job.words)
            cycles = 0
            while cycles < job.counts.of("cycles"):
                await host.edge
                cycles += 1
            for task in tasks:
                task.cancel()
        assert int(dut.error.value) == Error.NONE
        job.assert_right(await host.ran(cycles, []))


def assert_all_counted(jobs: list[Job]) -> None:
    """Fail if a cause of cycles would be zero in all runs: nothing would have been tested."""
    for cause in CAUSES:
        assert any(job.counts.of(cause) for job in jobs), f"no layer makes {cause} count"
    assert len({job.descriptor.mode for job in jobs}) == len(jobs[0].program.config.modes)
    assert max(job.descriptor.blocks for job in jobs) > 1
    assert max(job.descriptor.parts for job in jobs) > 1
