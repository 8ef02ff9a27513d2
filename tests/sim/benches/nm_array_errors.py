"""Bench of the N:M array: mistakes set an error code and never hang, and the next run is right."""

from dataclasses import fields, replace
from typing import Any

import cocotb

from spec.nm.config import HEADER_BITS
from spec.nm.descriptor import Descriptor, descriptor_fields
from spec.nm.iomap import Error
from tests.hw.nm.machine import Job
from tests.sim.benches.nm_host import RAGGED, NmHost
from tests.sim.benches.nm_jobs import headers_of, read_layers

COUNTS = ("strips", "input_lines", "tiles", "block_tiles", "parts")
"""Fields of a descriptor of which none may be zero."""


def impossible(job: Job) -> list[Descriptor]:
    """Descriptors that no array of this configuration could run."""
    config, right = job.program.config, job.descriptor
    assert {one.name for one in fields(Descriptor)} >= set(COUNTS)
    wrong = [replace(right, **{name: 0}) for name in COUNTS]
    wrong += [
        replace(right, mode=mode)
        for mode in range(len(config.modes), 1 << descriptor_fields(config)["mode"])
    ]
    if not config.gather_lines:
        wrong.append(replace(right, gather=True))
    wrong.append(replace(right, parts=2, block_tiles=2))
    return wrong


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def impossible_descriptors(dut: Any) -> None:
    """Each is refused after a look, twice in a row; nothing is taken, and the next run is right."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    for number, descriptor in enumerate(impossible(jobs[0])):
        job = jobs[number % len(jobs)]
        for _ in range(2):
            ran = await host.run(descriptor, job.words)
            assert (ran.error, ran.cycles, ran.taken) == (Error.DESCRIPTOR, 1, 0), descriptor
            assert ran.results == []
            assert ran.counts["cycles"] == ran.counts["control"] == 1
        await host.assert_right(job)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def start_behind_a_reset(dut: Any) -> None:
    """The descriptor is gone: the start is refused until there is one."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    for job in jobs:
        await host.reset()
        await host.start()
        assert await host.finish() == 1
        assert int(dut.error.value) == Error.DESCRIPTOR
        await host.assert_right(job)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def start_while_busy(dut: Any) -> None:
    """Noted in any cycle of a run, which is not disturbed; the next start forgets it."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    for job in jobs:
        last = job.counts.of("cycles") - 1
        for cycle in (0, 1, *host.rng.integers(2, last, 4).tolist(), last):
            await host.describe(job.descriptor)
            await host.start()
            tasks = host.serve(job.words)
            second = cocotb.start_soon(start_in(host, cycle))
            cycles = await host.finish()
            await second
            ran = await host.ran(cycles, tasks)
            assert ran.error == Error.BUSY, f"start in cycle {cycle}"
            job.assert_right(replace(ran, error=Error.NONE))
        await host.assert_right(job)


async def start_in(host: NmHost, cycle: int) -> None:
    """Another start, in a cycle of the run counted from 0."""
    await host.cycles(cycle)
    await host.pulse("start")


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged"])
async def strips_that_fit_no_bank(dut: Any, traffic: str) -> None:
    """Any strip of a run: none is taken behind its header, and a start while busy is outdone. The
    next run, of another layer, is right."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    longest = host.config.weight_steps
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        headers = headers_of(job)
        for steps in (0, longest + 1, (1 << HEADER_BITS) - 1):
            if traffic == "ragged":
                host.ragged_sides = RAGGED
            at = int(host.rng.choice([headers[0], headers[-1], *headers]))
            await host.describe(job.descriptor)
            await host.start()
            tasks = host.serve(with_steps(job, at, steps))
            await host.pulse("start")
            cycles = 1 + await host.finish()
            ran = await host.ran(cycles, tasks)
            assert (ran.error, ran.taken) == (Error.STRIP, at + 1)
            assert ran.counts["loads"] == at + 1
            assert ran.counts["cycles"] == cycles
            await host.assert_right(following)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def start_right_behind_an_error(dut: Any) -> None:
    """Steps and rows of the failed run are on their way everywhere: none gets into the next."""
    jobs = read_layers()
    host = NmHost(dut, jobs[0].program.config)
    await host.reset()
    for job in jobs:
        for at in headers_of(job):
            await host.describe(job.descriptor)
            await host.start()
            tasks = host.serve(with_steps(job, at, 0))
            await host.moved(host.i, at + 1)
            for task in tasks:
                task.cancel()
            # The error is there, and this is the first cycle in which the array is not busy.
            await host.start()
            tasks = host.serve(job.words)
            cycles = await host.finish()
            job.assert_right(await host.ran(cycles, tasks))


def with_steps(job: Job, at: int, steps: int) -> list[int]:
    """A layer's words, with the steps in one header changed."""
    words = list(job.words)
    words[at] = words[at] >> HEADER_BITS << HEADER_BITS | steps
    return words
