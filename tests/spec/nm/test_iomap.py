"""Requests, addresses and error codes."""

import pytest

from spec.nm.config import preset
from spec.nm.counters import CAUSES, COUNTERS
from spec.nm.iomap import (
    ERROR_BITS,
    MEMORY_BITS,
    Error,
    Memory,
    address_bits,
    pack_reads,
    pack_writes,
    read_fields,
    write_fields,
)

pytestmark = pytest.mark.unit

CONFIG = preset("tiny")


def test_fields():
    assert read_fields(CONFIG) == {"address": address_bits(CONFIG), "memory": MEMORY_BITS}
    assert list(write_fields(CONFIG)) == ["data", "address", "memory"]
    assert len(COUNTERS) <= 1 << address_bits(CONFIG)
    assert max(Error) < 1 << ERROR_BITS
    assert all(error.meaning for error in Error)
    assert set(CAUSES) < set(COUNTERS)


def test_requests():
    assert pack_writes(CONFIG, Memory.DESCRIPTOR, [0, 1], [5, 6]).tolist() == [[5, 0], [6, 1]]
    high = 1 << address_bits(CONFIG)
    assert pack_reads(CONFIG, Memory.COUNTERS, [0, 3]).tolist() == [high, high | 3]
