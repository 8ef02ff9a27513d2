"""What a column costs a PE: cycles of matrix read, and lines that it reads."""

from dataclasses import dataclass

import numpy as np

from spec.eie.csc import Csc


@dataclass(frozen=True)
class Work:
    """Cycles and lines of every column in every PE. All int64, shape (local columns, pes).

    Attributes
    ----------
    weights : entries that are no pads; each takes a cycle
    pads : pads that take a cycle of their own
    lines : lines that hold any of the column's entries
    """

    weights: np.ndarray
    pads: np.ndarray
    lines: np.ndarray

    @property
    def cycles(self) -> np.ndarray:
        """Cycles of matrix read."""
        return self.weights + self.pads


def count_work(csc: Csc, per_line: int, *, share_pads: bool, starts: np.ndarray | int = 0) -> Work:
    """Walk through the lines of a matrix as matrix read does.

    Parameters
    ----------
    per_line : int
        Entries in a line.
    share_pads : bool
        Whether a pad can share a cycle, see :func:`shared_pads`.
    starts : integers, shape (pes,)
        Where each PE's first entry stands, counted from the first slot of a line.
    """
    starts = np.broadcast_to(np.asarray(starts, np.int64), csc.pes)
    lengths = np.diff(csc.pointers, axis=1)
    cells = np.repeat(np.arange(lengths.size), lengths.ravel())
    pads = np.bincount(cells[csc.pads], minlength=lengths.size).reshape(lengths.shape)
    lone = pads
    if share_pads and pads.any():
        place = np.arange(len(csc.code)) + np.repeat(starts - csc.first[:-1], csc.pointers[:, -1])
        shared = shared_pads(csc.pads, cells, place % per_line, per_line)
        lone = pads - np.bincount(cells[shared], minlength=lengths.size).reshape(lengths.shape)
    absolute = csc.pointers + starts[:, None]
    touched = (absolute[:, 1:] - 1) // per_line - absolute[:, :-1] // per_line + 1
    lines = np.where(lengths > 0, touched, 0)
    return Work((lengths - pads).T.copy(), lone.T.copy(), lines.T.copy())


def shared_pads(
    pads: np.ndarray, cells: np.ndarray, slots: np.ndarray, per_line: int
) -> np.ndarray:
    """Which entries take the following one along in their cycle; exactly one of the two is a pad.

    Both stand in one line and one column. A pad takes along the weight behind it; a weight takes
    along a pad in the last slot of its line, which has nothing behind it in view. Matrix read
    decides entry by entry, so that in a row of candidates every second one is taken along.

    Parameters
    ----------
    pads, cells, slots : shape (entries,)
        Whether an entry is a pad; a number for its PE and column; its slot in its line.
    """
    head = np.zeros(len(pads), bool)
    neighbours = (cells[:-1] == cells[1:]) & (slots[1:] > 0)
    last = slots[1:] == per_line - 1
    head[:-1] = neighbours & np.where(pads[:-1], ~pads[1:], pads[1:] & last)
    # In each series of candidates, those at even distance from its first remain.
    index = np.arange(len(head))
    begins = head & ~np.concatenate([[False], head[:-1]])
    first = np.maximum.accumulate(np.where(begins, index, 0))
    return head & ((index - first) % 2 == 0)
