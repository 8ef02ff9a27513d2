"""Which order of a matrix's columns lets an N:M mask keep most: a search.

The problem is that of Pool & Yu, "Channel Permutations for N:M Sparsity", 2021. Columns of a group
compete for its N places, so groups are wanted whose large scores lie in different rows. The search
swaps columns of different groups, many pairs at once, until no swap gains. Then it anneals: it goes
on swapping, now also at a loss where chance wills it, ever less often. Where matrices are small it
finally divides two groups anew in every way, as Pool & Yu do, until that gains nothing either.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from spec.errors import UserError
from sw.compress.patterns.element import check_nm

ANNEALING_WORK = 8_000_000_000
"""How many additions annealing may take, if it is not told how many swaps: seconds."""

MOST_SWAPS = 10_000
SWAPS_TO_MELT = 100
"""So many swaps for each group it takes for a start from the highest temperature to pay."""

HOTTEST, COLDEST = 0.3, 0.1
"""Temperatures, as parts of the standard deviation of what swaps gain."""

DIVIDING_WORK = 60_000_000
"""Up to how many sums all divisions of all pairs of groups may take."""

MOST_HALVES = 1000
"""Up to how many ways to halve two groups are tried: groups of up to 6."""

CHUNK = 1 << 24
"""Numbers in memory at once."""


def search(
    scores: Tensor | Sequence[Tensor], n: int, m: int, seed: int = 0, swaps: int | None = None
) -> Tensor:
    """An order of the inputs in which an N:M mask keeps more.

    Parameters
    ----------
    scores : tensor or sequence of tensors
        What each weight is worth, at least 0: (outputs, inputs), or (outputs, channels, ...) of a
        convolution. Several tensors share their inputs; the sum over all of them counts.
    n, m : int
        The pattern. Inputs that do not fill a group make a smaller one at the end.
    seed : int
        Of annealing. The same seed gives the same order.
    swaps : int, optional
        Of annealing; 0 is a descent alone. Default is what takes seconds.

    Returns
    -------
    Tensor
        ``order``, int64: input ``k`` of the new order is input ``order[k]`` of the given one. Never
        keeps less than the given order.
    """
    check_nm(n, m)
    if swaps is not None and swaps < 0:
        raise UserError(f"swaps = {swaps} was given, must be at least 0")
    stacked = torch.cat(_matrices([scores] if isinstance(scores, Tensor) else list(scores)))
    width = stacked.shape[1]
    given = torch.arange(width)
    if n == m or width <= m:
        return given
    groups = Groups(stacked.numpy(), n, m)
    groups.descend()
    found = [given, groups.columns()]
    groups.anneal(np.random.default_rng(seed), swaps)
    groups.descend()
    found.append(groups.columns())
    return max(found, key=lambda order: kept(stacked[:, order], n, m))


def kept(scores: Tensor, n: int, m: int) -> float:
    """Sum of the scores that an N:M mask keeps: of each ``m`` neighbouring inputs the ``n`` best.

    Inputs of a kernel stand as in :mod:`sw.compress.patterns`: all channels of a place together.
    """
    check_nm(n, m)
    rows = scores.detach().movedim(1, -1).flatten(1).double()
    groups = pad(rows, (0, -rows.shape[1] % m)).reshape(-1, m)
    return float(groups.topk(n, dim=1).values.sum())


def _matrices(given: list[Tensor]) -> list[Tensor]:
    """Each as (rows, inputs): every place of a kernel is a row of its own."""
    if not given:
        raise UserError("no scores were given; the search needs at least one matrix")
    for one in given:
        if one.ndim < 2 or 0 in one.shape:
            raise UserError(
                f"scores of shape {tuple(one.shape)} were given, they must be (outputs, inputs) "
                "or (outputs, channels, ...), not empty"
            )
        if not torch.isfinite(one).all() or (one < 0).any():
            raise UserError("scores must be at least 0, neither NaN nor infinite")
        if one.shape[1] != given[0].shape[1]:
            raise UserError(
                f"scores of {given[0].shape[1]} and of {one.shape[1]} inputs were given; matrices "
                "that are searched together share their inputs"
            )
    return [one.detach().cpu().double().movedim(1, -1).flatten(0, -2) for one in given]


class Groups:
    """Columns in groups of ``m``, and what every swap of two of them gains.

    A *slot* is a place for a column. Without the column in slot ``i`` its group keeps ``n - 1``
    scores of a row surely, and the larger of the next one, the slot's *threshold*, and whatever
    comes into the slot. So what a group keeps with column ``j`` in its slot ``i`` is, up to a
    constant, ``sum(maximum(threshold[i], column[j]))``: the slot's *worth* to the column.

    Parameters
    ----------
    matrix : array of shape (rows, inputs)
        Scores, at least 0.
    """

    def __init__(self, matrix: np.ndarray, n: int, m: int):
        self.n, self.m, self.width = n, m, matrix.shape[1]
        # Columns of zeros fill the last group; they stay where they are.
        filled = np.pad(matrix, ((0, 0), (0, -self.width % m)))
        scale = filled.max() or 1.0
        self.scores = np.ascontiguousarray(filled.T / scale, dtype=np.float32)
        self.slots, self.rows = self.scores.shape
        self.groups = self.slots // m
        self.order = np.arange(self.slots)
        self.worth = np.empty((self.slots, self.slots), np.float32)
        self.least = 1e-6 * self.rows  # what may be rounding is no gain
        first, second = np.triu_indices(self.slots, 1)
        apart = (first // m != second // m) & (second < self.width)
        self.first, self.second = first[apart], second[apart]
        self._refresh(np.arange(self.groups))

    def columns(self) -> Tensor:
        """The column in each slot."""
        return torch.from_numpy(self.order[: self.width].copy())

    def gains(self) -> np.ndarray:
        """What swapping the columns of each two slots gains."""
        own, i, j = self.worth.diagonal(), self.first, self.second
        return self.worth[i, j] + self.worth[j, i] - own[i] - own[j]

    def descend(self) -> None:
        """Swap columns and, if matrices are small, divide pairs anew, until nothing gains."""
        self._swap_all()
        halves = math.comb(2 * self.m, self.m)
        sums = halves * self.rows * self.groups * (self.groups - 1) // 2
        if halves <= MOST_HALVES and sums <= DIVIDING_WORK:
            while self._divide():
                self._swap_all()

    def anneal(self, rng: np.random.Generator, swaps: int | None) -> None:
        """Swap as a crystal cools: each time the best of all gains, each with noise added to it."""
        gain = self.gains()
        if not len(gain) or (spread := float(gain.std())) == 0:
            return
        # With many groups several swaps at once hardly disturb each other.
        at_once = max(1, self.groups // 16)
        work = 2 * self.m * self.slots * self.rows + 40 * len(gain) // at_once
        count = min(MOST_SWAPS, ANNEALING_WORK // work) if swaps is None else swaps
        hottest = min(HOTTEST, max(COLDEST, HOTTEST * count / self.groups / SWAPS_TO_MELT))
        steps = count // at_once
        for step in range(steps):
            heat = spread * hottest * (COLDEST / hottest) ** (step / steps)
            # Noise of this distribution chooses as Boltzmann's law says.
            noisy = self.gains() + heat * rng.gumbel(size=len(gain)).astype(np.float32)
            self._swap_best(noisy, at_once)

    def _swap_all(self) -> None:
        while (gain := self.gains()).max(initial=0) > self.least:
            self._swap_best(np.where(gain > self.least, gain, -np.inf), self.groups)

    def _swap_best(self, values: np.ndarray, most: int) -> None:
        """Swap the pairs of the best values, as far as they are of different groups."""
        if most == 1:
            best = [int(values.argmax())]
        else:
            candidates = min(16 * most, len(values) - 1)
            best = np.argpartition(-values, candidates)[:candidates]
            best = best[np.argsort(-values[best], kind="stable")].tolist()
        chosen, used = [], set()
        for at in best:
            touched = {self.first[at] // self.m, self.second[at] // self.m}
            if values[at] > -np.inf and len(chosen) < most and not touched & used:
                used |= touched
                chosen.append(at)
        i, j = self.first[chosen], self.second[chosen]
        slots, sources = np.concatenate([i, j]), np.concatenate([j, i])
        self._move(slots, sources)

    def _move(self, slots: np.ndarray, sources: np.ndarray) -> None:
        """Put into slots what stood in the sources, the same slots in another order."""
        self.order[slots] = self.order[sources]
        self.worth[:, slots] = self.worth[:, sources]
        self._refresh(np.unique(slots // self.m))

    def _refresh(self, groups: np.ndarray) -> None:
        """Worths of these groups' slots, from what stands in them now."""
        values = self.scores[self.order]
        slots = (groups[:, None] * self.m + np.arange(self.m)).ravel()
        inside = values[slots].reshape(len(groups), self.m, self.rows)
        ranked = np.sort(inside, axis=1)
        # Without a column that is among the n best the next one moves up.
        nth = ranked[:, self.m - self.n, None]
        after = ranked[:, self.m - self.n - 1, None]
        thresholds = np.where(inside >= nth, after, nth).reshape(len(slots), 1, self.rows)
        most = max(1, CHUNK // values.size)
        for start in range(0, len(slots), most):
            part = slice(start, start + most)
            self.worth[slots[part]] = np.maximum(thresholds[part], values).sum(2)

    def _divide(self) -> bool:
        """Divide the columns of two groups anew wherever that gains most; whether it did."""
        whole = self.width // self.m  # a last group that is not full stays as it is
        if whole < 2:
            return False
        pairs = np.array(list(combinations(range(whole), 2)))
        slots = (pairs[:, :, None] * self.m + np.arange(self.m)).reshape(len(pairs), -1)
        halves = _halves(self.m)
        kept_by = np.stack([self._kept(slots[:, half]) for half in halves], axis=1)
        both = kept_by + kept_by[:, ::-1]  # a half's complement is as far from the end
        best = both.argmax(1)
        gain = np.take_along_axis(both, best[:, None], 1)[:, 0] - both[:, 0]
        used: set[int] = set()
        for at in np.argsort(-gain, kind="stable"):
            if gain[at] > self.least and not used & set(pairs[at]):
                used |= set(pairs[at])
                new = np.concatenate([halves[best[at]], halves[-1 - best[at]]])
                self._move(slots[at], slots[at][new])
        return bool(used)

    def _kept(self, slots: np.ndarray) -> np.ndarray:
        """What groups of these slots would keep, of shape (pairs, m)."""
        inside = self.scores[self.order[slots]]
        best = np.partition(inside, self.m - self.n, axis=1)[:, self.m - self.n :]
        return best.sum((1, 2), dtype=np.float64)


@cache
def _halves(m: int) -> np.ndarray:
    """All choices of ``m`` of ``2 m``; a choice's complement is as far from the end."""
    return np.array(list(combinations(range(2 * m), m)))
