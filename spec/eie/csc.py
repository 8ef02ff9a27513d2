"""The stored form of EIE: interleaved compressed sparse columns with relative row index.

An array of N PEs works as C clusters of P = N / C. Column j belongs to the cluster that stores
activation j, which lives in PE ``j % N``; row i belongs to PE ``i % P`` of every cluster, as local
row ``i // P``. Each PE keeps, column after column of its cluster, its entries: a *code* (codebook
index) and a *run* (zeros before it, counted in local rows and afresh in every column). A gap longer
than the longest run is bridged by pads: entries of code 0 with the longest run, which occupy a row
of their own. Han et al., ISCA 2016, section III.B, which has one cluster.
"""

from dataclasses import dataclass

import numpy as np

from spec.errors import UserError


@dataclass(frozen=True)
class Csc:
    """A matrix in stored form, all PEs behind each other.

    Attributes
    ----------
    rows, columns, pes, clusters : int
        Size of the whole matrix; number of PEs, and of clusters that these make up.
    run_bits : int
        Width of a run.
    code, run : uint8, shape (entries of all PEs,)
        Entries in order of PE, column and row.
    pointers : int64, shape (pes, local columns + 1)
        ``pointers[p, j]...pointers[p, j + 1]`` are the entries of column j of PE p's cluster,
        counted from that PE's first.
    """

    rows: int
    columns: int
    pes: int
    run_bits: int
    code: np.ndarray
    run: np.ndarray
    pointers: np.ndarray
    clusters: int = 1

    @property
    def first(self) -> np.ndarray:
        """Position of each PE's first entry in ``code`` and ``run``; one more for the end. Shape
        (pes + 1,)."""
        return np.concatenate([[0], np.cumsum(self.pointers[:, -1])])

    @property
    def cluster_pes(self) -> int:
        return self.pes // self.clusters

    @property
    def local_rows(self) -> int:
        """Rows that each PE keeps an accumulator for: a whole number of rows of activations."""
        return -(-self.rows // self.pes) * self.clusters

    @property
    def local_columns(self) -> int:
        """Columns of the fullest cluster."""
        return self.pointers.shape[1] - 1

    @property
    def pads(self) -> np.ndarray:
        """Which entries are pads. Bool, shape of ``code``."""
        return self.code == 0

    def of_pe(self, pe: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes and runs of one PE."""
        span = slice(*self.first[pe : pe + 2])
        return self.code[span], self.run[span]

    def global_rows(self, pe: np.ndarray, local_row: np.ndarray) -> np.ndarray:
        """Rows of the matrix, from PEs and local rows."""
        return local_row * self.cluster_pes + pe % self.cluster_pes

    def global_columns(self, pe: np.ndarray, local_column: np.ndarray) -> np.ndarray:
        """Columns of the matrix, from PEs and columns of their clusters."""
        row, place = np.divmod(local_column, self.cluster_pes)
        return row * self.pes + pe // self.cluster_pes * self.cluster_pes + place


def encode(codes: np.ndarray, pes: int, run_bits: int, clusters: int = 1) -> Csc:
    """Store a dense matrix of codes.

    Parameters
    ----------
    codes : unsigned integers, shape (rows, columns)
        Codebook indices; 0 is a zero weight and is not stored.
    pes, run_bits, clusters : int
        Number of PEs; width of a run; number of clusters, which divides that of PEs.
    """
    if codes.ndim != 2:
        raise UserError(f"a matrix of codes has 2 dimensions, this one has {codes.ndim}")
    rows, columns = codes.shape
    cluster_pes = pes // clusters
    # The transposed scan visits columns in order, and rows in order within one; a stable sort by PE
    # keeps that.
    column, row = np.nonzero(np.ascontiguousarray(codes.T))
    place = column % pes
    pe = place // cluster_pes * cluster_pes + row % cluster_pes
    order = np.argsort(pe.astype(np.uint8), kind="stable")
    pe, column, row, place = pe[order], column[order], row[order], place[order]
    local = row // cluster_pes
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

    width = columns // pes * cluster_pes + min(columns % pes, cluster_pes)
    cell = pe * width + column // pes * cluster_pes + place % cluster_pes
    entries = np.bincount(cell, weights=gap // reach + 1, minlength=pes * width).astype(np.int64)
    pointers = np.zeros((pes, width + 1), np.int64)
    pointers[:, 1:] = np.cumsum(entries.reshape(pes, width), axis=1)
    return Csc(rows, columns, pes, run_bits, code, run, pointers, clusters)


@dataclass(frozen=True)
class Located:
    """Where every entry of a :class:`Csc` stands. All arrays have one item per entry, in stored
    order; ``column`` is the local one, of the PE's cluster."""

    pe: np.ndarray
    column: np.ndarray
    local_row: np.ndarray


def locate(csc: Csc) -> Located:
    """Follow the runs: PE, local column and local row of every entry, pads included."""
    lengths = np.diff(csc.pointers, axis=1).ravel()
    if (lengths < 0).any():
        pe, column = divmod(int(np.argmax(lengths < 0)), csc.local_columns)
        raise UserError(f"PE {pe}, column {column}: its pointers go backwards")
    item = np.repeat(np.arange(lengths.size), lengths)
    steps = csc.run.astype(np.int64) + 1
    walked = np.cumsum(steps)
    begins = np.cumsum(lengths) - lengths
    before = np.concatenate([[0], walked])[begins]
    local = walked - np.repeat(before, lengths) - 1
    return Located(item // csc.local_columns, item % csc.local_columns, local)


def check(csc: Csc) -> Located:
    """Refuse what the hardware could not run; return where the entries stand.

    Raises
    ------
    UserError
        Pointers that go backwards, do not fit the entries, or an entry behind the last row or
        column; says PE, column.
    """
    if csc.pointers.shape[0] != csc.pes or (csc.pointers[:, 0] != 0).any():
        raise UserError(
            f"pointers have shape {csc.pointers.shape}, must be of {csc.pes} PEs and start at 0"
        )
    if int(csc.pointers[:, -1].sum()) != len(csc.code) or len(csc.code) != len(csc.run):
        raise UserError(
            f"pointers end at {int(csc.pointers[:, -1].sum())}, "
            f"but there are {len(csc.code)} entries"
        )
    where = locate(csc)
    for kind, found, size in (
        ("row", csc.global_rows(where.pe, where.local_row), csc.rows),
        ("column", csc.global_columns(where.pe, where.column), csc.columns),
    ):
        outside = (found >= size) & ~csc.pads
        if outside.any():
            at = int(np.argmax(outside))
            raise UserError(
                f"PE {where.pe[at]}, column {where.column[at]}: an entry stands in {kind} "
                f"{found[at]}, the matrix has {size}"
            )
    return where


def decode(csc: Csc) -> np.ndarray:
    """The dense matrix of codes, uint8, shape (rows, columns); refuses what :func:`check`
    refuses."""
    where = check(csc)
    kept = ~csc.pads
    rows = csc.global_rows(where.pe, where.local_row)[kept]
    columns = csc.global_columns(where.pe, where.column)[kept]
    dense = np.zeros((csc.rows, csc.columns), np.uint8)
    dense[rows, columns] = csc.code[kept]
    return dense
