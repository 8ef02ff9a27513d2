"""A shell's AXI buses under cocotb, driven by ``cocotbext-axi``, as a link of the driver.

The driver is no coroutine: call it through ``cocotb.task.bridge``.
"""

import random
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import numpy as np
from cocotb.task import resume
from cocotb.triggers import ClockCycles
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from sim.pace import Pace
from sim.tools import require
from spec.registers.table import BYTES
from sw.host.port import PortError
from sw.host.shell.link import AccessError

LOOK_CYCLES = 4
"""Between looks at what has come."""

SLOWEST_CYCLES = 32
"""That a word on its way to the shell may take."""

T = TypeVar("T")


class WordBus(AxiStreamBus):
    """A stream as words, wherever a message or a result ends."""

    _optional_signals = ("tvalid", "tready")


class AxiLink:
    """As :class:`sw.host.shell.link.Link`.

    Parameters
    ----------
    dut : cocotb handle of a shell
    patience : int
        Cycles in which nothing comes after which :meth:`receive` gives up; more for every word
        that was sent before, which may be on its way still.
    seed : int, optional
        Pauses of all channels and both streams, at random; none by default.

    Attributes
    ----------
    registers : AxiLiteMaster
    source : AxiStreamSource
    sink : AxiStreamSink
        Every word is a frame.
    """

    def __init__(self, dut: Any, patience: int = 10_000, seed: int | None = None) -> None:
        self.tools = {name: require(name).version for name in ("verilator", "cocotb")}
        self.clock = dut.clk
        self.patience = patience
        buses = AxiLiteBus.from_prefix(dut, "s_axil")
        self.registers = AxiLiteMaster(buses, dut.clk, dut.rst)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(WordBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self._inbox = bytearray()
        self._offered = 0
        if seed is not None:
            self._pause(random.Random(seed))

    def _pause(self, numbers: random.Random) -> None:
        """Every side has a pace of its own."""
        write, read = self.registers.write_if, self.registers.read_if
        channels = (write.aw_channel, write.w_channel, write.b_channel)
        for channel in (*channels, read.ar_channel, read.r_channel, self.source, self.sink):
            channel.set_pause_generator(_pauses(Pace(numbers)))

    def read32(self, address: int) -> int:
        return self.do(self.read(address))

    def write32(self, address: int, word: int) -> None:
        self.do(self.write(address, word.to_bytes(BYTES, "little")))

    def send(self, words: np.ndarray) -> None:
        self.do(self.offer(words))

    def receive(self, count: int) -> np.ndarray:
        return self.do(self.take(count))

    def drop(self) -> None:
        self.do(self.forget())

    def close(self) -> None:
        """Nothing to let go of."""

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """What the driver asks for, in the simulator's own thread."""

        async def wait() -> T:
            return await call

        return resume(wait)()

    # The same as coroutines

    async def read(self, address: int) -> int:
        """A register."""
        answer = await self.registers.read(address, BYTES)
        _check(address, answer)
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, data: bytes) -> None:
        """Bytes of a register, from an address that need not be its first one."""
        answer = await self.registers.write(address, data)
        _check(address, answer)

    async def offer(self, words: np.ndarray) -> None:
        """A message, behind those that are still on their way."""
        self._offered += len(words)
        self.source.send_nowait(AxiStreamFrame(words.astype("<u4").tobytes()))

    async def take(self, count: int) -> np.ndarray:
        """The next words."""
        waited = 0
        while len(self._inbox) < BYTES * count:
            before = len(self._inbox)
            await ClockCycles(self.clock, LOOK_CYCLES)
            self._inbox += bytearray(self.sink.read_nowait())
            waited = 0 if len(self._inbox) > before else waited + LOOK_CYCLES
            if waited > self.patience + SLOWEST_CYCLES * self._offered:
                raise PortError(f"{count} words were to come, there are {before // BYTES}")
        self._offered = 0
        found = np.frombuffer(bytes(self._inbox[: BYTES * count]), "<u4")
        del self._inbox[: BYTES * count]
        return found.astype(np.uint32)

    async def forget(self) -> None:
        """Let go of all words, also in the middle of a message."""
        self.source.clear()
        self.source.assert_reset()
        self.sink.read_nowait()
        self._inbox.clear()


def _check(address: int, answer: Any) -> None:
    """An access that a reset ended has no answer."""
    if answer is None:
        raise PortError(f"a reset came during the access to 0x{address:03X}")
    if answer.resp != AxiResp.OKAY:
        raise AccessError(f"the access to 0x{address:03X} was answered with {answer.resp.name}")


def _pauses(pace: Pace) -> Iterator[bool]:
    while True:
        yield pace.pauses()
