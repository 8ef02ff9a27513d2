"""Bench of the array: images loaded, vectors fed, all that can be read compared with the models."""

from typing import Any

import cocotb
import numpy as np

from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.iomap import Memory
from tests.sim.benches.array_host import ArrayHost, Expected
from tests.sim.benches.jobs import Job, read_jobs
from tests.sim.benches.requests import Questions, feeding, loading, packed


def single(jobs: list[Job]) -> list[Job]:
    """Those whose program is loaded at once."""
    return [job for job in jobs if len(job.program.segments) == 1]


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged", "eager"])
async def every_image(dut: Any, traffic: str) -> None:
    """Steady; ragged on all streams and in any order; with reads that are sent during the run."""
    jobs = read_jobs()
    host = ArrayHost(dut, jobs[0].program.config)
    await host.reset()
    all_expected = [Expected(job) for job in jobs]
    assert_all_counted(all_expected)
    for job, expected in zip(jobs, all_expected, strict=True):
        dut._log.info("%s", job.name)
        loaded = False
        for image, acts in enumerate(job.batch):
            host.is_ragged = traffic == "ragged"
            ended, results = await host.run_image(
                job.program, acts, loaded=loaded, eager=traffic == "eager"
            )
            expected.check(image, ended, results)
            loaded = len(job.program.segments) == 1


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reads_beside_writes(dut: Any) -> None:
    """Answers are right, and in order, while the next image is being loaded."""
    jobs = single(read_jobs())
    host = ArrayHost(dut, jobs[0].program.config)
    await host.reset()
    host.is_ragged = True
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        segment, expected = job.program.segments[0], Expected(job)
        await host.tell(loading(host.config, segment) + feeding(host.config, job.batch[0]))
        ended = await host.run()
        questions = Questions(host.config, segment)
        loads = loading(host.config, following.program.segments[0])
        load = cocotb.start_soon(host.tell(loads))
        for _ in range(2):
            expected.check(0, ended, questions.results(await host.ask(questions.reads)))
        await load


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def writes_wait_for_the_run(dut: Any) -> None:
    """Writes into the memories of a run, offered in each of its parts, do not disturb it."""
    jobs = single(read_jobs())
    host = ArrayHost(dut, jobs[0].program.config)
    await host.reset()
    for job in jobs:
        segment, expected = job.program.segments[0], Expected(job)
        for part in (0.0, 0.3, 0.6, 0.9):
            host.is_ragged = False
            await host.tell(loading(host.config, segment) + feeding(host.config, job.batch[0]))
            await host.pulse("start")
            await host.cycles(waited := int(part * expected.cycles(0)))
            host.is_ragged = True
            rubbish = cocotb.start_soon(host.tell(spoiling(host)))
            ended = await host.idle()
            await rubbish
            questions = Questions(host.config, segment)
            results = questions.results(await host.ask(questions.reads))
            expected.check(0, ended._replace(cycles=ended.cycles + waited), results)


def assert_all_counted(all_expected: list[Expected]) -> None:
    """Fail if a counter would be zero in all runs: nothing would have been tested."""
    for names, kind in ((ARRAY_COUNTERS, "array"), (PE_COUNTERS, "pe")):
        for index, name in enumerate(names):
            values = [getattr(c, kind)[..., index] for e in all_expected for c in e.counts]
            assert any(value.any() for value in values), f"no job makes {name} count"


def spoiling(host: ArrayHost) -> list[int]:
    """Rubbish for the first words of all memories but the activations."""
    config, every = host.config, np.arange(host.config.pes)[:, None]
    memories = set(Memory) - {Memory.ACTIVATIONS, Memory.COUNTERS, Memory.CONTROL}
    return [
        write
        for memory in sorted(memories)
        for write in packed(config, memory, every, np.arange(4), host.rng.integers(1 << 63))
    ] + packed(config, Memory.CONTROL, 0, 0, 0)
