"""One layer's weight as a matrix, and the search for the zeros that change its outputs least."""

import torch
from torch import Tensor

from sw.compress.criteria.reconstruct import Rows, refit
from sw.compress.criteria.search import (
    COLUMNS,
    by_counts,
    by_groups,
    can_descend,
    columns,
    descend,
)
from sw.compress.patterns.base import Pattern
from sw.compress.patterns.element import NM, Balanced

HOLDS = (8.0, 4.0, 2.0, 1.3)
"""How many times better than a kept weight a dropped one must be to take its place: tried in
turn, from few exchanges to many."""


class Matrix:
    """A weight as a matrix (outputs, inputs), and the moments of its inputs.

    Parameters
    ----------
    weight : shape (outputs, inputs) or (outputs, channels, ...)
    moments : three tensors of shape (groups of channels, inputs, inputs)
        X X^T, Z X^T and Z Z^T: see :class:`sw.compress.criteria.regression.Regression`.
    damping : float
    """

    def __init__(self, weight: Tensor, moments: tuple[Tensor, Tensor, Tensor], damping: float):
        self._like = weight
        last = weight.movedim(1, -1)
        self._last = last.shape
        self.weight = last.flatten(1).double()
        self.parts = []
        pieces = self.weight.chunk(len(moments[0]))
        for own, new, cross, old in zip(pieces, *moments, strict=True):
            total = float(((own @ old) * own).sum())
            self.parts.append(Rows(own, new, own @ cross, total, damping))

    def back(self, matrix: Tensor) -> Tensor:
        """In the weight's shape."""
        return matrix.reshape(self._last).movedim(-1, 1).contiguous()

    def finished(self, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Mask and weight in the weight's shape and type."""
        kept = torch.where(mask, weight, 0.0)
        return self.back(mask), self.back(kept).to(self._like.dtype)

    def error(self, weight: Tensor) -> float:
        """The reconstruction error of all outputs together."""
        pieces = zip(self.parts, self._split(weight), strict=True)
        return sum(rows.error(piece) for rows, piece in pieces)

    def saliency(self) -> Tensor:
        """What each weight's removal costs."""
        return torch.cat([rows.saliency() for rows in self.parts])

    def refit(self, mask: Tensor, start: Tensor | None = None) -> Tensor:
        """The best weights within a mask, which are near to ``start``, if that is known."""
        guesses = [None] * len(self.parts) if start is None else self._split(start)
        pieces = zip(self.parts, self._split(mask), guesses, strict=True)
        return torch.cat([refit(rows, piece, guess) for rows, piece, guess in pieces])

    def cost(self, weight: Tensor, mask: Tensor) -> Tensor:
        """What each weight is worth, or would be."""
        pieces = zip(self.parts, self._split(weight), self._split(mask), strict=True)
        return torch.cat([rows.replacement_cost(*piece) for rows, *piece in pieces])

    def by_columns(self, mask: Tensor, pattern: Pattern) -> Tensor:
        """A mask found column by column, with as many weights in all parts as this mask has."""
        if isinstance(pattern, NM):
            choose = by_groups(pattern.n, pattern.m)
            return torch.cat([columns(rows, choose, pattern.m)[0] for rows in self.parts])
        pes = pattern.pes if isinstance(pattern, Balanced) else 1
        owners = (torch.arange(len(mask)) % pes).chunk(len(self.parts))
        found = []
        for rows, own, owner in zip(self.parts, self._split(mask), owners, strict=True):
            sets = [(owner == pe).nonzero().flatten() for pe in owner.unique()]
            found.append(columns(rows, by_counts(own, sets), COLUMNS)[0])
        return torch.cat(found)

    def by_groups(self, pattern: NM) -> Tensor:
        """Weights with N:M, found column by column, then by trying all masks of each group."""
        choose, found = by_groups(pattern.n, pattern.m), []
        for rows in self.parts:
            _, weight = columns(rows, choose, pattern.m)
            found.append(descend(rows, weight, pattern.n, pattern.m))
        return torch.cat(found)

    def _split(self, matrix: Tensor) -> tuple[Tensor, ...]:
        return matrix.chunk(len(self.parts))


def solve_matrix(matrix: Matrix, pattern: Pattern, density: float) -> tuple[Tensor, Tensor]:
    """The mask and the weights with the least error that was found, in the weight's shape.

    Never worse than the magnitude mask with the weights as they are, which is one of those that
    are compared.
    """
    magnitude = pattern.choose(matrix.weight.square(), density)
    plain = torch.where(magnitude, matrix.weight, 0.0)
    found = [(magnitude, plain)]
    if isinstance(pattern, NM) and can_descend(pattern.n, pattern.m):
        # Exactly N of each M: a weight that is zero by chance counts as kept.
        weight = matrix.by_groups(pattern)
        mask = pattern.choose(weight.abs(), density)
        found.append((mask, matrix.refit(mask, weight)))
    else:
        found.append(_by_exchange(matrix, pattern, density, magnitude))
    # In the weight's own type, as nobody ever sees another one.
    finished = [matrix.finished(*one) for one in found]
    errors = [matrix.error(one.movedim(1, -1).flatten(1)) for _, one in finished]
    return finished[errors.index(min(errors))]


def _by_exchange(
    matrix: Matrix, pattern: Pattern, density: float, magnitude: Tensor
) -> tuple[Tensor, Tensor]:
    """Any pattern: the best of some masks, then exchanges as long as the error falls."""
    masks = [magnitude, pattern.choose(matrix.saliency(), density)]
    if pattern.elementwise:
        masks.append(matrix.by_columns(masks[-1], pattern))
    found = [(mask, matrix.refit(mask)) for mask in masks]
    errors = [matrix.error(weight) for _, weight in found]
    least = min(errors)
    mask, weight = found[errors.index(least)]
    for hold in HOLDS:
        worth = matrix.cost(weight, mask)
        other = pattern.choose(torch.where(mask, hold * worth, worth), density)
        if torch.equal(other, mask):
            continue
        trial = matrix.refit(other, weight)
        error = matrix.error(trial)
        if error < least:
            mask, weight, least = other, trial, error
    return mask, weight
