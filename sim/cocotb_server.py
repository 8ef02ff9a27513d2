"""What the cocotb tests that serve a port have in common: they run inside the simulator and answer
requests on a socket.

:mod:`sim.cocotb_executor` starts them. Waiting for a request stops the simulation; time moves only
while one is served. Like all of our benches they change inputs right after a rising edge, and look
at outputs at the next one, where they still have the values from before it.
"""

import os
import random
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import Task
from cocotb.triggers import FallingEdge, First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from sim.cocotb_streams import Offers, Pace, Takes
from sim.limbs import join, limbs_for
from sim.protocol import (
    ANSWER,
    PATIENCE,
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
NO_WORDS = np.zeros(0, np.uint64)
Outcome = tuple[Status, int, np.ndarray]
"""Status, value, and the words that follow an answer."""


class NotReadyError(Exception):
    """The array did not answer; carries the number of payloads that were done."""


class Server(ABC):
    """An array's ports, driven request by request.

    Parameters
    ----------
    dut : cocotb handle of the array
    patience : int
        Cycles that a handshake may take.
    seed : str or None
        Of ragged traffic.
    """

    inputs: Sequence[str] = ("rst", "start", "write__valid", "read__valid", "data__ready")
    """Those that are zero until a request drives them."""

    def __init__(self, dut: Any, patience: int, seed: str | None) -> None:
        self.dut = dut
        self.edge = RisingEdge(dut.clk)
        self.patience = patience
        self.random = None if seed is None else random.Random(int(seed))
        for name in self.inputs:
            getattr(dut, name).value = 0

    @classmethod
    async def serve(cls, dut: Any) -> None:
        """Serve the port at the other end of the socket that the environment names."""
        server = cls(dut, int(os.environ[PATIENCE]), os.environ.get(RAGGED))
        Clock(dut.clk, PERIOD_STEPS, "step").start()
        with socket.socket(fileno=int(os.environ[SOCKET])) as host:
            await server.answer(host)

    async def answer(self, host: socket.socket) -> None:
        """Answer until the host says quit or goes away."""
        while (header := _receive(host, REQUEST.size)) is not None:
            kind, limit, count = REQUEST.unpack(header)
            if kind == Request.QUIT:
                return
            words = _receive(host, WORD_BYTES * count)
            if words is None:
                return
            try:
                outcome = await self._do(Request(kind), limit, np.frombuffer(words, np.uint64))
            except NotReadyError as error:
                outcome = Status.NOT_READY, error.args[0], NO_WORDS
            status, value, found = outcome
            host.sendall(ANSWER.pack(status, value, int(self.dut.error.value), len(found)))
            host.sendall(found.data)

    async def _do(self, kind: Request, limit: int, words: np.ndarray) -> Outcome:
        if kind == Request.RESET:
            return await self.reset()
        if kind == Request.WRITE:
            return await self.write(self.offers("write", words))
        if kind == Request.READ:
            return await self.read(self.offers("read", words))
        return await self.run(limit, words)

    def offers(self, name: str, words: np.ndarray) -> Offers:
        """Payloads for a stream of the array, from the words of a request."""
        limbs = limbs_for(len(getattr(self.dut, f"{name}__payload")))
        payloads = join(words.reshape(-1, limbs))
        return Offers(self.dut, name, payloads, Pace(self.random), self.edge)

    def takes(self, name: str) -> Takes:
        """For payloads of a stream of the array."""
        return Takes(self.dut, name, Pace(self.random), self.edge)

    async def reset(self) -> Outcome:
        """Reset, and wait until the array is not busy."""
        self.dut.rst.value = 1
        for _ in range(RESET_CYCLES):
            await self.edge
        self.dut.rst.value = 0
        for waited in range(self.patience + 1):
            await self.edge
            if not int(self.dut.busy.value):
                return Status.OK, waited, NO_WORDS
        raise NotReadyError(0)

    async def write(self, writes: Offers) -> Outcome:
        """Send payloads back to back, but for the gaps of ragged traffic."""
        await self.finish(writes, cocotb.start_soon(writes.send()))
        return Status.OK, writes.done, NO_WORDS

    async def finish(self, offers: Offers, sender: Task[None]) -> None:
        """Wait until all payloads are sent, as long as there is any progress."""
        before = -1
        while not sender.done() and offers.done > before:
            before = offers.done
            await First(sender, Timer(self.patience * PERIOD_STEPS, "step"))
        if not sender.done():
            sender.cancel()
            offers.stop()
            raise NotReadyError(offers.done)

    async def read(self, asks: Offers) -> Outcome:
        """Send payloads, and gather as many answers meanwhile."""
        sender = cocotb.start_soon(asks.send())
        answers = self.takes("data")
        waited = 0
        while len(answers.payloads) < len(asks.payloads) and waited <= self.patience:
            waited = 0 if await answers.take() else waited + 1
        sender.cancel()
        asks.stop()
        answers.stop()
        if len(answers.payloads) < len(asks.payloads):
            raise NotReadyError(len(answers.payloads))
        return Status.OK, len(answers.payloads), np.array(answers.payloads, np.uint64)

    @abstractmethod
    async def run(self, limit: int, words: np.ndarray) -> Outcome:
        """A run, from :meth:`start` on."""

    async def start(self) -> None:
        """Pulse ``start``."""
        self.dut.start.value = 1
        await self.edge
        self.dut.start.value = 0

    async def count(self, limit: int) -> int | None:
        """The cycles until busy falls, from right behind a rising edge on, or ``None`` if they are
        more than ``limit``."""
        begin = get_sim_time("step")
        # Outputs follow the edge; half a cycle later they stand.
        half = Timer(PERIOD_STEPS // 2, "step")
        await half
        if not int(self.dut.busy.value):
            return 0
        falls = FallingEdge(self.dut.busy)
        if await First(falls, Timer(limit * PERIOD_STEPS, "step")) is not falls:
            return None
        cycles, rest = divmod(get_sim_time("step") - begin, PERIOD_STEPS)
        await half
        assert not rest, "busy fell between two clock edges"
        return int(cycles)


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
