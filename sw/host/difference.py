"""Where two results differ."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Difference(NamedTuple):
    """A place, and what each of two results has there."""

    place: str
    mine: Any
    theirs: Any


def first_index(
    one: np.ndarray, other: np.ndarray, skipped: Sequence[int] = ()
) -> tuple[int, ...] | None:
    """Index of the first difference between arrays of one shape, some of the last axis skipped."""
    differs = one != other
    differs[..., list(skipped)] = False
    where = np.argwhere(differs)
    return tuple(where[0].tolist()) if len(where) else None
