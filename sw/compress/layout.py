"""The ways to walk through a matrix with zeros, and what each costs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sw.compress.huffman import Code
from sw.compress.runs import Gaps, split

FINEST = 5
"""Finer classes have larger tables than they save bits."""


@dataclass(frozen=True)
class Layout:
    """How a matrix is walked through.

    Attributes
    ----------
    by_columns : bool
        Column by column rather than row by row.
    no_empty_rows, no_empty_columns : bool
        Those without a weight are left out.
    fine : int
        Of the classes, :mod:`sw.compress.runs`.
    """

    by_columns: bool
    no_empty_rows: bool
    no_empty_columns: bool
    fine: int


LAYOUTS = tuple(
    Layout(by_columns, no_empty_rows, no_empty_columns, fine)
    for by_columns in (False, True)
    for no_empty_rows in (False, True)
    for no_empty_columns in (False, True)
    for fine in range(FINEST + 1)
)
"""All that there are."""


class Places:
    """Where the weights of a matrix stand, in every order that they may be walked through.

    Parameters
    ----------
    rows, columns : int64, shape (weights,)
        Row by row.
    height, width : int
        Of the matrix.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> None:
        self.rows, self.columns = rows, columns
        self.size = height, width
        self._histograms: dict[tuple[bool, bool, bool], tuple[np.ndarray, np.ndarray]] = {}

    def order(self, by_columns: bool) -> np.ndarray:
        """Which weight comes when; they are row by row as given."""
        return self._by_columns if by_columns else np.arange(len(self.rows))

    @cached_property
    def _by_columns(self) -> np.ndarray:
        return np.lexsort((self.rows, self.columns))

    def gaps(self, layout: Layout) -> Gaps:
        """The zeros in front of each weight."""
        row, height = self.rows, self.size[0]
        column, width = self.columns, self.size[1]
        if layout.no_empty_rows:
            row, height = _ranks(row, height)
        if layout.no_empty_columns:
            column, width = _ranks(column, width)
        at = column * height + row if layout.by_columns else row * width + column
        return Gaps.between(at[self.order(layout.by_columns)], height * width)

    def bits(self, layout: Layout) -> int:
        """What differs between layouts: bits of all gaps, and of which rows and columns there
        are."""
        walk = layout.by_columns, layout.no_empty_rows, layout.no_empty_columns
        if walk not in self._histograms:
            self._histograms[walk] = np.unique(self.gaps(layout).values, return_counts=True)
        gaps, times = self._histograms[walk]
        classes, _, rest = split(gaps, layout.fine)
        counts = np.bincount(classes, weights=times).astype(np.int64)
        code = Code.of(counts)
        left_out = layout.no_empty_rows * self.size[0] + layout.no_empty_columns * self.size[1]
        return left_out + code.table_bits + code.bits(counts) + int(rest @ times)


def _ranks(used: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Each index counted among those that occur, and how many do."""
    occurs = np.bincount(used, minlength=count) > 0
    return (np.cumsum(occurs) - 1)[used], int(occurs.sum())
