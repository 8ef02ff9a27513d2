"""The N:M form: in each group of M inputs of a row at most N weights, each with its place.

Group g of a row is its inputs ``g * m ... g * m + m - 1``. Kept weights stand in the order of their
places. A group with fewer than N non-zeros is completed by PyTorch's rule: with zeros at the lowest
free ones of its last N places.
"""

from dataclasses import dataclass

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode


@dataclass(frozen=True)
class Groups:
    """Rows in the N:M form.

    Attributes
    ----------
    mode : Mode
    values : int64, shape (rows, groups, n)
    places : int64, shape (rows, groups, n)
        Each 0...m - 1, ascending within a group.
    """

    mode: Mode
    values: np.ndarray
    places: np.ndarray

    def decode(self) -> np.ndarray:
        """The dense rows; int64, shape (rows, groups * m)."""
        rows, groups, _ = self.values.shape
        dense = np.zeros((rows, groups, self.mode.m), np.int64)
        np.put_along_axis(dense, self.places, self.values, axis=2)
        return dense.reshape(rows, -1)


def check_pattern(dense: np.ndarray, mode: Mode, names: np.ndarray | None = None) -> None:
    """Refuse rows that break the pattern.

    Parameters
    ----------
    dense : integers, shape (rows, inputs)
    names : integers, shape (rows,), optional
        What the rows are called in messages, if not 0, 1, 2 ...

    Raises
    ------
    UserError
        Names the first row and group with too many non-zeros, or the length that no groups make.
    """
    rows, inputs = dense.shape
    if inputs % mode.m:
        raise UserError(f"rows of {inputs} inputs are no whole groups of {mode.m}")
    counts = np.count_nonzero(dense.reshape(rows, -1, mode.m), axis=2)
    broken = counts > mode.n
    if broken.any():
        row, group = (int(index[0]) for index in np.nonzero(broken))
        name = row if names is None else names[row]
        raise UserError(
            f"row {name}, group {group}: {counts[row, group]} non-zeros in the inputs "
            f"{group * mode.m}...{group * mode.m + mode.m - 1}, the pattern {mode} allows {mode.n}"
        )


def encode(dense: np.ndarray, mode: Mode, names: np.ndarray | None = None) -> Groups:
    """The N:M form of integer rows, shape (rows, inputs); nothing is ever pruned here.

    Parameters and errors are those of :func:`check_pattern`.
    """
    check_pattern(dense, mode, names)
    groups = np.asarray(dense, np.int64).reshape(len(dense), -1, mode.m)
    # Rank the places of a group: non-zeros first, then the last N places, then the rest.
    rank = np.where(np.arange(mode.m) >= mode.m - mode.n, 1, 2)
    order = np.argsort(np.where(groups != 0, 0, rank), axis=2, kind="stable")
    places = np.sort(order[:, :, : mode.n], axis=2)
    return Groups(mode, np.take_along_axis(groups, places, axis=2), places)


def storage_bits(rows: int, inputs: int, mode: Mode, weight_bits: int) -> int:
    """Bits of the values and places of a matrix; inputs are filled up to whole groups."""
    groups = -(-inputs // mode.m)
    return rows * groups * mode.n * (weight_bits + mode.place_bits)
