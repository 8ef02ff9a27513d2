"""Everything that happens to a serial line: noise, cut cables, resets, programs that are killed.

:func:`events` draws it, :class:`NoisyPort` lets it happen to any serial port, and :func:`survive`
holds a device to what it must do then: say so or carry on, and afterwards work as before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from spec.errors import Failure


class Kind(Enum):
    """What happens: to a byte, to the cable, to the device, to the host."""

    FLIP = "a bit of a byte flips"
    DROP = "a byte is lost"
    INSERT = "a byte comes that nobody sent"
    CUT = "some bytes are lost, one after the other"
    RESET = "the device is reset"
    KILL = "the program on the host ends, and another one takes its place"


@dataclass(frozen=True)
class Event:
    """Something that happens once.

    Attributes
    ----------
    kind : Kind
    there : bool
        On the way from the host to the device, or else on the way back.
    after : int
        Bytes that pass there before.
    value : int
        The bit that flips, the byte that is inserted, or how many bytes are cut away.
    """

    kind: Kind
    there: bool
    after: int
    value: int


class Killed(Exception):  # noqa: N818 -- nobody's error
    """The host's program ends here."""


def events(rng: np.random.Generator, count: int, sizes: tuple[int, int]) -> Iterator[Event]:
    """Random ones, as many of each kind, in work of which so many bytes pass there and back."""
    kinds = list(Kind)
    for at in range(count):
        kind, there = kinds[at % len(kinds)], bool(rng.integers(2))
        after = int(rng.integers(sizes[0] if there else sizes[1]))
        value = {Kind.FLIP: 8, Kind.INSERT: 256, Kind.CUT: 100}.get(kind, 1)
        yield Event(kind, there, after, int(rng.integers(value)))


class NoisyPort:
    """As :class:`sw.host.shell.serial.BytePort`: another one, to which an event happens.

    Parameters
    ----------
    port : BytePort
        With a ``power_up()``, which resets the device.

    Attributes
    ----------
    happened : bool
        The event is over, or there was none.
    passed : list of int
        Bytes that were given to it for there and for back, since the last :meth:`arm`.
    """

    def __init__(self, port: Any):
        self._port = port
        self._ahead = bytearray()
        self._event: Event | None = None
        self._cut = 0
        self.passed = [0, 0]

    @property
    def happened(self) -> bool:
        return self._event is None

    @property
    def timeout(self) -> float | None:
        return self._port.timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._port.timeout = seconds

    def arm(self, event: Event) -> None:
        """Let it happen, counted from now."""
        self._event, self.passed = event, [0, 0]
        self._cut = max(1, event.value) if event.kind is Kind.CUT else 0

    def disarm(self) -> None:
        """Let nothing happen any more."""
        self._event = None

    def write(self, data: bytes) -> int:
        if self._event is None or not self._event.there:
            self.passed[0] += len(data)
            self._port.write(data)
            return len(data)
        for byte in data:
            self._port.write(self._strike(byte, 0))
        return len(data)

    def read(self, size: int) -> bytes:
        while len(self._ahead) < size:
            data = self._port.read(size - len(self._ahead))
            if not data:
                break
            if self._event is None or self._event.there:
                self.passed[1] += len(data)
                self._ahead += data
                continue
            for byte in data:
                self._ahead += self._strike(byte, 1)
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def reset_input_buffer(self) -> None:
        self._ahead.clear()
        self._port.reset_input_buffer()

    def close(self) -> None:
        self._port.close()

    def _strike(self, byte: int, way: int) -> bytes:
        """What becomes of a byte that passes."""
        event = self._event
        self.passed[way] += 1
        if event is None or self.passed[way] <= event.after:
            return bytes([byte])
        if event.kind is Kind.CUT:
            self._cut -= 1
            if not self._cut:
                self._event = None
            return b""
        self._event = None
        match event.kind:
            case Kind.FLIP:
                return bytes([byte ^ 1 << event.value])
            case Kind.DROP:
                return b""
            case Kind.INSERT:
                return bytes([event.value, byte])
            case Kind.RESET:
                self._port.power_up()
                return bytes([byte])
        raise Killed


def survive(port: NoisyPort, event: Event, connect: Callable[[], Any], work: Callable) -> bool:
    """An event happens while a device works: it must do its work right, or else fail, and then do
    it right as if nothing had been.

    Parameters
    ----------
    connect : callable
        Gives what ``work`` takes, of a device in any state.
    work : callable
        Fails a test if what the device does is wrong. Raises :class:`spec.errors.Failure` if the
        device, or whoever speaks to it, says that something is wrong.

    Returns
    -------
    bool
        Someone noticed.
    """
    port.arm(event)
    try:
        work(connect())
    except (Failure, Killed):
        port.disarm()
        work(connect())
        return True
    return False
