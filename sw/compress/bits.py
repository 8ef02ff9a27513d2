"""Fields of any width, one behind the other: how compressed weights are written and read.

Bits are uint8 arrays of zeros and ones here, the highest bit of a field first; bytes take eight of
them, the first one highest, and the last byte is filled up with zeros.
"""

import numpy as np

from spec.errors import UserError


class Writer:
    """Collects fields."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self.length = 0

    def put(self, bits: np.ndarray) -> None:
        """Bits as they are."""
        self._parts.append(bits)
        self.length += len(bits)

    def field(self, value: int, width: int) -> None:
        """One number."""
        self.fields(np.array([value]), width)

    def fields(self, values: np.ndarray, width: int) -> None:
        """Numbers 0...2**width - 1, each of ``width`` bits."""
        self.put(fixed(values, np.full(len(values), width)))

    def varying(self, values: np.ndarray, widths: np.ndarray) -> None:
        """Numbers of a width of their own each, which may be 0."""
        self.put(fixed(values, widths))

    def count(self, value: int) -> None:
        """A number of any size: 7 bits at a time, the lowest first, each behind a bit that is one
        if there are more."""
        while value >= 128:
            self.field(128 | value & 127, 8)
            value >>= 7
        self.field(value, 8)

    def raw(self, data: bytes) -> None:
        """Whole bytes; they need not stand at a whole byte."""
        self.put(np.unpackbits(np.frombuffer(data, np.uint8)))

    def append(self, other: "Writer") -> None:
        """All that another one has collected."""
        self._parts += other._parts
        self.length += other.length

    def tobytes(self) -> bytes:
        return np.packbits(np.concatenate([np.zeros(0, np.uint8), *self._parts])).tobytes()


class Reader:
    """Takes fields off again, in the same order.

    Attributes
    ----------
    bits : uint8, all of them
    at : int
        The next one.
    """

    def __init__(self, data: bytes) -> None:
        self.bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self.at = 0

    def take(self, count: int) -> np.ndarray:
        """The next bits.

        Raises
        ------
        UserError
            There are not so many.
        """
        if count > len(self.bits) - self.at:
            raise UserError(
                f"the data is truncated: {len(self.bits) - self.at} bits are left where {count} "
                "are expected"
            )
        self.at += count
        return self.bits[self.at - count : self.at]

    def field(self, width: int) -> int:
        return int(self.fields(1, width)[0])

    def fields(self, count: int, width: int) -> np.ndarray:
        """Int64, shape (count,)."""
        bits = self.take(count * width).reshape(count, width)
        return bits.astype(np.int64) @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))

    def varying(self, widths: np.ndarray) -> np.ndarray:
        """Numbers of these widths; int64."""
        bits = self.take(int(widths.sum()))
        ends = np.cumsum(widths)
        values = np.zeros(len(widths), np.int64)
        for place in range(int(widths.max(initial=0))):
            has = widths > place
            values[has] |= bits[ends[has] - 1 - place].astype(np.int64) << place
        return values

    def count(self) -> int:
        value = shift = 0
        while True:
            byte = self.field(8)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def raw(self, count: int) -> bytes:
        return np.packbits(self.take(8 * count)).tobytes()


def fixed(values: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The bits of numbers, each in as many as its width, highest first."""
    values, widths = np.asarray(values, np.uint64), np.asarray(widths, np.int64)
    ends = np.cumsum(widths)
    bits = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for place in range(int(widths.max(initial=0))):
        has = widths > place
        bits[ends[has] - 1 - place] = values[has] >> np.uint64(place) & np.uint64(1)
    return bits
