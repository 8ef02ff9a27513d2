"""The requests that a simulator process serves on its socket, and the answers that it gives.

Everything is unsigned 64-bit integers in this machine's byte order. A request is its kind, a limit
of cycles (of a run, otherwise 0) and a count; then ``count`` payloads: of two words each for a
write, and for the writes that are sent during a run; of one word for a read. An answer is a status,
a value (words done, or the cycles of a run) and the array's error code; then, if a read went well,
the words that were read.

Two processes speak it: the native harness (``harness/native.cpp``, which is given these codes when
it is compiled) and cocotb's (:mod:`sim.eie.cocotb_server`).
"""

import struct
from enum import IntEnum

WORD_BYTES = 8
REQUEST = struct.Struct("=QQQ")
ANSWER = struct.Struct("=QQQ")


class Request(IntEnum):
    """What the process is asked to do."""

    RESET = 1
    WRITE = 2
    READ = 3
    RUN = 4
    QUIT = 5


class Status(IntEnum):
    """How it went."""

    OK = 0
    NOT_READY = 1
    """A handshake, or the end of reset, took longer than the process has patience."""
    STILL_BUSY = 2
    """A run has not ended within its limit."""


PAYLOAD_WORDS = {Request.WRITE: 2, Request.READ: 1, Request.RUN: 2}
"""Words in each payload that follows a request."""

DENSITIES = (1, 4, 7)
"""Ragged traffic pauses in so many of eight cycles; each request picks one of these."""


SOCKET = "SKIPSTONE_SOCKET"
PATIENCE = "SKIPSTONE_PATIENCE"
RAGGED = "SKIPSTONE_RAGGED"
"""Environment variables that tell cocotb's process its socket, its patience in cycles, and a
seed."""


def macros() -> dict[str, int]:
    """The codes as C preprocessor macros."""
    requests = {f"REQUEST_{kind.name}": kind.value for kind in Request}
    return requests | {f"STATUS_{status.name}": status.value for status in Status}
