"""Bench of the N:M array: a reset at any moment, and a correct run behind it."""

from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.task import Task

from tests.hw.nm.machine import Job
from tests.sim.benches.nm_host import RAGGED, STEADY, NmHost
from tests.sim.benches.nm_jobs import read_layers, sections_of

SECTIONS = ("header", "parameters", "values", "places", "offsets", "lines")


async def stop_and_go(
    host: NmHost, following: Job, tasks: Sequence[Task], *, busy: bool = True
) -> None:
    """Reset in this cycle, with all streams as they are; then run another layer."""
    host.dut.rst.value = 1
    await host.edge
    assert bool(int(host.dut.busy.value)) == busy
    for task in tasks:
        task.cancel()
    await host.reset()
    await host.assert_right(following)


def moments_of(host: NmHost, job: Job) -> list[tuple[str, int]]:
    """For each kind of section, numbers of words in the first, in the last and in any."""
    moments = []
    for name in SECTIONS:
        found = [one for one in sections_of(job) if one.name == name]
        if found:
            picked = found[0], found[-1], found[host.rng.integers(len(found))]
            moments += [(name, one.first + int(host.rng.integers(one.count))) for one in picked]
    return moments


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged"])
async def while_loading(dut: Any, traffic: str) -> None:
    """In every section of a strip and in lines; the next layer is of another mode."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    seen = set()
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        for name, count in moments_of(host, job):
            host.ragged_sides = RAGGED if traffic == "ragged" else STEADY
            await host.describe(job.descriptor)
            await host.start()
            tasks = host.serve(job.words)
            await host.moved(host.i, count)
            await stop_and_go(host, following, tasks)
            seen.add(name)
    assert seen >= {"header", "parameters", "values", "lines"}


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged"])
async def while_results_leave(dut: Any, traffic: str) -> None:
    """Between the first result and the last one."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        most = job.counts.of("results") - 1
        for count in (min(1, most), *host.rng.integers(0, most + 1, 3).tolist(), most):
            host.ragged_sides = RAGGED if traffic == "ragged" else STEADY
            await host.describe(job.descriptor)
            await host.start()
            tasks = host.serve(job.words)
            await host.moved(host.o, count)
            await stop_and_go(host, following, tasks)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def in_any_cycle(dut: Any) -> None:
    """The first ones, the last ones, any other."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        last = job.counts.of("cycles") - 1
        for cycle in (0, 1, 2, *host.rng.integers(3, last, 5).tolist(), last - 1, last):
            await host.describe(job.descriptor)
            await host.start()
            tasks = host.serve(job.words)
            await host.cycles(cycle)
            await stop_and_go(host, following, tasks)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def while_the_host_asks(dut: Any) -> None:
    """Behind a run, with reads or writes on their way: no answer of theirs comes later."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        for cycles in range(6):
            await host.assert_right(job)
            asks = [
                cocotb.start_soon(host.counters()),
                cocotb.start_soon(host.describe(job.descriptor)),
            ]
            await host.cycles(cycles)
            await stop_and_go(host, following, asks, busy=False)
