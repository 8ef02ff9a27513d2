"""A device behind a serial port, in Python: what :mod:`spec.frames` asks of one, and no more."""

from collections import deque

from spec.frames import (
    ADDRESS_BYTES,
    ANSWER_BYTES,
    COUNT_BYTES,
    LAST_BYTES,
    MOST_WORDS,
    REQUEST_BYTES,
    WORD_BYTES,
    Decoder,
    Kind,
    Outcome,
    encode,
)

REFUSES_FROM = 0x800
"""Where accesses to registers fail."""


class ModelDevice:
    """As :class:`sw.host.shell.serial.BytePort`, with a register at every address below
    ``REFUSES_FROM``.

    Parameters
    ----------
    queue_words : int
        That each queue holds.

    Attributes
    ----------
    registers : dict
        What was written; others are zero.
    writes : list of (address, word)
        In order, each as often as it was done.
    arriving : deque of (word, last)
        Words that were sent and that nobody has taken.
    leaving : deque of int
        Words that wait to be received.
    asked : list of Kind
        Of the frames that came whole.
    """

    def __init__(self, queue_words: int = 512):
        self.timeout: float | None = None
        self.queue_words = queue_words
        self.registers: dict[int, int] = {}
        self.writes: list[tuple[int, int]] = []
        self.arriving: deque[tuple[int, bool]] = deque()
        self.leaving: deque[int] = deque()
        self.asked: list[Kind] = []
        self.closed = 0
        self._decoder = Decoder()
        self._out = bytearray()
        self._answered: int | None = None
        self._answer = b""

    def write(self, data: bytes) -> int:
        for number, kind, payload in self._decoder.feed(data):
            if kind in list(Kind):
                self.asked.append(Kind(kind))
            self._frame(number, kind, payload)
        self.work()
        return len(data)

    def read(self, size: int) -> bytes:
        data = bytes(self._out[:size])
        del self._out[:size]
        return data

    def reset_input_buffer(self) -> None:
        self._out.clear()

    def close(self) -> None:
        self.closed += 1

    def power_up(self) -> None:
        """Reset."""
        self.arriving.clear()
        self.leaving.clear()
        self.registers.clear()
        self._decoder = Decoder()
        self._answered = None

    def work(self) -> None:
        """What goes on behind the queues: nothing."""

    @property
    def dropped(self) -> int:
        return self._decoder.broken

    def _frame(self, number: int, kind: int, payload: bytes) -> None:
        hello = kind == Kind.HELLO
        if not hello and self._answered == number:
            self._out += self._answer
            return
        if not _fits(kind, payload) or (self._answered is None and not hello):
            return
        self._answered = number
        self._answer = encode(number, kind, self._do(Kind(kind), payload))
        self._out += self._answer

    def _do(self, kind: Kind, payload: bytes) -> bytes:
        """What an answer brings."""
        if kind in (Kind.READ, Kind.WRITE):
            return self._access(kind, payload)
        if kind == Kind.SEND:
            return self._send(payload[0] == 1, payload[LAST_BYTES:])
        count = int.from_bytes(payload, "little") if kind == Kind.RECEIVE else 0
        words = [self.leaving.popleft() for _ in range(min(count, MOST_WORDS, len(self.leaving)))]
        return b"".join(word.to_bytes(WORD_BYTES, "little") for word in words)

    def _access(self, kind: Kind, payload: bytes) -> bytes:
        address = int.from_bytes(payload[:ADDRESS_BYTES], "little")
        failed = address >= REFUSES_FROM
        word = 0
        if kind == Kind.WRITE and not failed:
            self.registers[address] = int.from_bytes(payload[ADDRESS_BYTES:], "little")
            self.writes.append((address, self.registers[address]))
        elif not failed:
            word = self.registers.get(address, 0)
        outcome = Outcome.FAILED * failed | Outcome.WAITING * bool(self.leaving)
        answer = bytes([outcome]) + word.to_bytes(WORD_BYTES, "little")
        return answer[: ANSWER_BYTES[kind]]

    def _send(self, last: bool, data: bytes) -> bytes:
        room = self.queue_words - len(self.arriving)
        words = [data[at : at + WORD_BYTES] for at in range(0, len(data), WORD_BYTES)]
        if len(words) <= room:
            for at, word in enumerate(words, 1):
                ends = last and at == len(words)
                self.arriving.append((int.from_bytes(word, "little"), ends))
        return room.to_bytes(COUNT_BYTES, "little")


def _fits(kind: int, payload: bytes) -> bool:
    if kind not in list(Kind):
        return False
    words = len(payload) - REQUEST_BYTES[Kind(kind)]
    return words == 0 or (kind == Kind.SEND and words > 0 and words % WORD_BYTES == 0)
