"""A shell behind a UART: frames over a serial port, asked for again when they are lost."""

import errno
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from spec.errors import UserError
from spec.frames import (
    ADDRESS_BYTES,
    ANSWER_BYTES,
    COUNT_BYTES,
    CRC_BYTES,
    HEAD_BYTES,
    MOST_BYTES,
    MOST_WORDS,
    OUTCOME_BYTES,
    WORD_BYTES,
    Decoder,
    Kind,
    Outcome,
    encode,
)
from sw.host.port import PortError
from sw.host.shell.link import AccessError

LINE_BITS = 10
"""Of a byte on the line, with its start and its stop bit."""

PATIENCE_SECONDS = 0.1
"""For USB, the system and the device, besides the time that bytes take on the line."""

TRIES = 10
"""After which a device is called dead that does not answer a frame."""

POLLS = 2000
"""Looks for words that are waited for, all of them in vain, before it is called stuck."""


class BytePort(Protocol):
    """What is wanted of a serial port: a part of ``serial.Serial``.

    Attributes
    ----------
    timeout : float or None
        Seconds after which a read gives what there is.
    """

    timeout: Any

    def read(self, size: int) -> bytes: ...

    def write(self, data: bytes, /) -> int | None: ...

    def reset_input_buffer(self) -> None: ...

    def close(self) -> None: ...


def open_serial(name: str, baud: int) -> "SerialLink":
    """A link over the serial port of that name.

    Raises
    ------
    UserError
        There is no such port, it is in use, or it cannot be opened at that rate.
    PortError
        Nothing answers there.
    """
    if baud < 1:
        raise UserError(f"a rate of {baud} baud: it must be at least 1")
    try:
        import serial
        from serial.tools import list_ports
    except ImportError:
        raise UserError(
            "a serial port needs pyserial, which is not installed; get it: "
            "pip install 'skipstone[boards]'"
        ) from None
    try:
        port = serial.Serial(name, baud, exclusive=True)
    except (serial.SerialException, ValueError, OverflowError) as error:
        there = sorted(one.device for one in list_ports.comports())
        raise UserError(_why_closed(name, baud, there, error)) from None
    # Adapters keep what comes for up to 16 ms otherwise. Not every one can be told.
    with suppress(AttributeError, NotImplementedError, OSError, ValueError):
        port.set_low_latency_mode(True)
    try:
        return SerialLink(port, baud, name=name, tools={"pyserial": serial.__version__})
    except BaseException:
        port.close()
        raise


def _why_closed(name: str, baud: int, there: list[str], error: Exception) -> str:
    """What to say of a port that cannot be opened."""
    code = getattr(error, "errno", None)
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"there is no port {name}; there are: {', '.join(there) or 'none'}"
    if code in (errno.EAGAIN, errno.EBUSY):
        return f"the port {name} is in use by another program"
    if code == errno.EACCES:
        return f"the port {name} may not be opened by this user; its group may: see `ls -l {name}`"
    return f"the port {name} cannot be opened at {baud} baud: {error}"


class SerialLink:
    """As :class:`sw.host.shell.link.Link`. One frame is under way at a time.

    Parameters
    ----------
    port : BytePort
        It is closed with the link.
    baud : float
        Of the line: answers are waited for as long as they may take at that rate,
    patience : float
        and so many seconds longer.
    name : str
        What users call the port.
    tools : dict, optional
        Name and version of what made it.
    tries, polls : int
        :data:`TRIES` and :data:`POLLS`.

    Attributes
    ----------
    lost : int
        Frames, or answers to them, that did not come and were asked for again.

    Raises
    ------
    PortError
        Nothing answers.
    """

    def __init__(
        self,
        port: BytePort,
        baud: float,
        *,
        patience: float = PATIENCE_SECONDS,
        name: str = "the serial port",
        tools: dict[str, str] | None = None,
        tries: int = TRIES,
        polls: int = POLLS,
    ) -> None:
        self.tools = dict(tools or {})
        self.lost = 0
        self._port, self._what = port, f"{name} at {baud:g} baud"
        self._tries, self._polls = tries, polls
        self._number = 0
        self._decoder = Decoder()
        self._outbox: deque[np.ndarray] = deque()
        self._inbox = np.zeros(0, np.uint32)
        self._room = 0
        port.reset_input_buffer()
        port.timeout = patience + _line_seconds(HEAD_BYTES + CRC_BYTES, baud)
        if self._try(Kind.HELLO, b"") is None:
            raise PortError(f"no Skipstone answers on {self._what}, asked {tries} times")
        port.timeout = patience + _line_seconds(MOST_BYTES, baud)

    # Calls

    def read32(self, address: int) -> int:
        answer = self._access(Kind.READ, address, b"")
        return int.from_bytes(answer[OUTCOME_BYTES:], "little")

    def write32(self, address: int, word: int) -> None:
        self._access(Kind.WRITE, address, word.to_bytes(WORD_BYTES, "little"))

    def send(self, words: np.ndarray) -> None:
        if len(words):
            self._outbox.append(np.array(words, "<u4"))
        while self._send_some():
            pass

    def receive(self, count: int) -> np.ndarray:
        idle = 0
        while len(self._inbox) < count:
            idle = 0 if self._send_some() | self._receive_some() else idle + 1
            if idle > self._polls:
                raise PortError(
                    f"{count} words are waited for on {self._what}, {len(self._inbox)} came"
                )
        words, self._inbox = self._inbox[:count], self._inbox[count:]
        return words

    def drop(self) -> None:
        self._outbox.clear()
        self._inbox = self._inbox[:0]
        self._room = 0

    def close(self) -> None:
        self._port.close()

    # Parts of them

    def _access(self, kind: Kind, address: int, payload: bytes) -> bytes:
        """Words go on meanwhile, in both directions, or a run that waits for them would not end."""
        self._send_some()
        answer = self._exchange(kind, address.to_bytes(ADDRESS_BYTES, "little") + payload)
        outcome = int.from_bytes(answer[:OUTCOME_BYTES], "little")
        if outcome & Outcome.WAITING:
            self._receive_some()
        if outcome & Outcome.FAILED:
            raise AccessError(f"an access to 0x{address:03X} failed")
        return answer

    def _send_some(self) -> bool:
        """Send as much of a message as there is room for; was there any?"""
        if not self._outbox:
            return False
        words = self._outbox[0]
        if self._room < min(len(words), MOST_WORDS):
            self._room = self._ask(words[:0], last=False)
        count = min(len(words), MOST_WORDS, self._room)
        if not count:
            return False
        self._room = self._ask(words[:count], last=count == len(words)) - count
        if count == len(words):
            self._outbox.popleft()
        else:
            self._outbox[0] = words[count:]
        return True

    def _ask(self, words: np.ndarray, *, last: bool) -> int:
        """A SEND of words that there is room for; how much there was."""
        answer = self._exchange(Kind.SEND, bytes([last]) + words.tobytes())
        room = int.from_bytes(answer, "little")
        if room < len(words):
            raise PortError(f"{len(words)} words were sent on {self._what}, room was for {room}")
        return room

    def _receive_some(self) -> bool:
        """Receive what there is; was there any?"""
        answer = self._exchange(Kind.RECEIVE, MOST_WORDS.to_bytes(COUNT_BYTES, "little"))
        words = np.frombuffer(answer, "<u4").astype(np.uint32)
        self._inbox = np.concatenate([self._inbox, words])
        return bool(len(words))

    # Frames

    def _exchange(self, kind: Kind, payload: bytes) -> bytes:
        """What the device answers."""
        answer = self._try(kind, payload)
        if answer is not None:
            return answer
        if self._try(Kind.HELLO, b"") is not None:
            raise PortError(f"the device on {self._what} was reset meanwhile")
        raise PortError(f"the device on {self._what} does not answer any more")

    def _try(self, kind: Kind, payload: bytes) -> bytes | None:
        """Ask until an answer comes."""
        self._number = (self._number + 1) % 256
        frame = encode(self._number, kind, payload)
        for _ in range(self._tries):
            try:
                self._port.write(frame)
                answer = self._listen(kind)
            except OSError as error:
                raise PortError(f"{self._what}: {error}") from None
            if answer is not None:
                return answer
            self.lost += 1
        return None

    def _listen(self, kind: Kind) -> bytes | None:
        """The answer to the frame under way, unless it takes too long."""
        wanted = 1 + HEAD_BYTES + ANSWER_BYTES[kind] + CRC_BYTES + 1
        heard = 0
        while heard < 4 * MOST_BYTES:
            data = self._port.read(wanted)
            heard += len(data)
            for number, answered, payload in list(self._decoder.feed(data)):
                if (number, answered) == (self._number, kind) and _fits(kind, payload):
                    return payload
            if len(data) < wanted:
                return None
            wanted = max(1, getattr(self._port, "in_waiting", 0))
        return None


def _line_seconds(size: int, baud: float) -> float:
    """For a frame and its answer, at most so long, if each of their bytes is written as two."""
    return 2 * (2 * size + 2) * LINE_BITS / baud


def _fits(kind: Kind, payload: bytes) -> bool:
    """Whether an answer is as long as one of its kind."""
    if kind == Kind.RECEIVE:
        return len(payload) % WORD_BYTES == 0
    return len(payload) == ANSWER_BYTES[kind]
