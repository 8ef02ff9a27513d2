"""The requests that a simulator process serves on its socket, and the answers that it gives.

Everything is unsigned 64-bit integers in this machine's byte order. A request is its kind, a limit
of cycles (of a run, otherwise 0) and a number of words; then these words. They are payloads for a
stream of the array, one after another, each of as many words as its port is wide, the lowest first:
for the stream ``write``, for ``read``, and for the one that the engine's runs take.

An answer is a status, a value (payloads done, or the cycles of a run), the array's error code and a
number of words; then these words, which follow only if all went well: what was read, or what the
engine's runs give.

Two kinds of processes speak it: the native harnesses (``harness/``, which are given these codes
when they are compiled) and cocotb's (:mod:`sim.cocotb_server`).
"""

import struct
from enum import IntEnum

WORD_BYTES = 8
REQUEST = struct.Struct("=QQQ")
ANSWER = struct.Struct("=QQQQ")


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


DENSITIES = (1, 4, 7)
"""Ragged traffic pauses in so many of eight cycles; each side of a stream picks one of these for
each request."""


SOCKET = "SKIPSTONE_SOCKET"
PATIENCE = "SKIPSTONE_PATIENCE"
RAGGED = "SKIPSTONE_RAGGED"
"""Environment variables that tell cocotb's process its socket, its patience in cycles, and a
seed."""


def macros() -> dict[str, int | str]:
    """The codes as C preprocessor macros."""
    requests: dict[str, int | str] = {f"REQUEST_{kind.name}": kind.value for kind in Request}
    statuses = {f"STATUS_{status.name}": status.value for status in Status}
    return requests | statuses | {"DENSITIES": ",".join(map(str, DENSITIES))}
