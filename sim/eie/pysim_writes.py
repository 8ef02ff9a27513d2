"""The host's writes in Amaranth's simulator, cycle by cycle."""

from collections.abc import Callable
from typing import Any

import numpy as np
from amaranth import Value

from spec.eie.config import IO_DATA_BITS


class Writes:
    """Writes on their way to the array: one in each cycle, but for the gaps of ragged traffic.

    Parameters
    ----------
    context
        Of the testbench.
    stream
        The array's stream of writes.
    payloads : list of int
    """

    def __init__(self, context: Any, stream: Any, payloads: list[int]) -> None:
        self.context = context
        self.stream = stream
        self.payloads = payloads
        self.done = 0
        self.offered = False

    @property
    def more(self) -> bool:
        return self.done < len(self.payloads)

    @property
    def told(self) -> str:
        """How far it got, for messages."""
        return f"{self.done} of {len(self.payloads)}"

    async def clock(self, pauses: Callable[[], bool]) -> bool:
        """A cycle, in which the next word is offered unless there is a gap; whether it was
        taken."""
        if self.more and not self.offered and not pauses():
            self.context.set(Value.cast(self.stream.payload), self.payloads[self.done])
            self.context.set(self.stream.valid, 1)
            self.offered = True
        if not self.offered:
            await self.context.tick()
            return False
        _, _, taken = await self.context.tick().sample(self.stream.ready)
        if taken:
            self.done += 1
            self.give_up()
        return bool(taken)

    def give_up(self) -> None:
        """Offer nothing."""
        self.context.set(self.stream.valid, 0)
        self.offered = False


def join(pairs: np.ndarray) -> list[int]:
    """Packed writes as payloads of the stream."""
    return [low | high << IO_DATA_BITS for low, high in pairs.tolist()]
