"""Frames on a UART: register accesses and words of messages over a line that may lose bytes.

A frame is bytes between two ``END``, with what stands for ``END`` and ``ESC`` within it written as
two bytes (SLIP, RFC 1055)::

    number, kind, payload ..., CRC-16 of all before (two bytes, low one first)

The host asks, the device answers each frame with one of the same number and kind. What arrives
broken is dropped, so the host asks again when no answer comes; a frame of the number that was
answered last is answered again and not done twice. Numbers count up, modulo 256. ``END`` brings
both sides back to the beginning of a frame, so a lost byte costs a frame, never more.

======== ============================== ==============================
kind     the host's payload             the device's
======== ============================== ==============================
HELLO    nothing                        nothing
READ     address (2 bytes)              outcome (1 byte), word (4)
WRITE    address (2 bytes), word (4)    outcome (1 byte)
SEND     last (1 byte), words           words that there was room for (2 bytes)
RECEIVE  most words wanted (2 bytes)    words that are there
======== ============================== ==============================

A HELLO is always done anew, whatever its number. A device that was reset answers nothing before the
first one, so that nobody takes it for one that still knows what it was told.

The words of a SEND are taken if there was room for all of them, and else none is; the last one ends
its message if ``last`` is 1. One of no words only asks for the room.

Numbers of several bytes have the lowest one first.
"""

import binascii
from collections.abc import Iterator
from enum import IntEnum, IntFlag

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD

CRC_BITS = 16
CRC_POLYNOMIAL = 0x1021
CRC_START = 0xFFFF
"""CRC-16/CCITT-FALSE: the highest bit of a byte first, nothing inverted."""

CRC_BYTES = CRC_BITS // 8
HEAD_BYTES = 2
ADDRESS_BYTES = 2
"""Of which those bits count that an address has."""

COUNT_BYTES = 2
LAST_BYTES = 1
OUTCOME_BYTES = 1
WORD_BYTES = 4

MOST_WORDS = 254
"""Of a SEND or a RECEIVE: a frame of so many fits into 1024 bytes."""

MOST_BYTES = HEAD_BYTES + LAST_BYTES + WORD_BYTES * MOST_WORDS + CRC_BYTES
"""Of a frame, before what is written as two bytes."""


class Kind(IntEnum):
    """What is asked for."""

    HELLO = 0
    READ = 1
    WRITE = 2
    SEND = 3
    RECEIVE = 4


REQUEST_BYTES = {
    Kind.HELLO: 0,
    Kind.READ: ADDRESS_BYTES,
    Kind.WRITE: ADDRESS_BYTES + WORD_BYTES,
    Kind.SEND: LAST_BYTES,
    Kind.RECEIVE: COUNT_BYTES,
}
"""Of the host's payload, without the words of a SEND."""

ANSWER_BYTES = {
    Kind.HELLO: 0,
    Kind.READ: OUTCOME_BYTES + WORD_BYTES,
    Kind.WRITE: OUTCOME_BYTES,
    Kind.SEND: COUNT_BYTES,
    Kind.RECEIVE: 0,
}
"""Of the device's payload, without the words of a RECEIVE."""


class Outcome(IntFlag):
    """Bits of an outcome.

    FAILED
        The access was refused, as on a bus.
    WAITING
        There are words to be received.
    """

    FAILED = 1
    WAITING = 2


def crc(data: bytes, start: int = CRC_START) -> int:
    """Of some bytes; with ``start`` that of those before them, of all."""
    return binascii.crc_hqx(data, start)


def encode(number: int, kind: int, payload: bytes) -> bytes:
    """A frame as it is sent, with an END on both sides."""
    inner = bytes([number, kind]) + payload
    inner += crc(inner).to_bytes(CRC_BYTES, "little")
    escaped = inner.replace(bytes([ESC]), bytes([ESC, ESC_ESC]))
    escaped = escaped.replace(bytes([END]), bytes([ESC, ESC_END]))
    return bytes([END]) + escaped + bytes([END])


class Decoder:
    """Finds frames in bytes as they come; what is broken is dropped, and counted.

    Attributes
    ----------
    broken : int
        Frames that were dropped.
    """

    def __init__(self) -> None:
        self.broken = 0
        self._bytes = bytearray()
        self._escaped = self._spoiled = False

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Number, kind and payload of every frame that ends in these bytes."""
        for byte in data:
            if byte == END:
                yield from self._finish()
            elif self._escaped:
                self._escaped = False
                self._spoiled |= byte not in (ESC_END, ESC_ESC)
                self._bytes.append({ESC_END: END, ESC_ESC: ESC}.get(byte, byte))
            elif byte == ESC:
                self._escaped = True
            else:
                self._bytes.append(byte)
            if len(self._bytes) > MOST_BYTES:
                self._spoiled = True
                self._bytes.clear()

    def _finish(self) -> Iterator[tuple[int, int, bytes]]:
        inner, spoiled = bytes(self._bytes), self._spoiled or self._escaped
        self._bytes.clear()
        self._escaped = self._spoiled = False
        if not inner and not spoiled:
            return  # between two frames
        end = len(inner) - CRC_BYTES
        if spoiled or end < HEAD_BYTES or crc(inner[:end]).to_bytes(2, "little") != inner[end:]:
            self.broken += 1
            return
        yield inner[0], inner[1], inner[HEAD_BYTES:end]
