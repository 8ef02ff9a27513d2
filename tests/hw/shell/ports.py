"""Shells in Amaranth's simulator as serial ports: behind their pins, or behind the bytes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from amaranth import ClockDomain, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from hw.shell.core import Core
from hw.shell.deframe import BYTE_BITS
from hw.shell.uart_link import QUEUE_WORDS, UartLink
from hw.shell.uart_shell import uart_shell
from hw.streams import steady
from spec.config import Config

PATIENCE = 4_000
"""Cycles without a byte after which a read gives up: more than a device needs for any answer."""

CYCLES_PER_BIT = 4


class ByteShell(wiring.Component):
    """What :class:`hw.shell.uart_shell.UartShell` is, without the UART: bytes in, bytes out."""

    def __init__(self, configs: Sequence[Config], queue_words: int):
        self.configs, self.queue_words = list(configs), queue_words
        super().__init__(
            {
                "i": In(steady(BYTE_BITS)),
                "broken": In(1),
                "o": Out(stream.Signature(BYTE_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = UartLink(self.queue_words)
        m.submodules.core = core = Core(self.configs)
        connect(m, flipped(self.i), link.i)
        connect(m, link.o, flipped(self.o))
        connect(m, link.access, core.access)
        connect(m, core.outcome, link.outcome)
        connect(m, link.words, core.i)
        connect(m, core.o, link.results)
        m.d.comb += [
            link.broken.eq(self.broken),
            link.restart.eq(core.restart),
            core.dropped.eq(link.dropped),
        ]
        return m


class PysimPort(ABC):
    """As :class:`sw.host.shell.serial.BytePort`. Time moves only while a call waits.

    Attributes
    ----------
    cycles : int
        That have been simulated.
    """

    def __init__(self, dut: wiring.Component, patience: int):
        self._patience = patience
        self.timeout: Any = None
        self.cycles = 0
        self.closed = False
        self.dut: Any = dut
        self._inbox = bytearray()
        self._call: Any = None
        self._result: Any = None
        top = Module()
        top.domains.sync = self._domain = ClockDomain()
        top.submodules.dut = dut
        self._simulator = Simulator(top)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._serve)

    @property
    def in_waiting(self) -> int:
        return len(self._inbox)

    def write(self, data: bytes) -> int:
        self._do(self._put(data))
        return len(data)

    def read(self, size: int) -> bytes:
        self._do(self._get(size))
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        return data

    def reset_input_buffer(self) -> None:
        self._inbox.clear()

    def close(self) -> None:
        self.closed = True

    def power_up(self) -> None:
        """Reset all of it, as a board does whose button is pressed."""
        self._do(self._reset())

    # The simulation

    @abstractmethod
    async def send_byte(self, byte: int) -> None:
        """Put a byte on the line."""

    @abstractmethod
    async def cycle(self) -> int | None:
        """Go on, and give a byte that has come whole."""

    async def _serve(self, context: Any) -> None:
        self.context = context
        while True:
            if self._call is not None:
                await self._call
                self._call = None
            await context.delay(1e-12)

    def _do(self, call: Any) -> None:
        self._call = call
        while self._call is not None:
            self._simulator.advance()

    async def step(self) -> None:
        """A cycle."""
        byte = await self.cycle()
        self.cycles += 1
        if byte is not None:
            self._inbox.append(byte)

    async def _put(self, data: bytes) -> None:
        for byte in data:
            await self.send_byte(byte)

    async def _get(self, size: int) -> None:
        idle = 0
        while len(self._inbox) < size and idle < self._patience:
            before = len(self._inbox)
            await self.step()
            idle = 0 if len(self._inbox) > before else idle + 1

    async def _reset(self) -> None:
        self.context.set(self._domain.rst, 1)
        await self.step()
        self.context.set(self._domain.rst, 0)


class PysimBytes(PysimPort):
    """Bytes go in one in a cycle, faster than any line, and come out when they are ready."""

    def __init__(
        self,
        configs: Sequence[Config],
        queue_words: int = QUEUE_WORDS,
        patience: int = PATIENCE,
    ):
        super().__init__(ByteShell(configs, queue_words), patience)

    async def send_byte(self, byte: int) -> None:
        self.context.set(self.dut.i.payload, byte)
        self.context.set(self.dut.i.valid, 1)
        await self.step()
        self.context.set(self.dut.i.valid, 0)

    async def cycle(self) -> int | None:
        out = self.dut.o
        self.context.set(out.ready, 1)
        _, _, valid, byte = await self.context.tick().sample(out.valid, out.payload)
        return byte if valid else None


class PysimUart(PysimPort):
    """The pins of the shell of boards, on a line as fast as it takes."""

    def __init__(self, configs: Sequence[Config], queue_words: int = QUEUE_WORDS):
        super().__init__(uart_shell(configs, CYCLES_PER_BIT, 1, queue_words), PATIENCE)
        self._bits: list[int] = []
        self._wait = 0

    async def send_byte(self, byte: int) -> None:
        for bit in [0, *(byte >> at & 1 for at in range(BYTE_BITS)), 1]:
            self.context.set(self.dut.rx, bit)
            for _ in range(CYCLES_PER_BIT):
                await self.step()

    async def cycle(self) -> int | None:
        _, _, line = await self.context.tick().sample(self.dut.tx)
        if self._wait:
            self._wait -= 1
            return None
        if not self._bits and line:
            return None
        # The first sample is at the beginning of the start bit, the next in the middle of a bit.
        self._wait = CYCLES_PER_BIT - 1 if self._bits else CYCLES_PER_BIT + CYCLES_PER_BIT // 2 - 1
        self._bits.append(line)
        if len(self._bits) < BYTE_BITS + 2:
            return None
        _, *byte, stop = self._bits
        self._bits, self._wait = [], 0
        assert stop, "a byte without its stop bit"
        return sum(bit << at for at, bit in enumerate(byte))
