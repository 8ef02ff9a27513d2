"""The stored form of EIE: interleaved compressed sparse columns with relative row index.

Row i of a matrix lives in PE ``i % pes``, as local row ``i // pes``. Each PE keeps, column after
column, its entries: a *code* (codebook index) and a *run* (zeros before it, counted in local rows
and afresh in every column). A gap longer than the longest run is bridged by pads: entries of code 0
with the longest run, which occupy a row of their own. Han et al., ISCA 2016, section III.B.
"""

from dataclasses import dataclass

import numpy as np

from spec.errors import UserError


@dataclass(frozen=True)
class Csc:
    """A matrix in stored form, all PEs behind each other.

    Attributes
    ----------
    rows, columns, pes : int
        Size of the whole matrix and number of PEs.
    run_bits : int
        Width of a run.
    code, run : uint8, shape (entries of all PEs,)
        Entries in order of PE, column and row.
    pointers : int64, shape (pes, columns + 1)
        ``pointers[p, j]...pointers[p, j + 1]`` are column j's entries in PE p, counted from that
        PE's first.
    """

    rows: int
    columns: int
    pes: int
    run_bits: int
    code: np.ndarray
    run: np.ndarray
    pointers: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """Position of each PE's first entry in ``code`` and ``run``; one more for the end. Shape
        (pes + 1,)."""
        return np.concatenate([[0], np.cumsum(self.pointers[:, -1])])

    @property
    def local_rows(self) -> int:
        """Rows that the fullest PE holds."""
        return -(-self.rows // self.pes)

    @property
    def pads(self) -> np.ndarray:
        """Which entries are pads. Bool, shape of ``code``."""
        return self.code == 0

    def of_pe(self, pe: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes and runs of one PE."""
        span = slice(*self.first[pe : pe + 2])
        return self.code[span], self.run[span]


def encode(codes: np.ndarray, pes: int, run_bits: int) -> Csc:
    """Store a dense matrix of codes.

    Parameters
    ----------
    codes : unsigned integers, shape (rows, columns)
        Codebook indices; 0 is a zero weight and is not stored.
    pes, run_bits : int
        Number of PEs; width of a run.
    """
    if codes.ndim != 2:
        raise UserError(f"a matrix of codes has 2 dimensions, this one has {codes.ndim}")
    rows, columns = codes.shape
    # The transposed scan visits columns in order, and rows in order within one; a stable sort by PE
    # keeps that.
    column, row = np.nonzero(np.ascontiguousarray(codes.T))
    pe = row % pes
    order = np.argsort(pe.astype(np.uint8), kind="stable")
    pe, column, row = pe[order], column[order], row[order]
    local = row // pes
    starts_column = np.ones(len(row), bool)
    starts_column[1:] = (pe[1:] != pe[:-1]) | (column[1:] != column[:-1])
    gap = np.where(starts_column, local, np.diff(local, prepend=0) - 1)

    # Place every weight behind its pads; all places that no weight takes are pads.
    reach = 1 << run_bits
    last = np.cumsum(gap // reach + 1) - 1
    total = int(last[-1]) + 1 if len(last) else 0
    code = np.zeros(total, np.uint8)
    run = np.full(total, reach - 1, np.uint8)
    code[last] = codes[row, column]
    run[last] = gap % reach

    entries = np.bincount(pe * columns + column, weights=None, minlength=pes * columns)
    pads = np.zeros(pes * columns, np.int64)
    np.add.at(pads, pe * columns + column, gap // reach)
    pointers = np.zeros((pes, columns + 1), np.int64)
    pointers[:, 1:] = np.cumsum((entries + pads).reshape(pes, columns), axis=1)
    return Csc(rows, columns, pes, run_bits, code, run, pointers)


@dataclass(frozen=True)
class Located:
    """Where every entry of a :class:`Csc` stands. All arrays have one item per entry, in stored
    order."""

    pe: np.ndarray
    column: np.ndarray
    local_row: np.ndarray


def locate(csc: Csc) -> Located:
    """Follow the runs: PE, column and local row of every entry, pads included."""
    lengths = np.diff(csc.pointers, axis=1).ravel()
    if (lengths < 0).any():
        pe, column = divmod(int(np.argmax(lengths < 0)), csc.columns)
        raise UserError(f"PE {pe}, column {column}: its pointers go backwards")
    item = np.repeat(np.arange(lengths.size), lengths)
    steps = csc.run.astype(np.int64) + 1
    walked = np.cumsum(steps)
    begins = np.cumsum(lengths) - lengths
    before = np.concatenate([[0], walked])[begins]
    local = walked - np.repeat(before, lengths) - 1
    return Located(item // csc.columns, item % csc.columns, local)


def check(csc: Csc) -> Located:
    """Refuse what the hardware could not run; return where the entries stand.

    Raises
    ------
    UserError
        Pointers that go backwards, do not fit the entries, or an entry behind the last row; says
        PE, column.
    """
    if csc.pointers.shape != (csc.pes, csc.columns + 1) or (csc.pointers[:, 0] != 0).any():
        raise UserError(
            f"pointers have shape {csc.pointers.shape}, "
            f"must be {(csc.pes, csc.columns + 1)} and start at 0"
        )
    if int(csc.pointers[:, -1].sum()) != len(csc.code) or len(csc.code) != len(csc.run):
        raise UserError(
            f"pointers end at {int(csc.pointers[:, -1].sum())}, "
            f"but there are {len(csc.code)} entries"
        )
    where = locate(csc)
    outside = where.local_row * csc.pes + where.pe >= csc.rows
    if (outside & ~csc.pads).any():
        at = int(np.argmax(outside & ~csc.pads))
        raise UserError(
            f"PE {where.pe[at]}, column {where.column[at]}: an entry stands in row "
            f"{where.local_row[at] * csc.pes + where.pe[at]}, the matrix has {csc.rows}"
        )
    return where


def decode(csc: Csc) -> np.ndarray:
    """The dense matrix of codes, uint8, shape (rows, columns); refuses what :func:`check`
    refuses."""
    where = check(csc)
    kept = ~csc.pads
    dense = np.zeros((csc.rows, csc.columns), np.uint8)
    dense[(where.local_row * csc.pes + where.pe)[kept], where.column[kept]] = csc.code[kept]
    return dense


def pack_lines(
    code: np.ndarray, run: np.ndarray, *, code_bits: int, run_bits: int, per_line: int
) -> np.ndarray:
    """Entries of one PE as memory lines, uint64: first entry lowest, a code below its run, the rest
    zero."""
    entry_bits = code_bits + run_bits
    padded = np.zeros(-(-len(code) // per_line) * per_line, np.uint64)
    padded[: len(code)] = code.astype(np.uint64) | run.astype(np.uint64) << np.uint64(code_bits)
    shifts = np.arange(per_line, dtype=np.uint64) * np.uint64(entry_bits)
    return np.bitwise_or.reduce(padded.reshape(-1, per_line) << shifts, axis=1)


def unpack_lines(
    lines: np.ndarray, count: int, *, code_bits: int, run_bits: int, per_line: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first ``count`` entries of lines that :func:`pack_lines` made: codes and runs, uint8."""
    shifts = np.arange(per_line, dtype=np.uint64) * np.uint64(code_bits + run_bits)
    entries = (lines[:, None] >> shifts).ravel()[:count]
    code = entries & np.uint64((1 << code_bits) - 1)
    run = entries >> np.uint64(code_bits) & np.uint64((1 << run_bits) - 1)
    return code.astype(np.uint8), run.astype(np.uint8)
