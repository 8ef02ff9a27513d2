"""Where the weights of a layer are, as distances: the relative index of Deep Compression.

A layer is walked through row by row or column by column, from one into the next, and the zeros in
front of each weight are its *gap*. There are two ways to write gaps:

- **runs** of a fixed width, as in EIE: a gap that is too long is bridged by *pads*, entries of code
  0 with the longest run, which stand on a zero of their own.
- **classes**: a gap's highest bits as a symbol, the rest as they are. ``fine`` bits behind the
  leading one belong to the symbol; small gaps are symbols as a whole. No gap is too long.
"""

from dataclasses import dataclass

import numpy as np

from spec.errors import UserError

MOST_RUN_BITS = 8
"""Widest run; an entry of :mod:`spec.eie.csc` has a byte for it."""


@dataclass(frozen=True, eq=False)
class Gaps:
    """The zeros in front of each weight.

    Attributes
    ----------
    values : int64, shape (weights,)
    size : int
        Places that were walked through.
    """

    values: np.ndarray
    size: int

    @staticmethod
    def of(places: np.ndarray) -> "Gaps":
        """Of an array in which weights stand where it is not zero, in its own order."""
        return Gaps.between(np.flatnonzero(places), places.size)

    @staticmethod
    def between(at: np.ndarray, size: int) -> "Gaps":
        """Of weights that stand at these places, ascending."""
        return Gaps(np.diff(at, prepend=-1) - 1, size)

    def places(self) -> np.ndarray:
        """Where the weights stand.

        Raises
        ------
        UserError
            One would stand behind the end.
        """
        at = np.cumsum(self.values + 1) - 1
        if len(at) and int(at[-1]) >= self.size:
            raise UserError(f"a weight stands at place {at[-1]} of {self.size}")
        return at

    def pads(self, run_bits: int) -> int:
        """Entries besides the weights that runs of this width need."""
        return int((self.values >> run_bits).sum())

    def entries(self, run_bits: int) -> int:
        """Weights and pads."""
        return len(self.values) + self.pads(run_bits)

    def run_counts(self, run_bits: int) -> np.ndarray:
        """How often each run occurs, in pads, too."""
        reach = 1 << run_bits
        counts = np.bincount(self.values & (reach - 1), minlength=reach)
        counts[-1] += self.pads(run_bits)
        return counts

    def best_run_bits(self, code_bits: int) -> int:
        """The width with which entries take the fewest bits; narrower of equals."""
        return min(
            range(1, MOST_RUN_BITS + 1), key=lambda bits: self.entries(bits) * (code_bits + bits)
        )


def split(gaps: np.ndarray, fine: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes of gaps; the rest, and its bits."""
    gaps = np.asarray(gaps, np.int64)
    # frexp is exact below 2**53: its exponent is the number's length in bits.
    highest = np.frexp(gaps.astype(np.float64))[1].astype(np.int64) - 1
    bits = np.maximum(highest - fine, 0)
    return (bits << fine) + (gaps >> bits), gaps & ((1 << bits) - 1), bits


def rest_bits(classes: np.ndarray, fine: int) -> np.ndarray:
    """Bits of the rest of each class."""
    return np.maximum((np.asarray(classes, np.int64) >> fine) - 1, 0)


def join(classes: np.ndarray, rest: np.ndarray, fine: int) -> np.ndarray:
    """The gaps that :func:`split` took apart."""
    bits = rest_bits(classes, fine)
    return ((classes - (bits << fine)) << bits) | rest
