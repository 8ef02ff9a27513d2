"""Masks that reconstruct well: column by column as SparseGPT does, then exchanged while it helps.

All of it is on matrices (rows, inputs), in double precision, and on one :class:`Rows`.
"""

from collections.abc import Callable
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from sw.compress.criteria.reconstruct import Rows, one_thread
from sw.compress.prune import largest

COLUMNS = 128
"""Columns whose masks are chosen together, where a pattern has no groups of its own."""

CHOICES = 100
"""Of groups with more ways to choose than this not all are tried."""

Choose = Callable[[Tensor, int, int], Tensor]
"""From scores of columns start...stop - 1 to which of them stay."""


def by_groups(n: int, m: int) -> Choose:
    """``n`` of each ``m`` neighbours."""

    def choose(scores: Tensor, start: int, stop: int) -> Tensor:
        dropped = scores.topk(max(stop - start - n, 0), dim=1, largest=False).indices
        return torch.ones_like(scores, dtype=torch.bool).scatter_(1, dropped, False)

    return choose


def by_counts(mask: Tensor, parts: list[Tensor]) -> Choose:
    """As many as a mask keeps among the rows of each part: in these columns, wherever they are."""

    def choose(scores: Tensor, start: int, stop: int) -> Tensor:
        chosen = torch.zeros_like(scores, dtype=torch.bool)
        for part in parts:
            count = int(mask[part, start:stop].sum())
            chosen[part] = largest(scores[part], count)
        return chosen

    return choose


@one_thread()
def columns(rows: Rows, choose: Choose, width: int) -> tuple[Tensor, Tensor]:
    """Choose among ``width`` columns at a time, and make up for what goes in those behind.

    Returns
    -------
    mask, weight : shape (rows, inputs)
    """
    weight = rows.best.clone()
    inputs = weight.shape[1]
    upper = torch.linalg.cholesky(rows.inverse, upper=True)
    scale = upper.diagonal()
    mask = torch.ones_like(weight, dtype=torch.bool)
    for start in range(0, inputs, width):
        stop = min(start + width, inputs)
        block = weight[:, start:stop]
        mask[:, start:stop] = choose((block / scale[start:stop]).square(), start, stop)
        # Later columns of the block change with each drop before the rest of the row does, once.
        errors = torch.zeros_like(block)
        for at in range(start, stop):
            inside = at - start
            errors[:, inside] = torch.where(mask[:, at], 0.0, weight[:, at] / scale[at])
            weight[:, at:stop] -= errors[:, inside, None] * upper[at, at:stop]
        weight[:, stop:] -= errors @ upper[start:stop, stop:]
    return mask, torch.where(mask, weight, 0.0)


@one_thread()
def descend(rows: Rows, weight: Tensor, n: int, m: int, sweeps: int = 10) -> Tensor:
    """Better weights with at most ``n`` of each ``m`` neighbours: block coordinate descent.

    One group after the other takes the best of all its masks, with its best weights, while the
    others stay; the error never rises. Ends when a sweep changes no mask.
    """
    weight = weight.clone()
    slope = weight @ rows.hessian - rows.wanted
    for _ in range(sweeps):
        before = weight != 0
        for start in range(0, weight.shape[1], m):
            span = slice(start, min(start + m, weight.shape[1]))
            change = _best_group(rows.hessian[span, span], weight[:, span], slope[:, span], n)
            weight[:, span] += change
            slope += change @ rows.hessian[span]
        if torch.equal(before, weight != 0):
            break
    return weight


def _best_group(hessian: Tensor, weight: Tensor, slope: Tensor, n: int) -> Tensor:
    """The step of a group's weights to the best of its masks; shape of ``weight``."""
    inverse = torch.linalg.inv(hessian)
    free = weight - slope @ inverse
    found, costs = [], []
    for choice in combinations(range(len(hessian)), max(len(hessian) - n, 0)):
        dropped = list(choice)
        forces = free[:, dropped] @ torch.linalg.inv(inverse[dropped][:, dropped])
        moved = free - forces @ inverse[dropped]
        moved[:, dropped] = 0.0
        found.append(moved)
        costs.append((forces * free[:, dropped]).sum(1))
    best = torch.stack(costs).argmin(0)
    return torch.stack(found)[best, torch.arange(len(weight))] - weight


def can_descend(n: int, m: int) -> bool:
    """Whether the masks of a group are few enough to try them all."""
    return comb(m, n) <= CHOICES
