"""A shell in Amaranth's simulator, as a link: its AXI buses, driven word by word."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth import ClockDomain, Module
from amaranth.sim import Simulator

from hw.shell.axi_lite import OKAY
from hw.shell.shell import Shell
from spec.config import Config
from sw.host.port import PortError
from sw.host.shell.link import AccessError
from tests.hw.streams import Pace, steady

PATIENCE = 20_000
"""Cycles without anything happening after which a call gives up."""


class PysimLink:
    """Time moves only while a call waits; both streams move whenever it does."""

    def __init__(self, configs: Sequence[Config], into: Pace = steady, out: Pace = steady):
        self.tools = {"amaranth": "test"}
        self.cycles = 0
        self._into, self._out = into, out
        self._outbox: deque[tuple[int, int]] = deque()
        self._inbox: deque[tuple[int, bool]] = deque()
        self._call: Any = None
        self._result: Any = None
        top = Module()
        top.domains.sync = ClockDomain()
        top.submodules.shell = self.dut = Shell(configs)
        self._simulator = Simulator(top)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._serve)
        self._offered = False

    def read32(self, address: int) -> int:
        return self._do(self._read(address))

    def write32(self, address: int, word: int) -> None:
        self._do(self._write(address, word))

    def send(self, words: np.ndarray) -> None:
        last = len(words) - 1
        self._outbox.extend((int(word), at == last) for at, word in enumerate(words))

    def receive(self, count: int) -> np.ndarray:
        self._do(self._wait(lambda: len(self._inbox) >= count))
        return np.array([self._inbox.popleft()[0] for _ in range(count)], np.uint32)

    def drop(self) -> None:
        self._outbox.clear()
        self._inbox.clear()

    def close(self) -> None:
        """Nothing to let go of."""

    # The simulation

    async def _serve(self, context: Any) -> None:
        self._context = context
        while True:
            if self._call is not None:
                try:
                    self._result = await self._call
                except PortError as error:
                    self._result = error
                self._call = None
            await context.delay(1e-12)

    def _do(self, call: Any) -> Any:
        self._call = call
        while self._call is not None:
            self._simulator.advance()
        if isinstance(self._result, PortError):
            raise self._result
        return self._result

    async def _cycle(self) -> None:
        """A cycle of both streams."""
        context, dut = self._context, self.dut
        if self._outbox and (self._offered or self._into()):
            word, last = self._outbox[0]
            context.set(dut.s_axis_tdata, word)
            context.set(dut.s_axis_tlast, last)
            self._offered = True
        elif not self._outbox:
            self._offered = False
        context.set(dut.s_axis_tvalid, self._offered)
        willing = self._out()
        context.set(dut.m_axis_tready, willing)
        ports = (dut.s_axis_tready, dut.m_axis_tvalid, dut.m_axis_tdata, dut.m_axis_tlast)
        _, _, ready, valid, word, last = await context.tick().sample(*ports)
        self.cycles += 1
        if self._offered and ready:
            self._outbox.popleft()
            self._offered = False
        if willing and valid:
            self._inbox.append((word, bool(last)))

    async def _wait(self, until: Any) -> None:
        for _ in range(PATIENCE):
            if until():
                return
            await self._cycle()
        raise PortError("nothing comes")

    async def _read(self, address: int) -> int:
        dut, context = self.dut, self._context
        context.set(dut.s_axil_araddr, address)
        await self._handshake(dut.s_axil_arvalid, dut.s_axil_arready)
        await self._handshake(dut.s_axil_rready, dut.s_axil_rvalid, hold=True)
        self._check(address, context.get(dut.s_axil_rresp))
        word = context.get(dut.s_axil_rdata)
        await self._cycle()
        context.set(dut.s_axil_rready, 0)
        return word

    async def _write(self, address: int, word: int) -> None:
        dut, context = self.dut, self._context
        context.set(dut.s_axil_awaddr, address)
        context.set(dut.s_axil_wdata, word)
        context.set(dut.s_axil_wstrb, 15)
        context.set(dut.s_axil_awvalid, 1)
        await self._handshake(dut.s_axil_wvalid, dut.s_axil_wready)
        context.set(dut.s_axil_awvalid, 0)
        await self._handshake(dut.s_axil_bready, dut.s_axil_bvalid, hold=True)
        response = context.get(dut.s_axil_bresp)
        await self._cycle()
        context.set(dut.s_axil_bready, 0)
        self._check(address, response)

    async def _handshake(self, ours: Any, theirs: Any, hold: bool = False) -> None:
        """Until both are high; and beyond, or with ``hold`` in that very cycle."""
        self._context.set(ours, 1)
        for _ in range(PATIENCE):
            there = self._context.get(theirs)
            if there and hold:
                return
            await self._cycle()
            if there:
                self._context.set(ours, 0)
                return
        raise PortError("no handshake")

    def _check(self, address: int, response: int) -> None:
        if response != OKAY:
            raise AccessError(f"an access to 0x{address:03X} failed")
