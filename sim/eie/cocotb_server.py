"""The cocotb test that serves a port: it runs inside the simulator and answers requests on a
socket.

:mod:`sim.eie.cocotb_port` starts it. Waiting for a request stops the simulation; time moves only
while one is served. Like all of our benches it changes inputs right after a rising edge, and looks
at outputs at the next one, where they still have the values from before it.
"""

import os
import random
import socket
import struct
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import Task
from cocotb.triggers import FallingEdge, First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from sim.protocol import (
    ANSWER,
    DENSITIES,
    PATIENCE,
    PAYLOAD_WORDS,
    RAGGED,
    REQUEST,
    SOCKET,
    WORD_BYTES,
    Request,
    Status,
)

PERIOD_STEPS = 10_000
"""The clock's period in steps of the simulator, which are picoseconds: 10 ns."""
RESET_CYCLES = 2
Outcome = tuple[Status, int]


class NotReadyError(Exception):
    """The array did not answer; carries the number of words that were done."""


class Server:
    """The array's ports, driven request by request.

    Parameters
    ----------
    dut : cocotb handle of the array
    patience : int
        Cycles that a handshake may take.
    seed : str or None
        Of ragged traffic.
    """

    def __init__(self, dut: Any, patience: int, seed: str | None) -> None:
        self.dut = dut
        self.edge = RisingEdge(dut.clk)
        self.patience = patience
        self.random = None if seed is None else random.Random(int(seed))
        self.eighths = 0
        self.told = 0
        for name in ("rst", "start", "write__valid", "read__valid", "data__ready"):
            getattr(dut, name).value = 0

    async def serve(self, host: socket.socket) -> None:
        """Answer until the host says quit or goes away."""
        while (header := _receive(host, REQUEST.size)) is not None:
            kind, limit, count = REQUEST.unpack(header)
            if kind == Request.QUIT:
                return
            payloads = _receive(host, WORD_BYTES * PAYLOAD_WORDS.get(kind, 0) * count)
            if payloads is None:
                return
            self.eighths = 0 if self.random is None else self.random.choice(DENSITIES)
            words: list[int] = []
            try:
                status, value = await self._do(Request(kind), limit, _words(payloads), words)
            except NotReadyError as error:
                status, value = Status.NOT_READY, error.args[0]
            host.sendall(ANSWER.pack(status, value, int(self.dut.error.value)))
            if status == Status.OK:
                host.sendall(struct.pack(f"={len(words)}Q", *words))

    async def _do(
        self, kind: Request, limit: int, payloads: tuple[int, ...], words: list[int]
    ) -> Outcome:
        if kind == Request.RESET:
            return await self.reset()
        if kind == Request.WRITE:
            return await self.write(_pairs(payloads))
        if kind == Request.READ:
            return await self.read(payloads, words)
        return await self.run(limit, _pairs(payloads))

    async def reset(self) -> Outcome:
        """Reset, and wait until the array is not busy."""
        self.dut.rst.value = 1
        for _ in range(RESET_CYCLES):
            await self.edge
        self.dut.rst.value = 0
        for waited in range(self.patience + 1):
            await self.edge
            if not int(self.dut.busy.value):
                return Status.OK, waited
        raise NotReadyError(0)

    async def write(self, payloads: list[int]) -> Outcome:
        """Send payloads back to back, but for the gaps of ragged traffic."""
        await self._finish(self._start(payloads))
        return Status.OK, len(payloads)

    def _start(self, payloads: list[int]) -> Task[None]:
        """Begin to send payloads."""
        self.told = 0
        return cocotb.start_soon(self._tell(payloads))

    async def _tell(self, payloads: list[int]) -> None:
        """Send payloads, and count those that have been taken."""
        valid, ready = self.dut.write__valid, self.dut.write__ready
        port = self.dut.write__payload
        for payload in payloads:
            while self._pauses():
                valid.value = 0
                await self.edge
            port.value = payload
            valid.value = 1
            await self.edge
            while not int(ready.value):
                await self.edge
            self.told += 1
        valid.value = 0

    async def _finish(self, tells: Task[None]) -> None:
        """Wait until all payloads are sent, as long as there is any progress."""
        before = -1
        while not tells.done() and self.told > before:
            before = self.told
            await First(tells, Timer(self.patience * PERIOD_STEPS, "step"))
        if not tells.done():
            self._drop(tells)
            raise NotReadyError(self.told)

    def _drop(self, tells: Task[None]) -> None:
        """Offer nothing any more."""
        tells.cancel()
        self.dut.write__valid.value = 0

    async def read(self, payloads: tuple[int, ...], words: list[int]) -> Outcome:
        """Send payloads, and gather as many answers meanwhile."""
        asks = cocotb.start_soon(self._ask(payloads))
        data = self.dut.data__payload
        valid, ready = self.dut.data__valid, self.dut.data__ready
        waited = 0
        try:
            while len(words) < len(payloads):
                accepting = not self._pauses()
                ready.value = accepting
                await self.edge
                given = accepting and int(valid.value)
                if given:
                    words.append(int(data.value))
                waited = 0 if given else waited + 1
                if waited > self.patience:
                    raise NotReadyError(len(words))
        finally:
            asks.cancel()
            self.dut.read__valid.value = 0
            ready.value = 0
        return Status.OK, len(words)

    async def _ask(self, payloads: tuple[int, ...]) -> None:
        valid, ready = self.dut.read__valid, self.dut.read__ready
        port = self.dut.read__payload
        for payload in payloads:
            while self._pauses():
                valid.value = 0
                await self.edge
            port.value = payload
            valid.value = 1
            await self.edge
            while not int(ready.value):
                await self.edge
        valid.value = 0

    async def run(self, max_cycles: int, payloads: list[int]) -> Outcome:
        """Pulse start, and send payloads meanwhile; the time until busy falls, in cycles."""
        self.dut.start.value = 1
        await self.edge
        begin = get_sim_time("step")
        self.dut.start.value = 0
        tells = self._start(payloads)
        # Outputs follow the edge; half a cycle later they stand.
        half = Timer(PERIOD_STEPS // 2, "step")
        await half
        cycles = rest = 0
        if int(self.dut.busy.value):
            falls = FallingEdge(self.dut.busy)
            if await First(falls, Timer(max_cycles * PERIOD_STEPS, "step")) is not falls:
                self._drop(tells)
                return Status.STILL_BUSY, max_cycles
            cycles, rest = divmod(get_sim_time("step") - begin, PERIOD_STEPS)
            await half
        assert not rest, "busy fell between two clock edges"
        await self._finish(tells)
        return Status.OK, int(cycles)

    def _pauses(self) -> bool:
        return self.random is not None and self.random.randrange(8) < self.eighths


@cocotb.test()
async def serve(dut: Any) -> None:
    """Serve the port at the other end of the socket."""
    server = Server(dut, int(os.environ[PATIENCE]), os.environ.get(RAGGED))
    Clock(dut.clk, PERIOD_STEPS, "step").start()
    with socket.socket(fileno=int(os.environ[SOCKET])) as host:
        await server.serve(host)


def _receive(host: socket.socket, count: int) -> bytes | None:
    """``count`` bytes, or ``None`` if the host has gone."""
    parts = []
    while count:
        part = host.recv(min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"={len(data) // WORD_BYTES}Q", data)


def _pairs(words: tuple[int, ...]) -> list[int]:
    """Payloads of two words each."""
    return [low | high << 64 for low, high in zip(words[::2], words[1::2], strict=True)]
