"""Huffman codes: symbols that occur often take few bits (Huffman, 1952), in canonical form.

Codes of one length are consecutive numbers in the order of their symbols, and longer ones follow
shorter ones; so the lengths alone say what the codes are. A table is stored as

========= ====================================================================
9 bits    number of symbols in it, up to the last one that occurs
3 bits    width of a length
a length  for each symbol, 0 if it does not occur
========= ====================================================================

A sequence of one symbol only takes no bits besides its table.
"""

import heapq
from functools import cached_property

import numpy as np

from spec.errors import UserError
from sw.compress.bits import Reader, Writer, fixed

COUNT_BITS, WIDTH_BITS = 9, 3

MOST_SYMBOLS = (1 << COUNT_BITS) - 1
"""Symbols that a table may have."""

CHUNK = 1 << 20
"""Bits that are looked at together when decoding."""


class Code:
    """A code for the symbols 0, 1, 2...

    Parameters
    ----------
    lengths : integers, shape (symbols,)
        Bits of each symbol's code; 0 if it does not occur. Of a single symbol that does, 1.

    Raises
    ------
    UserError
        No code has these lengths, or some bits would mean nothing.
    """

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = np.trim_zeros(np.asarray(lengths, np.int64), "b")
        used = self.lengths[self.lengths > 0]
        if len(self.lengths) > MOST_SYMBOLS:
            raise UserError(
                f"a code for {len(self.lengths)} symbols, a table has at most {MOST_SYMBOLS}"
            )
        whole = sum(2.0 ** -int(length) for length in used)
        if whole != 1.0 and used.tolist() not in ([], [1]):
            raise UserError(f"no Huffman code has the lengths {self.lengths.tolist()}")

    @staticmethod
    def of(counts: np.ndarray) -> "Code":
        """The best code for symbols that occur so often."""
        return Code(code_lengths(counts))

    @cached_property
    def used(self) -> np.ndarray:
        """Symbols that occur, in the order of their codes."""
        occurring = np.flatnonzero(self.lengths)
        return occurring[np.argsort(self.lengths[occurring], kind="stable")]

    @cached_property
    def codes(self) -> np.ndarray:
        """Uint64, shape (symbols,)."""
        codes, code, before = np.zeros(len(self.lengths), np.uint64), 0, 0
        for symbol in self.used.tolist():
            length = int(self.lengths[symbol])
            code <<= length - before
            codes[symbol], before = code, length
            code += 1
        return codes

    @property
    def table_bits(self) -> int:
        """Bits that the table itself takes."""
        return COUNT_BITS + WIDTH_BITS + len(self.lengths) * self._width

    @property
    def _width(self) -> int:
        return int(self.lengths.max(initial=0)).bit_length()

    def bits(self, counts: np.ndarray) -> int:
        """Bits of a sequence in which symbols occur so often, without the table."""
        if len(self.used) < 2:
            return 0
        return int(np.asarray(counts)[: len(self.lengths)] @ self.lengths)

    def write(self, writer: Writer) -> None:
        """The table."""
        writer.field(len(self.lengths), COUNT_BITS)
        writer.field(self._width, WIDTH_BITS)
        writer.fields(self.lengths, self._width)

    @staticmethod
    def read(reader: Reader) -> "Code":
        """The table that :meth:`write` wrote."""
        count, width = reader.field(COUNT_BITS), reader.field(WIDTH_BITS)
        return Code(reader.fields(count, width))

    def encode(self, symbols: np.ndarray) -> np.ndarray:
        """The bits of a sequence."""
        symbols = np.asarray(symbols, np.int64)
        if len(self.used) < 2:
            return np.zeros(0, np.uint8)
        return fixed(self.codes[symbols], self.lengths[symbols])

    def decode(self, reader: Reader, count: int) -> np.ndarray:
        """The next ``count`` symbols; int64.

        Raises
        ------
        UserError
            There are not so many.
        """
        if len(self.used) < 2:
            if count and not len(self.used):
                raise UserError(f"{count} symbols are expected, but the code has none")
            return np.full(count, self.used[0] if count else 0, np.int64)
        found: list[np.ndarray] = []
        while count:
            found.append(self._decode_some(reader, count))
            count -= len(found[-1])
        return np.concatenate([np.zeros(0, np.int64), *found])

    def _decode_some(self, reader: Reader, count: int) -> np.ndarray:
        """As many symbols as begin within the next bits.

        What every bit would begin is looked up at once; then there is only to hop from one symbol
        to the next.
        """
        longest = int(self.lengths.max())
        bits = reader.bits[reader.at : reader.at + CHUNK + longest - 1]
        places = min(CHUNK, len(reader.bits) - reader.at)
        padded = np.zeros(places + longest - 1, np.uint64)
        padded[: len(bits)] = bits
        windows = np.zeros(places, np.uint64)
        for place in range(longest):
            windows = windows << np.uint64(1) | padded[place : place + places]
        aligned = self.codes[self.used] << (longest - self.lengths[self.used]).astype(np.uint64)
        which = np.searchsorted(aligned, windows, side="right") - 1
        steps = self.lengths[self.used][which].astype(np.uint8).tobytes()
        begins, at = [], 0
        while at < places and len(begins) < count:
            begins.append(at)
            at += steps[at]
        if not begins:
            raise UserError(f"the data is truncated: {count} symbols are missing")
        reader.take(at)
        return self.used[which[begins]]


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Lengths of the codes with which a sequence takes the fewest bits. Int64.

    The two rarest groups of symbols become one, and their codes one bit longer, until there is one
    group; of equally rare ones those with the shortest codes.
    """
    lengths = np.zeros(len(counts), np.int64)
    heap = [(int(n), 0, symbol, [symbol]) for symbol, n in enumerate(counts) if n > 0]
    if len(heap) == 1:
        lengths[heap[0][2]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (n, deep, first, one), (m, depth, _, other) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[one + other] += 1
        heapq.heappush(heap, (n + m, 1 + max(deep, depth), first, one + other))
    return lengths


def entropy_bits(counts: np.ndarray) -> float:
    """The fewest bits that any code for single symbols could take on average, in all (Shannon)."""
    counts = np.asarray(counts, np.float64)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / counts.sum())).sum())
