"""Fields as words of the host's streams, there and back."""

from dataclasses import dataclass

import numpy as np
import pytest

from spec.errors import UserError
from spec.fields import pack, pack_reads, pack_writes, unpack, words_for

pytestmark = pytest.mark.unit

WIDTHS = {"low": 3, "flag": 1, "wide": 62, "high": 30}


@dataclass(frozen=True)
class Thing:
    low: int
    flag: bool
    wide: int
    high: int


def test_words_hold_fields_lowest_first():
    assert words_for(WIDTHS) == 2
    words = pack(WIDTHS, Thing(5, True, 1 << 61 | 3, 7))
    assert words == [0b11_1_101, 0b111_10]
    assert words_for({"one": 64}) == 1
    assert words_for({"one": 64, "other": 1}) == 2


def test_there_and_back(rng):
    for _ in range(50):
        values = [int(rng.integers(1 << bits)) for bits in WIDTHS.values()]
        thing = Thing(values[0], bool(values[1]), *values[2:])
        words = pack(WIDTHS, thing)
        assert all(0 <= word < 1 << 64 for word in words)
        assert unpack(Thing, WIDTHS, words) == thing
        assert type(unpack(Thing, WIDTHS, words).flag) is bool


@pytest.mark.parametrize("value", [8, -1])
def test_what_does_not_fit_is_refused(value):
    with pytest.raises(UserError, match=f"thing: low = {value} does not fit in 3 bits"):
        pack(WIDTHS, Thing(value, False, 0, 0))


def test_requests_broadcast():
    widths = {"address": 4, "memory": 2, "pe": 3}
    reads = pack_reads(widths, address=np.arange(3), memory=2, pe=np.array([[1], [5]]))
    assert reads.dtype == np.uint64
    assert reads.tolist() == [pe << 6 | 2 << 4 | at for pe in (1, 5) for at in range(3)]
    writes = pack_writes(widths, np.array([-1, 7, 8]), address=1, memory=1, pe=0)
    assert writes.tolist() == [[(1 << 64) - 1, 17], [7, 17], [8, 17]]
    assert pack_reads(widths, address=9, memory=0, pe=0).shape == (1,)
    with pytest.raises(ValueError, match="broadcast"):
        pack_reads(widths, address=np.arange(3), memory=0, pe=np.arange(2))
