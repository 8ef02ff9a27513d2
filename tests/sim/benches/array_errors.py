"""Bench of the array: mistakes set an error code and never hang, and the next run is right."""

from typing import Any

import cocotb

from spec.eie import iomap
from spec.eie.iomap import Error, Memory
from tests.sim.benches.array_host import ArrayHost, Ended, Expected
from tests.sim.benches.jobs import Job, groups, read_jobs
from tests.sim.benches.requests import arming, feeding, loading, packed


def split(jobs: list[Job]) -> tuple[Job, list[Job]]:
    """The first job, which is right, and those that end with an error."""
    right, *rest = jobs
    assert right.error == Error.NONE
    return right, [job for job in rest if job.error != Error.NONE]


async def assert_right(host: ArrayHost, expected: Expected) -> None:
    """Feed and run what is loaded."""
    ended, results = await host.run_single(expected.job.program, groups(expected.job)[0])
    expected.check_single(ended, results)
    host.check_words(results)


async def prepare(host: ArrayHost, job: Job, *, loaded: bool = False) -> None:
    """Load, feed and arm all that a job's only run needs."""
    ((segment, run),) = job.program.runs()
    await host.tell(loading(host.config, None if loaded else segment))
    await host.tell(feeding(host.config, groups(job)[0]) + arming(host.config, segment, run))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def start_before_an_image(dut: Any) -> None:
    """Refused, also when all but the passes has been written, or passes that the table does not
    hold are named; the next start is taken."""
    right, _ = split(read_jobs())
    host = ArrayHost(dut, right.program.config)
    layers = host.config.layers
    await host.reset()
    assert await host.run() == Ended(0, Error.NO_IMAGE)
    await host.tell(loading(host.config, right.program.segments[0]))
    for first, count in ((0, 0), (0, layers + 1), (layers, 1), (layers - 1, 2), (1, layers)):
        assert await host.run() == Ended(0, Error.NO_IMAGE)
        await prepare(host, right, loaded=True)
        await host.tell(packed(host.config, Memory.CONTROL, 0, 0, iomap.arming(first, count)))
        assert await host.run() == Ended(0, Error.NO_IMAGE), f"{count} passes from {first}"
    await assert_right(host, Expected(right))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def start_while_busy(dut: Any) -> None:
    """Noted in any cycle of a run, which is not disturbed; the next start forgets it."""
    right, _ = split(read_jobs())
    host = ArrayHost(dut, right.program.config)
    expected = Expected(right)
    await host.reset()
    await host.tell(loading(host.config, right.program.segments[0]))
    last = expected.cycles(0) - 1
    for moment in (0, 1, *host.rng.integers(2, last, 6), last):
        await prepare(host, right, loaded=True)
        await host.pulse("start")
        second = cocotb.start_soon(start_in(host, int(moment)))
        ended = await host.idle()
        await second
        assert ended == Ended(expected.cycles(0), Error.BUSY), f"start in cycle {moment}"
        await assert_right(host, expected)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def start_while_clearing(dut: Any) -> None:
    """Noted in any cycle of it; the accumulators are all zero nonetheless."""
    right, _ = split(read_jobs())
    host = ArrayHost(dut, right.program.config)
    expected = Expected(right)
    await host.reset()
    for moment in (0, *host.rng.integers(1, host.config.rows - 1, 3), host.config.rows - 1):
        await prepare(host, right)
        await host.pulse("start")
        await host.cycles(int(host.rng.integers(expected.cycles(0) - 1)))
        await host.pulse("rst")
        second = cocotb.start_soon(start_in(host, int(moment)))
        assert await host.idle() == Ended(host.config.rows, Error.BUSY)
        await second
        await assert_right(host, expected)


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
            await prepare(host, job, loaded=True)
            assert (await host.run()).error == job.error, job.name
        await host.tell(loading(host.config, right.program.segments[0]))
        await assert_right(host, expected)
