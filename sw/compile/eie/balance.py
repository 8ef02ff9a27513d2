"""Balance: rows change places so that every PE of a strip has as much work as the others.

A row's work is what its weights meet: each weight counts as often as its activation is not zero.
On an array of C clusters of P PEs, a row that is given to PE p puts its part of cluster g's columns
onto PE p of cluster g, so that its work is a vector of C numbers, and the PE that ends last is the
largest of C * P loads. These are evened out greedily, longest processing time first, while every PE
keeps as many rows as the plain interleave gives it.
"""

from collections.abc import Sequence

import numpy as np

_BLOCK_WEIGHTS = 1 << 22
"""Weights that are spread out as floats at a time."""


def count_live(activity: np.ndarray | None, inputs: int) -> np.ndarray:
    """How often each input is not zero in calibration, and once more: int64, shape (inputs,).

    The one more keeps the balance where few samples, or none, say little.

    Parameters
    ----------
    activity : bool, shape (samples, inputs), or None
    """
    seen = 0 if activity is None else np.count_nonzero(activity, axis=0)
    return np.ones(inputs, np.int64) + seen


def row_work(codes: np.ndarray, live: np.ndarray, pes: int, clusters: int) -> np.ndarray:
    """Work of every row in the columns of each cluster.

    Parameters
    ----------
    codes : unsigned integers, shape (rows, columns)
        Columns as the array has them.
    live : integers, shape (columns,)
        How often each activation is not zero.

    Returns
    -------
    float64, shape (rows, clusters), all of them integers
    """
    columns = np.arange(codes.shape[1])
    parts = np.zeros((codes.shape[1], clusters))
    parts[columns, columns % pes // (pes // clusters)] = live
    step = max(1, _BLOCK_WEIGHTS // codes.shape[1])
    blocks = [
        (codes[first : first + step] != 0).astype(np.float64) @ parts
        for first in range(0, len(codes), step)
    ]
    return np.concatenate(blocks)


def balance_rows(work: np.ndarray, pes: int) -> np.ndarray:
    """Give every row a place, so that the largest load of any PE is small.

    Each PE gets as many rows as in the plain interleave, in their old order; and all stay where
    they are if that is no worse.

    Parameters
    ----------
    work : shape (rows, clusters)
    pes : int
        PEs of each cluster.

    Returns
    -------
    int64, shape (rows,)
        The row at each place; place ``r * pes + p`` is local row r of PE p.
    """
    given = _give_rows(work, pes)
    # Rows of one PE behind each other, then one of every PE in turn.
    by_pe = np.argsort(given, kind="stable")
    local_row = np.arange(len(work)) - np.searchsorted(given[by_pe], given[by_pe])
    order = np.empty(len(work), np.int64)
    order[local_row * pes + given[by_pe]] = by_pe
    plain = np.arange(len(work))
    better = pe_loads(work, order, pes).max() < pe_loads(work, plain, pes).max()
    return order if better else plain


def _give_rows(work: np.ndarray, pes: int) -> np.ndarray:
    """The PE of each row: heaviest rows first, each to the PE that is expected to end first when
    its other places are taken by rows as heavy as the mean of those to come."""
    heaviest_first = np.argsort(-work.sum(axis=1), kind="stable")
    sorted_work = work[heaviest_first]
    to_come = np.cumsum(sorted_work[::-1], axis=0)[::-1] - sorted_work
    mean_to_come = to_come / np.maximum(1, np.arange(len(work))[::-1, None])
    loads = np.zeros((work.shape[1], pes))
    places = -(-(len(work) - np.arange(pes)) // pes)
    given = np.zeros(len(work), np.int64)
    for row, mean in zip(heaviest_first, mean_to_come, strict=True):
        expected = loads + work[row][:, None] + mean[:, None] * (places - 1)
        pe = int(np.argmin(np.where(places > 0, expected.max(axis=0), np.inf)))
        loads[:, pe] += work[row]
        places[pe] -= 1
        given[row] = pe
    return given


def pe_loads(work: np.ndarray, order: Sequence[int] | np.ndarray, pes: int) -> np.ndarray:
    """Work of every PE when rows stand in an order; shape (clusters, pes)."""
    loads = np.zeros((work.shape[1], pes))
    np.add.at(loads.T, np.arange(len(order)) % pes, work[order])
    return loads
