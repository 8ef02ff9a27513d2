"""Bench of the array: images loaded, vectors fed, all that can be read compared with the models."""

from typing import Any

import cocotb
import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.iomap import WHILE_COMPUTING, Memory, descriptor_word_bits
from spec.eie.program import capacities
from tests.sim.benches.array_host import OF_HOST, ArrayHost, Expected
from tests.sim.benches.jobs import Job, groups, read_jobs
from tests.sim.benches.requests import Questions, arming, feeding, loading, packed


def single(jobs: list[Job]) -> list[Job]:
    """Those whose program is loaded at once and makes one run."""
    return [job for job in jobs if len(list(job.program.runs())) == 1]


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged", "eager"])
async def every_image(dut: Any, traffic: str) -> None:
    """Steady; ragged on all streams and in any order; with reads that are sent during the run."""
    jobs = read_jobs()
    host = ArrayHost(dut, jobs[0].program.config)
    await host.reset()
    all_expected = [Expected(job) for job in jobs]
    assert_all_counted(all_expected)
    host.is_ragged = traffic == "ragged"
    # What is hidden is exact when words are written one per cycle; what is loaded always is.
    skipped = OF_HOST[1:] if traffic == "ragged" else ()
    for job, expected in zip(jobs, all_expected, strict=True):
        dut._log.info("%s", job.name)
        for time, (acts, turns) in enumerate(zip(groups(job), expected.turns(), strict=True)):
            ended, results = await host.run_lanes(
                job.program, acts, turns, eager=traffic == "eager"
            )
            expected.check(time, ended, results, skipped=skipped)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reads_beside_writes(dut: Any) -> None:
    """Answers are right, and in order, while the next image is being loaded."""
    jobs = single(read_jobs())
    host = ArrayHost(dut, jobs[0].program.config)
    await host.reset()
    host.is_ragged = True
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        ((segment, run),) = job.program.runs()
        await host.tell(loading(host.config, segment))
        await host.tell(feeding(host.config, groups(job)[0]) + arming(host.config, segment, run))
        ended = await host.run()
        questions = Questions(host.config, segment, run)
        loads = loading(host.config, following.program.segments[0])
        load = cocotb.start_soon(host.tell(loads))
        for _ in range(2):
            results = questions.results(await host.ask(questions.reads))
            Expected(job).check_single(ended, results)
        await load


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def writes_during_a_run(dut: Any) -> None:
    """Offered in each of its parts, they do not disturb it: into a double-buffered array those go
    beside what it works on, all others wait."""
    jobs = single(read_jobs())
    host = ArrayHost(dut, jobs[0].program.config)
    await host.reset()
    for job in jobs:
        ((segment, run),) = job.program.runs()
        expected, acts, hidden = Expected(job), groups(job)[0], 0
        for part in (0.0, 0.3, 0.6, 0.9):
            host.is_ragged = False
            await host.tell(loading(host.config, segment) + feeding(host.config, acts))
            await host.tell(arming(host.config, segment, run))
            await host.pulse("start")
            await host.cycles(waited := int(part * expected.cycles(0)))
            host.is_ragged = True
            rubbish = cocotb.start_soon(host.tell(spoiling(host, segment.sizes())))
            ended = await host.idle()
            await rubbish
            questions = Questions(host.config, segment, run)
            results = questions.results(await host.ask(questions.reads))
            host.check_words(results)
            hidden += host.hidden
            expected.check_single(ended._replace(cycles=ended.cycles + waited), results)
        assert bool(hidden) == host.config.double_buffer


def assert_all_counted(all_expected: list[Expected]) -> None:
    """Fail if a counter would be zero in all runs: nothing would have been tested."""
    config: EieConfig = all_expected[0].job.program.config
    never = {"gated"} if config.lanes == 1 else set()
    never |= set() if config.double_buffer else {"hidden"}
    for name in {*ARRAY_COUNTERS, *PE_COUNTERS} - never:
        counted = any(counts.of(name).any() for e in all_expected for counts in e.counts)
        assert counted, f"no job makes {name} count"


def spoiling(host: ArrayHost, sizes: dict[str, int]) -> list[int]:
    """Rubbish for memories: where it would be written during a run, for the words at the top, which
    the run does not need; where it has to wait, for the first ones."""
    config, every = host.config, np.arange(host.config.pes)[:, None]
    room = capacities(config)
    assert all(size + 1 < room[name] for name, size in sizes.items()), "the tops are in use"
    tops = {
        Memory.DESCRIPTORS: (config.layers << descriptor_word_bits(config)) - 1,
        Memory.CODEBOOK: (config.codebooks << config.code_bits) - 1,
        Memory.BIASES: config.biases - 1,
        Memory.POINTERS: config.columns - 1,
        Memory.LINES: config.lines - 1,
    }
    writes = []
    for memory in WHILE_COMPUTING:
        addresses = tops[memory] - np.arange(2) if config.double_buffer else np.arange(4)
        writes += packed(config, memory, every, addresses, host.rng.integers(1 << 63))
    return writes + packed(config, Memory.CONTROL, 0, 0, 0)
