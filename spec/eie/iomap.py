"""What the host reaches: memories, addresses, the payloads of the I/O streams, error
codes."""

from enum import IntEnum

import numpy as np

from spec import fields
from spec.config import IO_DATA_BITS, bits_for
from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.descriptor import descriptor_words
from spec.errors import ErrorCode


class Memory(IntEnum):
    """Destination of a write, source of a read. Word addresses are as follows.

    CONTROL
        Write 0: :func:`arming`, which passes of the table a start runs. Read ``pass << k | i``:
        counter i of :data:`ARRAY_COUNTERS`. Not per PE.
    DESCRIPTORS
        Write ``pass << k | word``: a descriptor's words. Not per PE.
    CODEBOOK
        Write ``codebook << code_bits | code``: a weight.
    BIASES
        Write an accumulator-wide integer.
    POINTERS
        Write line and slot, ``line << slot_bits | slot``, of a column's first entry; word j + 1 is
        where column j ends.
    LINES
        Write a line of entries, first entry in the lowest bits, an entry's code below its run.
    ACTIVATIONS
        Read and write ``(lane * 2 + half) << act_row_bits | row``. A run starts with half 0 as its
        source.
    COUNTERS
        Read ``pass << k | i``: counter i of :data:`PE_COUNTERS`.
    """

    CONTROL = 0
    DESCRIPTORS = 1
    CODEBOOK = 2
    BIASES = 3
    POINTERS = 4
    LINES = 5
    ACTIVATIONS = 6
    COUNTERS = 7


class Error(ErrorCode):
    """Codes of the ``error`` port.

    The first error stays until the next start that is accepted, but an error of the run itself
    replaces ``BUSY``.
    """

    NONE = 0, "no error"
    NO_IMAGE = 1, "a start before passes that the table holds were named"
    BUSY = 2, "a start while a run or the clearing of accumulators goes on, which is not disturbed"
    COLUMN = 3, "a non-zero activation behind the last column of the layer or the pointer memory"
    ROW = 4, "an entry whose row lies behind the pass's last"
    POINTER = 5, "a column that ends before it starts, or behind the matrix memory"


WHILE_COMPUTING = (
    Memory.DESCRIPTORS,
    Memory.CODEBOOK,
    Memory.BIASES,
    Memory.POINTERS,
    Memory.LINES,
)
"""Memories that a double-buffered array lets the host write while it computes; other requests
wait."""

ARMING_BITS = 16
"""Width of each half of :func:`arming`."""

ERROR_BITS = 4
MEMORY_BITS = bits_for(max(Memory))


def arming(first: int, count: int) -> int:
    """The word that makes a start run ``count`` passes of the table from the ``first`` on."""
    return first << ARMING_BITS | count


def array_counter_bits() -> int:
    """Low address bits that pick a counter of central control."""
    return bits_for(len(ARRAY_COUNTERS) - 1)


def pe_counter_bits() -> int:
    """Low address bits that pick a counter of a PE."""
    return bits_for(len(PE_COUNTERS) - 1)


def descriptor_word_bits(config: EieConfig) -> int:
    """Low address bits that pick a word of a descriptor (0 when it has only one)."""
    return (descriptor_words(config) - 1).bit_length()


def read_fields(config: EieConfig) -> dict[str, int]:
    """Fields of a read request, lowest bits first."""
    return {"address": config.io_address_bits, "memory": MEMORY_BITS, "pe": config.pe_bits}


def write_fields(config: EieConfig) -> dict[str, int]:
    """Fields of a write request, lowest bits first."""
    return {"data": IO_DATA_BITS, **read_fields(config)}


def pack_reads(
    config: EieConfig, memory: int, pe: np.ndarray | int, address: np.ndarray | int
) -> np.ndarray:
    """Read requests as uint64, one each; ``pe`` and ``address`` broadcast against each other."""
    return fields.pack_reads(read_fields(config), address=address, memory=memory, pe=pe)


def pack_writes(
    config: EieConfig,
    memory: int,
    pe: np.ndarray | int,
    address: np.ndarray | int,
    data: np.ndarray | int,
) -> np.ndarray:
    """Write requests as uint64 of shape (n, 2): data, then the rest; the arguments broadcast."""
    widths = read_fields(config)
    return fields.pack_writes(widths, data, address=address, memory=memory, pe=pe)
