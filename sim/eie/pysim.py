"""Amaranth's own simulator: the executor that needs no tools, and shows every signal by name."""

import random
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from amaranth import ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hw.eie.array import EieArray
from sim.eie.pysim_writes import Writes, join
from sim.protocol import DENSITIES
from sim.tools import python_version, require
from sim.waves import wave_file
from spec.eie.config import EieConfig
from spec.eie.iomap import pack_reads, pack_writes
from sw.host.eie.port import check_ahead, check_request, patience_cycles
from sw.host.port import PortError, StillBusyError, Words, check_cycles

CLOCK_SECONDS = 1e-8
RESET_CYCLES = 2

Factory = Callable[[EieConfig], wiring.Component]
"""Makes the array, or anything else with its ports."""
Job = Callable[[Any], Awaitable[Any]]
"""What the testbench does for one call; it is given Amaranth's simulation context."""


class PysimPort:
    """The array in Amaranth's simulator, which lives as long as the port and only moves in its
    calls.

    Parameters
    ----------
    config : EieConfig
    component : callable, optional
        Makes what is simulated from the configuration, :class:`hw.eie.array.EieArray` by default.
    ragged : int, optional
        Seed of random gaps on all streams. Without it, streams never pause.
    waves : bool or Path
        Record waveforms, into ``build/waves`` or another folder.
    """

    def __init__(
        self,
        config: EieConfig,
        *,
        component: Factory = EieArray,
        ragged: int | None = None,
        waves: bool | Path = False,
    ) -> None:
        self.config = config
        self.tools = {"python": python_version(), "amaranth": require("amaranth").version}
        self.paced = ragged is None
        self._patience = patience_cycles(config)
        self._random = None if ragged is None else random.Random(ragged)
        self._eighths = 0
        self._job: Job | None = None
        self._outcome: Any = None
        self._opened = ExitStack()
        self._simulator: Simulator | None = self._make_simulator(component, waves)
        self.reset()

    def reset(self) -> None:
        """Reset the array, and wait until it is in I/O mode."""
        self._do(self._reset)

    def write(self, memory: int, pe: Words, address: Words, data: Words) -> None:
        """Write words; the arguments broadcast against each other."""
        check_request(self.config, memory, pe, address, data)
        payloads = join(pack_writes(self.config, memory, pe, address, data))
        self._do(lambda context: self._write(context, payloads))

    def read(self, memory: int, pe: Words, address: Words) -> np.ndarray:
        """Read words, in the shape that ``pe`` and ``address`` broadcast to."""
        check_request(self.config, memory, pe, address)
        shape = np.broadcast_shapes(np.shape(pe), np.shape(address))
        payloads = pack_reads(self.config, memory, pe, address).tolist()
        words = self._do(lambda context: self._read(context, payloads))
        return np.array(words, np.uint64).reshape(shape)

    def run(self, max_cycles: int, ahead: np.ndarray | None = None) -> tuple[int, int]:
        """Start the array, send writes, and wait until it is done: cycles, error code."""
        check_cycles(max_cycles)
        payloads = join(check_ahead(self.config, ahead))
        return self._do(lambda context: self._run(context, int(max_cycles), payloads))

    def close(self) -> None:
        """Finish the waveforms and let go of the simulator."""
        self._opened.close()
        self._simulator = None

    def __enter__(self) -> "PysimPort":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The simulator ------------------------------------------------------------------------------

    def _make_simulator(self, component: Factory, waves: bool | Path) -> Simulator:
        array = component(self.config)
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
        self._begin_traffic()
        await self._finish(context, "write", Writes(context, self._array.write, payloads))

    async def _finish(self, context: Any, what: str, writes: Writes) -> None:
        """Send what is left of some writes."""
        waited = 0
        while writes.more:
            if waited > self._patience:
                writes.give_up()
                raise PortError(f"{what}: the array is not ready after {writes.told} words")
            waited = 0 if await writes.clock(self._pauses) else waited + 1

    async def _read(self, context: Any, payloads: list[int]) -> list[int]:
        read, data = self._array.read, self._array.data
        self._begin_traffic()
        words: list[int] = []
        asked = waited = 0
        offering = False
        while len(words) < len(payloads):
            if waited > self._patience:
                context.set(read.valid, 0)
                context.set(data.ready, 0)
                raise PortError(
                    f"read: the array is not ready after {len(words)} of {len(payloads)} words"
                )
            if not offering and asked < len(payloads) and not self._pauses():
                context.set(Value.cast(read.payload), payloads[asked])
                offering = True
            context.set(read.valid, offering)
            accepting = not self._pauses()
            context.set(data.ready, accepting)
            _, _, ready, valid, word = await context.tick().sample(
                read.ready, data.valid, data.payload
            )
            taken = offering and ready
            given = accepting and valid
            waited = 0 if taken or given else waited + 1
            if given:
                words.append(word)
            if taken:
                asked += 1
                offering = False
        context.set(read.valid, 0)
        context.set(data.ready, 0)
        return words

    async def _run(self, context: Any, max_cycles: int, payloads: list[int]) -> tuple[int, int]:
        array = self._array
        self._begin_traffic()
        writes = Writes(context, array.write, payloads)
        context.set(array.start, 1)
        await context.tick()
        context.set(array.start, 0)
        cycles = 0
        while context.get(array.busy):
            if cycles == max_cycles:
                writes.give_up()
                raise StillBusyError(cycles)
            await writes.clock(self._pauses)
            cycles += 1
        await self._finish(context, "run", writes)
        return cycles, context.get(array.error)

    # Traffic ------------------------------------------------------------------------------------

    def _begin_traffic(self) -> None:
        self._eighths = 0 if self._random is None else self._random.choice(DENSITIES)

    def _pauses(self) -> bool:
        return self._random is not None and self._random.randrange(8) < self._eighths
