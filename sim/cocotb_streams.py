"""The two sides of an array's streams under cocotb.

Coroutines begin and end right behind a rising edge of the clock.
"""

from collections.abc import Sequence
from typing import Any

from sim.pace import Pace


class Offers:
    """Payloads on their way to the array: one in each cycle, but for the gaps of its pace.

    Parameters
    ----------
    dut : cocotb handle of the array
    name : str
        Of the stream.
    payloads : sequence of int
    pace : Pace
    edge : RisingEdge
        Of the clock.

    Attributes
    ----------
    done : int
        Payloads that have been taken.
    """

    def __init__(self, dut: Any, name: str, payloads: Sequence[int], pace: Pace, edge: Any) -> None:
        self.payloads = payloads
        self.done = 0
        self._valid, self._ready, self._payload = (
            getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self._pace = pace
        self._edge = edge

    async def send(self) -> None:
        """Offer all of them, each until it is taken."""
        for payload in self.payloads:
            while self._pace.pauses():
                self._valid.value = 0
                await self._edge
            self._payload.value = payload
            self._valid.value = 1
            await self._edge
            while not int(self._ready.value):
                await self._edge
            self.done += 1
        self.stop()

    def stop(self) -> None:
        """Offer nothing."""
        self._valid.value = 0


class Takes:
    """Payloads on their way out of the array: taken in every cycle, but for the gaps of its pace.

    Parameters are those of :class:`Offers`.

    Attributes
    ----------
    payloads : list of int
        Those that have been taken.
    """

    def __init__(self, dut: Any, name: str, pace: Pace, edge: Any) -> None:
        self.payloads: list[int] = []
        self._valid, self._ready, self._payload = (
            getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self._pace = pace
        self._edge = edge

    async def take(self) -> bool:
        """Be ready for a cycle, or pause; whether a payload was taken."""
        accepting = not self._pace.pauses()
        self._ready.value = accepting
        await self._edge
        taken = accepting and bool(int(self._valid.value))
        if taken:
            self.payloads.append(int(self._payload.value))
        return taken

    async def take_all(self) -> None:
        """Go on until cancelled."""
        while True:
            await self.take()

    def stop(self) -> None:
        """Take nothing."""
        self._ready.value = 0
