"""Requests of the host as bits."""

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.descriptor import descriptor_words
from spec.eie.iomap import (
    ARMING_BITS,
    ERROR_BITS,
    MEMORY_BITS,
    Error,
    Memory,
    arming,
    array_counter_bits,
    descriptor_word_bits,
    pack_reads,
    pack_writes,
    pe_counter_bits,
    read_fields,
    write_fields,
)
from tests.programs import random_config

pytestmark = pytest.mark.unit


def unpack(value: int, widths: dict[str, int]) -> dict[str, int]:
    """Fields of a request, taken apart again."""
    found = {}
    for name, bits in widths.items():
        found[name] = value & ((1 << bits) - 1)
        value >>= bits
    assert value == 0
    return found


def test_reads_hold_their_fields(rng):
    for _ in range(100):
        config = random_config(rng, pes=int(rng.integers(1, 257)))
        memory = rng.choice(list(Memory))
        pe = int(rng.integers(config.pes))
        address = int(rng.integers(1 << config.io_address_bits))
        (word,) = pack_reads(config, memory, pe, address)
        assert unpack(int(word), read_fields(config)) == {
            "address": address,
            "memory": memory,
            "pe": pe,
        }


def test_writes_hold_their_fields(rng):
    for _ in range(100):
        config = random_config(rng, pes=int(rng.integers(1, 257)))
        pe = int(rng.integers(config.pes))
        address = int(rng.integers(1 << config.io_address_bits))
        data = int(rng.integers(1 << 64, dtype=np.uint64, endpoint=False)) if rng.integers(2) else 7
        ((low, high),) = pack_writes(config, Memory.LINES, pe, address, np.array(data, np.uint64))
        assert unpack(int(low) | int(high) << 64, write_fields(config)) == {
            "data": data,
            "address": address,
            "memory": Memory.LINES,
            "pe": pe,
        }


def test_arguments_broadcast():
    config = preset("tiny")
    pes, addresses = np.arange(4)[:, None], np.arange(3)
    reads = pack_reads(config, Memory.POINTERS, pes, addresses)
    writes = pack_writes(config, Memory.POINTERS, pes, addresses, 9)
    assert reads.shape == (12,)
    assert writes.shape == (12, 2)
    assert np.array_equal(writes[:, 1], reads)
    assert reads[5] == pack_reads(config, Memory.POINTERS, 1, 2)[0]


def test_negative_data_is_twos_complement():
    words = pack_writes(preset("tiny"), Memory.BIASES, 0, np.arange(2), np.array([-1, -3]))
    assert words[:, 0].tolist() == [(1 << 64) - 1, (1 << 64) - 3]


def test_a_write_is_wider_than_its_data():
    """Verilator and the harnesses count on it."""
    for pes in (1, 2, 256):
        assert sum(write_fields(preset("tiny", pes=pes, clusters=1)).values()) > 64


def test_codes_fit():
    assert max(Memory) < 1 << MEMORY_BITS
    assert max(Error) < 1 << ERROR_BITS
    assert len(ARRAY_COUNTERS) <= 1 << array_counter_bits()
    assert len(PE_COUNTERS) <= 1 << pe_counter_bits()
    config = preset("default")
    assert descriptor_words(config) <= 1 << descriptor_word_bits(config)


def test_arming_names_a_first_pass_and_a_count():
    assert arming(0, 1) == 1
    assert arming(3, 5) == 3 << 16 | 5
    largest = EieConfig(layers=256)
    assert max(largest.layers - 1, largest.layers) < 1 << ARMING_BITS


def test_errors_say_what_they_mean():
    assert Error.NONE == 0
    for error in Error:
        assert Error(int(error)) is error
        assert len(error.meaning) > 5
