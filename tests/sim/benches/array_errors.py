"""Bench of the array: mistakes set an error code and never hang, and the next run is right."""

from typing import Any

import cocotb
import numpy as np

from spec.eie.iomap import Error, Memory
from tests.sim.benches.array_host import ArrayHost, Ended, Expected
from tests.sim.benches.jobs import Job, read_jobs
from tests.sim.benches.requests import arming, feeding, loading, packed


def split(jobs: list[Job]) -> tuple[Job, list[Job]]:
    """The first job, which is right, and those that end with an error."""
    right, *rest = jobs
    assert right.error == Error.NONE
    return right, [job for job in rest if job.error != Error.NONE]


async def assert_right(host: ArrayHost, expected: Expected, acts: np.ndarray) -> None:
    """Run what is loaded."""
    await host.tell(feeding(host.config, acts))
    expected.check(0, *await host.run_segment(expected.job.program.segments[0]))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def start_before_an_image(dut: Any) -> None:
    """Refused, also when all but the number of passes has been written; the next start is taken."""
    right, _ = split(read_jobs())
    host = ArrayHost(dut, right.program.config)
    segment = right.program.segments[0]
    await host.reset()
    assert await host.run() == Ended(0, Error.NO_IMAGE)
    await host.tell(loading(host.config, segment)[:-1])
    for _ in range(3):
        assert await host.run() == Ended(0, Error.NO_IMAGE)
    await host.tell(arming(host.config, len(segment.passes)))
    await assert_right(host, Expected(right), right.batch[0])


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def start_while_busy(dut: Any) -> None:
    """Noted in any cycle of a run, which is not disturbed; the next start forgets it."""
    right, _ = split(read_jobs())
    host = ArrayHost(dut, right.program.config)
    segment, expected = right.program.segments[0], Expected(right)
    await host.reset()
    await host.tell(loading(host.config, segment))
    last = expected.cycles(0) - 1
    for moment in (0, 1, *host.rng.integers(2, last, 6), last):
        await host.tell(feeding(host.config, right.batch[0]))
        await host.pulse("start")
        second = cocotb.start_soon(start_in(host, int(moment)))
        ended = await host.idle()
        await second
        assert ended == Ended(expected.cycles(0), Error.BUSY), f"start in cycle {moment}"
        await assert_right(host, expected, right.batch[0])


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def start_while_clearing(dut: Any) -> None:
    """Noted in any cycle of it; the accumulators are all zero nonetheless."""
    right, _ = split(read_jobs())
    host = ArrayHost(dut, right.program.config)
    segment, expected = right.program.segments[0], Expected(right)
    await host.reset()
    for moment in (0, *host.rng.integers(1, host.config.rows - 1, 3), host.config.rows - 1):
        await host.tell(loading(host.config, segment) + feeding(host.config, right.batch[0]))
        await host.pulse("start")
        await host.cycles(int(host.rng.integers(expected.cycles(0) - 1)))
        await host.pulse("rst")
        second = cocotb.start_soon(start_in(host, int(moment)))
        assert await host.idle() == Ended(host.config.rows, Error.BUSY)
        await second
        await host.tell(arming(host.config, len(segment.passes)))
        await assert_right(host, expected, right.batch[0])


async def start_in(host: ArrayHost, cycle: int) -> None:
    """Another start, in a cycle of the run counted from 0."""
    await host.cycles(cycle)
    await host.pulse("start")


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def mistakes(dut: Any) -> None:
    """Each has its code, twice in a row; what is right then runs without a reset."""
    right, wrong = split(read_jobs())
    assert {job.error for job in wrong} == {Error.COLUMN, Error.ROW, Error.POINTER}
    host = ArrayHost(dut, right.program.config)
    expected = Expected(right)
    await host.reset()
    for job in wrong:
        dut._log.info("%s", job.name)
        await host.tell(loading(host.config, job.program.segments[0]))
        for memory, *word in job.wrong:
            await host.tell(packed(host.config, Memory(memory), *word))
        for _ in range(2):
            await host.tell(feeding(host.config, job.batch[0]))
            assert (await host.run()).error == job.error, job.name
        await host.tell(loading(host.config, right.program.segments[0]))
        await assert_right(host, expected, right.batch[0])
