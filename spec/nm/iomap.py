"""What the host reaches beside the two streams: memories, addresses, error codes.

The array has the ports ``start``, ``busy`` and ``error``, a stream ``write`` of (data, address,
memory), a stream ``read`` of (address, memory) with its answers on ``data``, the load stream ``i``
of ``config.load_bits`` and the result stream ``o`` of ``config.lane_bits``. Writes and reads wait
while a run goes on.
"""

from enum import IntEnum

import numpy as np

from spec import fields
from spec.config import IO_DATA_BITS, bits_for
from spec.errors import ErrorCode
from spec.nm.config import NmConfig
from spec.nm.counters import COUNTERS
from spec.nm.descriptor import descriptor_words


class Memory(IntEnum):
    """Destination of a write, source of a read. Word addresses are as follows.

    DESCRIPTOR
        Write ``word``: a descriptor's words, see :mod:`spec.nm.descriptor`.
    COUNTERS
        Read ``i``: counter i of :data:`spec.nm.counters.COUNTERS`, of the last run.
    """

    DESCRIPTOR = 0
    COUNTERS = 1


class Error(ErrorCode):
    """Codes of the ``error`` port.

    The first error stays until the next start that is accepted, but an error of the run itself
    replaces ``BUSY``. An error ends the run in the next cycle; a start begins anew whatever the run
    before left in buffers and pipeline. Words of the load stream that were meant for a run that
    failed are the host's to take back.

    What would take a multiplier to check is the packer's to keep: the tiles of a block fit into the
    activation buffer (``act_lines``), a strip's offsets into the gather stage (``gather_lines``).
    Beyond, addresses wrap, and results are wrong without a code.
    """

    NONE = 0, "no error"
    DESCRIPTOR = (
        1,
        "a start with a mode or gather stage that the array has not, with a count of zero, or with "
        "parts in blocks of several tiles",
    )
    BUSY = 2, "a start while a run goes on, which is not disturbed"
    STRIP = 3, "a strip without steps, or with more than the weight buffer holds"


ERROR_BITS = 2
MEMORY_BITS = bits_for(max(Memory))


def address_bits(config: NmConfig) -> int:
    """Width of an address."""
    return bits_for(max(descriptor_words(config), len(COUNTERS)) - 1)


def read_fields(config: NmConfig) -> dict[str, int]:
    """Fields of a read request, lowest bits first."""
    return {"address": address_bits(config), "memory": MEMORY_BITS}


def write_fields(config: NmConfig) -> dict[str, int]:
    """Fields of a write request, lowest bits first."""
    return {"data": IO_DATA_BITS, **read_fields(config)}


def pack_reads(config: NmConfig, memory: int, address: np.ndarray | int) -> np.ndarray:
    """Read requests as uint64, one each."""
    return fields.pack_reads(read_fields(config), address=address, memory=memory)


def pack_writes(
    config: NmConfig, memory: int, address: np.ndarray | int, data: np.ndarray | int
) -> np.ndarray:
    """Write requests as uint64 of shape (n, 2): data, then the rest; the arguments broadcast."""
    return fields.pack_writes(read_fields(config), data, address=address, memory=memory)
