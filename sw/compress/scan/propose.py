"""Densities for the layers of a network under a budget, from what a scan measured."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spec.errors import UserError
from sw.compress.prune import kept_count
from sw.compress.scan.points import Point, Scan

ROUNDING = 1e-9
"""Losses that differ by less are equal: sums of the same ones in another order do."""

MOST_STATES = 1 << 17
"""Of more ways that are each best for their size, neighbours are dropped evenly."""


@dataclass(frozen=True)
class Proposal:
    """A pattern and a density for each layer that is to be pruned: what ``prepare`` takes.

    Attributes
    ----------
    patterns, densities : dict of layer name to str and float
        Layers that are to stay dense are not in them.
    kept, total : int
        Weights of all layers that were scanned.
    accuracy : float
        Predicted: the dense network's less the losses of all layers, each as if it were alone.
    """

    patterns: dict[str, str]
    densities: dict[str, float]
    kept: int
    total: int
    accuracy: float

    @property
    def density(self) -> float:
        """Share of all scanned weights that stays."""
        return self.kept / self.total

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"density": self.density}


def propose(scan: Scan, *, density: float | None = None, loss: float | None = None) -> Proposal:
    """The best choice of one measured point per layer.

    Losses of layers are taken to add up. The choice is then exact, not greedy: layer by layer, all
    sums are kept that no other beats both in weights and in loss.

    Parameters
    ----------
    density : float, 0...1
        Budget of weights: least loss with no more than this share of all scanned weights.
    loss : float
        Budget of accuracy: fewest weights with no more than this loss.

    Raises
    ------
    UserError
        If the budget cannot be met, with what could; or if the scan is not finished.
    """
    if (density is None) == (loss is None):
        raise UserError("give one budget: a density of all weights, or a loss of accuracy")
    names = list(scan.sizes)
    total = sum(scan.sizes.values())
    choices = [_choices(scan, name) for name in names]
    if density is not None:
        most_kept, most_loss = kept_count(total, density, "the budget"), np.inf
    else:
        most_kept, most_loss = total, float(loss or 0)
    _refuse_impossible(scan, choices, most_kept, most_loss, by_density=density is not None)
    chosen = _best(choices, scan.dense, most_kept, most_loss, by_loss=density is not None)
    pruned = {name: one for name, one in zip(names, chosen, strict=True) if one.density < 1}
    return Proposal(
        patterns={name: one.pattern for name, one in pruned.items()},
        densities={name: one.density for name, one in pruned.items()},
        kept=sum(one.kept for one in chosen),
        total=total,
        accuracy=scan.dense - sum(scan.dense - one.accuracy for one in chosen),
    )


def _choices(scan: Scan, name: str) -> list[Point]:
    """What was measured of a layer, and the layer as it is."""
    points = scan.of(name)
    if not points:
        raise UserError(f"layer {name} was not measured: the scan is not finished, let it go on")
    return [Point(name, "unstructured", 1.0, scan.sizes[name], scan.dense), *points]


def _refuse_impossible(
    scan: Scan,
    choices: Sequence[Sequence[Point]],
    most_kept: int,
    most_loss: float,
    *,
    by_density: bool,
) -> None:
    fewest = sum(min(one.kept for one in points) for points in choices)
    total = sum(scan.sizes.values())
    if by_density and fewest > most_kept:
        raise UserError(
            f"a budget of {most_kept} of {total} weights cannot be met: the sparsest points of the "
            f"scan keep {fewest}, a density of {fewest / total:.4g}"
        )
    least = sum(min(scan.dense - one.accuracy for one in points) for points in choices)
    if not least <= most_loss + ROUNDING:
        raise UserError(
            f"a loss of no more than {most_loss:g} cannot be met: the least of the scan is "
            f"{least:.4g}"
        )


def _best(
    choices: Sequence[Sequence[Point]],
    dense: float,
    most_kept: int,
    most_loss: float,
    *,
    by_loss: bool,
) -> list[Point]:
    """One point of each layer, within both budgets: with the least loss, or the fewest weights."""
    kept = [np.array([one.kept for one in points]) for points in choices]
    loss = [np.array([dense - one.accuracy for one in points]) for points in choices]
    # What all layers behind one need at least.
    kept_after = np.cumsum([0, *(k.min() for k in kept[:0:-1])])[::-1]
    loss_after = np.cumsum([0.0, *(each.min() for each in loss[:0:-1])])[::-1]
    sums_kept, sums_loss = np.zeros(1, np.int64), np.zeros(1)
    steps: list[np.ndarray] = []
    for k, each, kept_rest, loss_rest in zip(kept, loss, kept_after, loss_after, strict=True):
        all_kept = (sums_kept[:, None] + k).ravel()
        all_loss = (sums_loss[:, None] + each).ravel()
        fits = (all_kept + kept_rest <= most_kept) & (all_loss + loss_rest <= most_loss + ROUNDING)
        front = _front(all_kept, all_loss, np.flatnonzero(fits))
        sums_kept, sums_loss = all_kept[front], all_loss[front]
        steps.append(front)
    # Along the front weights rise and losses fall.
    at = len(sums_kept) - 1 if by_loss else 0
    chosen = []
    for points, front in zip(reversed(choices), reversed(steps), strict=True):
        at, which = divmod(int(front[at]), len(points))
        chosen.append(points[which])
    return chosen[::-1]


def _front(kept: np.ndarray, loss: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Those candidates that none beats: ascending in weights, descending in loss."""
    order = candidates[np.lexsort((loss[candidates], kept[candidates]))]
    losses = loss[order]
    lowest = np.minimum.accumulate(losses)
    better = np.ones(len(order), bool)
    better[1:] = losses[1:] < lowest[:-1] - ROUNDING
    front = order[better]
    if len(front) > MOST_STATES:
        front = front[np.linspace(0, len(front) - 1, MOST_STATES).round().astype(int)]
    return front
