"""Fields of some bits one behind the other, first field in the lowest bits, as words of the host's
streams: descriptors, and requests that carry them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

import numpy as np

from spec.config import IO_DATA_BITS
from spec.errors import UserError

Thing = TypeVar("Thing")

Widths = Mapping[str, int]
"""Name and width in bits of each field, lowest bits first."""


def words_for(widths: Widths) -> int:
    """Words that the fields take."""
    return -(-sum(widths.values()) // IO_DATA_BITS)


def pack(widths: Widths, thing: object) -> list[int]:
    """The fields of ``thing``, which are its attributes, as words.

    Raises
    ------
    UserError
        A value that does not fit in its field.
    """
    value, at = 0, 0
    for name, bits in widths.items():
        field = int(getattr(thing, name))
        if not 0 <= field < 1 << bits:
            kind = type(thing).__name__.lower()
            raise UserError(f"{kind}: {name} = {field} does not fit in {bits} bits")
        value |= field << at
        at += bits
    mask = (1 << IO_DATA_BITS) - 1
    return [value >> (IO_DATA_BITS * word) & mask for word in range(words_for(widths))]


def unpack(kind: type[Thing], widths: Widths, words: list[int]) -> Thing:
    """The inverse of :func:`pack`, for a dataclass ``kind`` of numbers and truth values."""
    value = sum(int(word) << (IO_DATA_BITS * index) for index, word in enumerate(words))
    kinds = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, int | bool] = {}
    for name, bits in widths.items():
        field = value & ((1 << bits) - 1)
        values[name] = bool(field) if kinds[name] is bool else field
        value >>= bits
    return kind(**values)


def pack_reads(widths: Widths, **values: np.ndarray | int) -> np.ndarray:
    """Requests as uint64, one each, of fields that fit in it; the values, one for every field,
    broadcast against each other."""
    return _requests(widths, values).ravel()


def pack_writes(widths: Widths, data: np.ndarray | int, **values: np.ndarray | int) -> np.ndarray:
    """Requests with a word of data before them, as uint64 of shape (n, 2); all broadcast."""
    words = np.asarray(data).astype(np.uint64)
    words, requests = np.broadcast_arrays(words, _requests(widths, values))
    return np.stack([words.ravel(), requests.ravel()], axis=1)


def _requests(widths: Widths, values: Mapping[str, np.ndarray | int]) -> np.ndarray:
    packed, at = np.zeros((), np.uint64), 0
    for name, bits in widths.items():
        packed = packed | np.asarray(values[name], np.uint64) << np.uint64(at)
        at += bits
    return np.asarray(packed)
