"""Amaranth's own simulator: the executor that needs no tools, and shows every signal by name."""

import random
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from amaranth import ClockDomain, Module
from amaranth.sim import Simulator

from sim.design import Factory
from sim.executor import Answer, Executor
from sim.limbs import join
from sim.pace import Pace
from sim.pysim_streams import Offers, Takes
from sim.tools import python_version, require
from sim.waves import wave_file
from sw.host.port import PortError

CLOCK_SECONDS = 1e-8
RESET_CYCLES = 2

Job = Callable[[Any], Awaitable[Any]]
"""What the testbench does for one call; it is given Amaranth's simulation context."""


class PysimExecutor(Executor):
    """An array in Amaranth's simulator, which lives as long as the port and only moves in its
    calls.

    Parameters
    ----------
    config
    component : callable, optional
        Makes what is simulated from the configuration; the engine's array by default.
    ragged : int, optional
        Seed of random gaps on all streams. Without it, streams never pause.
    waves : bool or Path
        Record waveforms, into ``build/waves`` or another folder.
    """

    def __init__(
        self,
        config: Any,
        *,
        component: Factory | None = None,
        ragged: int | None = None,
        waves: bool | Path = False,
    ) -> None:
        self.config = config
        self.tools = {"python": python_version(), "amaranth": require("amaranth").version}
        self.paced = ragged is None
        self._patience = self.design.patience(config)
        self._random = None if ragged is None else random.Random(ragged)
        self._job: Job | None = None
        self._outcome: Any = None
        self._opened = ExitStack()
        self._simulator: Simulator | None = self._make_simulator(component, waves)
        self.reset()

    def reset(self) -> None:
        """Reset the array, and wait until it is not busy."""
        self._do(self._reset)

    def close(self) -> None:
        """Finish the waveforms and let go of the simulator."""
        self._opened.close()
        self._simulator = None

    def _send(self, payloads: np.ndarray) -> None:
        self._do(lambda context: self._write(context, join(payloads)))

    def _ask(self, payloads: np.ndarray) -> np.ndarray:
        return np.array(self._do(lambda context: self._read(context, join(payloads))), np.uint64)

    def _run(self, max_cycles: int, payloads: np.ndarray) -> Answer:
        return self._do(lambda context: self._compute(context, max_cycles, join(payloads)))

    # The simulator ------------------------------------------------------------------------------

    def _make_simulator(self, component: Factory | None, waves: bool | Path) -> Simulator:
        array = (component or self.design.component)(self.config)
        top = Module()
        top.domains.sync = domain = ClockDomain()
        top.submodules.array = array
        self._array: Any = array
        self._reset_signal = domain.rst
        simulator = Simulator(top)
        simulator.add_clock(CLOCK_SECONDS)
        file = wave_file(waves, "pysim")
        simulator.add_testbench(self._serve)
        if file:
            self._opened.enter_context(simulator.write_vcd(str(file)))
        return simulator

    async def _serve(self, context: Any) -> None:
        """The testbench: one job after another; between jobs time stands still."""
        while True:
            if self._job is not None:
                try:
                    self._outcome = await self._job(context)
                except PortError as error:
                    self._outcome = error
                self._job = None
            # Hand back to the caller; less than a clock's edge away, so that no cycle is lost.
            await context.delay(1e-15)

    def _do(self, job: Job) -> Any:
        if self._simulator is None:
            raise PortError("the port is closed")
        self._job = job
        try:
            while self._job is not None:
                self._simulator.advance()
        except BaseException:
            # The testbench has ended with it: there is nobody left to do a job.
            self.close()
            raise
        if isinstance(self._outcome, PortError):
            raise self._outcome
        return self._outcome

    # Jobs ---------------------------------------------------------------------------------------

    async def _reset(self, context: Any) -> None:
        context.set(self._reset_signal, 1)
        for _ in range(RESET_CYCLES):
            await context.tick()
        context.set(self._reset_signal, 0)
        for _ in range(self._patience + 1):
            if not context.get(self._array.busy):
                return
            await context.tick()
        raise PortError("reset: the array is not ready")

    async def _write(self, context: Any, payloads: list[int]) -> None:
        await self._finish(context, "write", self._offers(context, self._array.write, payloads))

    async def _finish(self, context: Any, what: str, offers: Offers) -> None:
        """Send what is left of some payloads."""
        tick = context.tick().sample(offers.ready)
        waited = 0
        while offers.more and waited <= self._patience:
            offers.offer()
            _, _, ready = await tick
            waited = 0 if offers.note(ready) else waited + 1
        offers.stop()
        if offers.more:
            raise _not_ready(what, offers.done, offers.payloads)

    async def _read(self, context: Any, payloads: list[int]) -> list[int]:
        asks = self._offers(context, self._array.read, payloads)
        answers = self._takes(context, self._array.data)
        tick = context.tick().sample(asks.ready, answers.valid, answers.payload)
        waited = 0
        while len(answers.payloads) < len(payloads) and waited <= self._patience:
            asks.offer()
            answers.accept()
            _, _, ready, valid, word = await tick
            asked, answered = asks.note(ready), answers.note(valid, word)
            waited = 0 if asked or answered else waited + 1
        asks.stop()
        answers.stop()
        if len(answers.payloads) < len(payloads):
            raise _not_ready("read", len(answers.payloads), payloads)
        return answers.payloads

    @abstractmethod
    async def _compute(self, context: Any, max_cycles: int, payloads: list[int]) -> Answer:
        """A run, from :meth:`_start` on."""

    async def _start(self, context: Any) -> None:
        """Pulse ``start``."""
        context.set(self._array.start, 1)
        await context.tick()
        context.set(self._array.start, 0)

    # Traffic ------------------------------------------------------------------------------------

    def _offers(self, context: Any, stream: Any, payloads: list[int]) -> Offers:
        return Offers(context, stream, payloads, Pace(self._random))

    def _takes(self, context: Any, stream: Any) -> Takes:
        return Takes(context, stream, Pace(self._random))


def _not_ready(what: str, done: int, payloads: Sequence[int]) -> PortError:
    return PortError(f"{what}: the array is not ready after {done} of {len(payloads)} words")
