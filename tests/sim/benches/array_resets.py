"""Bench of the array: a reset at any moment, and a correct run behind it."""

from typing import Any

import cocotb

from spec.eie.iomap import Error
from tests.sim.benches.array_host import ArrayHost, Ended, Expected
from tests.sim.benches.array_runs import single
from tests.sim.benches.jobs import groups, read_jobs
from tests.sim.benches.requests import Questions, arming, feeding, loading

PHASES = ("control", "compute", "drain")
"""Parts of a pass, in order; the array's counters of these names say how long each is."""


class Disturbed:
    """A job that is reset on its way."""

    def __init__(self, host: ArrayHost, expected: Expected) -> None:
        self.host = host
        self.expected = expected
        self.program = expected.job.program
        ((self.segment, self.run),) = self.program.runs()
        self.acts = groups(expected.job)[0]
        self.writes = [
            *loading(host.config, self.segment),
            *feeding(host.config, self.acts),
            *arming(host.config, self.segment, self.run),
        ]

    async def until(self, moment: str) -> None:
        """Load, run or read until a random moment of the part that ``moment`` names."""
        host, rng = self.host, self.host.rng
        host.is_ragged = bool(rng.integers(2))
        if moment == "load":
            load = cocotb.start_soon(host.tell(self.writes))
            await host.cycles(int(rng.integers(1, len(self.writes))))
            load.cancel()
            return
        await host.tell(self.writes)
        if moment == "read":
            await host.run()
            reads = Questions(host.config, self.segment, self.run).reads
            ask = cocotb.start_soon(host.ask(reads))
            await host.cycles(int(rng.integers(1, 2 * len(reads))))
            ask.cancel()
            return
        await host.pulse("start")
        await host.cycles(self._moment_in(moment))

    def _moment_in(self, phase: str) -> int:
        """A cycle of a run, counted from 0, within this phase of some pass."""
        moments, begin = [], 0
        for number in range(len(self.expected.counts)):
            for name in PHASES:
                length = self.expected.counter(number, 0, name)
                if name == phase:
                    moments += range(begin, begin + length)
                begin += length
        return int(self.host.rng.choice(moments))

    async def recover(self, *, reload: bool) -> None:
        """Reset forgets what is armed; with that, or all, written again, a run is right."""
        host, config = self.host, self.host.config
        await host.reset()
        assert await host.run() == Ended(0, Error.NO_IMAGE)
        if reload:
            await host.tell(loading(config, self.segment))
        ended, results = await host.run_single(self.program, self.acts)
        self.expected.check_single(ended, results)
        host.check_words(results)


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(moment=["load", *PHASES, "read"])
async def reset_in(dut: Any, moment: str) -> None:
    """Three times for each job; what was loaded before the reset is still there."""
    jobs = single(read_jobs())
    host = ArrayHost(dut, jobs[0].program.config)
    for job in jobs:
        work = Disturbed(host, Expected(job))
        for trial in range(3):
            await host.reset()
            await work.until(moment)
            dut.rst.value = 1
            await host.edge
            assert int(dut.busy.value) == (moment in PHASES)
            await work.recover(reload=moment == "load" or trial == 0)
