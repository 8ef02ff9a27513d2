"""The two sides of the array's streams in Amaranth's simulator, cycle by cycle."""

from collections.abc import Sequence
from typing import Any

from amaranth import Value

from sim.pace import Pace


class Offers:
    """Payloads on their way to the array: one in each cycle, but for the gaps of its pace. What has
    been offered stays so until it is taken.

    Parameters
    ----------
    context
        Of the testbench.
    stream
        Of the array.
    payloads : sequence of int
    pace : Pace
    """

    def __init__(self, context: Any, stream: Any, payloads: Sequence[int], pace: Pace) -> None:
        self.ready = stream.ready
        self.payloads = payloads
        self.done = 0
        self.offered = False
        self._context = context
        self._valid = stream.valid
        self._payload = Value.cast(stream.payload)
        self._pace = pace
        self._shown = False

    @property
    def more(self) -> bool:
        return self.done < len(self.payloads)

    def offer(self) -> bool:
        """In front of a cycle: offer a payload, or go on offering it; whether there is one."""
        if not self.offered and self.more and not self._pace.pauses():
            self._context.set(self._payload, self.payloads[self.done])
            self.offered = True
        self._show(self.offered)
        return self.offered

    def note(self, ready: int) -> bool:
        """Behind the cycle: whether the payload was taken."""
        taken = self.offered and bool(ready)
        if taken:
            self.done += 1
            self.offered = False
        return taken

    def stop(self) -> None:
        """Offer nothing."""
        self.offered = False
        self._show(False)

    def _show(self, offered: bool) -> None:
        if offered != self._shown:
            self._context.set(self._valid, offered)
            self._shown = offered


class Takes:
    """Payloads on their way out of the array: taken in every cycle, but for the gaps of its pace.

    Parameters are those of :class:`Offers`.

    Attributes
    ----------
    payloads : list of int
        Those that have been taken.
    """

    def __init__(self, context: Any, stream: Any, pace: Pace) -> None:
        self.valid = stream.valid
        self.payload = stream.payload
        self.payloads: list[int] = []
        self._context = context
        self._ready = stream.ready
        self._pace = pace
        self._shown = False

    def accept(self) -> None:
        """In front of a cycle: be ready, or pause."""
        self._show(not self._pace.pauses())

    def note(self, valid: int, payload: int) -> bool:
        """Behind the cycle: whether a payload was taken."""
        taken = self._shown and bool(valid)
        if taken:
            self.payloads.append(payload)
        return taken

    def stop(self) -> None:
        """Take nothing."""
        self._show(False)

    def _show(self, accepting: bool) -> None:
        if accepting != self._shown:
            self._context.set(self._ready, accepting)
            self._shown = accepting
