"""Tile-wise and tile-vector-wise patterns: every so many outputs drop whole inputs together.

Tile-wise: Guo et al., SC 2020. With N:M among what a tile keeps: Guo et al., 2024.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from spec.errors import UserError
from spec.nm.tiles import place
from sw.compress.patterns.base import Pattern, check_sizes, sum_blocks
from sw.compress.patterns.element import NOTHING, best_of_groups, check_nm
from sw.compress.prune import kept_count


class Tile(Pattern):
    """Every ``rows`` outputs keep the inputs with the largest scores, and no others.

    Parameters
    ----------
    rows : int
        Outputs of a tile.
    banks : int
        No more inputs of one residue modulo ``banks`` are kept than it takes for all residues to
        keep as many: a gather stage that reads so many inputs at a time, one of each residue,
        never waits (``line_inputs`` of :class:`spec.nm.config.NmConfig`).
    """

    def __init__(self, rows: int, banks: int = 1):
        check_sizes(rows=rows, banks=banks)
        self.rows, self.banks = rows, banks

    def choose(self, scores: Tensor, density: float) -> Tensor:
        kept = self.inputs(scores, density)
        return kept.repeat_interleave(self.rows, 0)[: len(scores)]

    def inputs(self, scores: Tensor, density: float) -> Tensor:
        """Which inputs each tile keeps. Bool, shape (tiles, inputs)."""
        sums = sum_blocks(scores.double(), self.rows, 1)
        tiles, inputs = sums.shape
        count = kept_count(inputs, density, "inputs of a tile")
        in_banks = pad(sums, (0, -inputs % self.banks), value=NOTHING)
        in_banks = in_banks.reshape(tiles, -1, self.banks)
        allowed = _first_best(in_banks, math.ceil(count / self.banks), 1)
        allowed = allowed.reshape(tiles, -1)[:, :inputs]
        return _first_best(torch.where(allowed, sums, NOTHING), count, 1)

    def __str__(self) -> str:
        return f"tile:{self.rows}" + (f"x{self.banks}" if self.banks > 1 else "")


class TileVector(Pattern):
    """:class:`Tile`, and of the inputs that a tile keeps ``n`` in ``m``.

    Groups are of the inputs as the array moves them together (:func:`spec.nm.tiles.place`). Every
    input that a tile keeps has a weight with a score above 0 there, so that whoever sees no more
    than the weights finds the same inputs, and the same groups: where N:M would leave none, one
    stays in place of another. A tile of fewer than ``m / n`` outputs keeps fewer inputs for it.

    The density is of both together: tiles keep ``density * m / n`` of their inputs.
    """

    def __init__(self, rows: int, n: int, m: int, banks: int = 1):
        check_nm(n, m)
        self.tile, self.n, self.m = Tile(rows, banks), n, m

    def towards(self, density: float) -> tuple[Pattern, float]:
        """All inputs stay on the way until N:M alone is not sparse enough."""
        return self, min(density, self.n / self.m)

    def allowed(self, density: float | None) -> float:
        """The density, if N:M leaves so many."""
        chosen, most = super().allowed(density), self.n / self.m
        if not 0 <= chosen <= most:
            raise UserError(
                f"a density of {chosen} was given, the pattern {self.n}:{self.m} allows 0...{most}"
            )
        return chosen

    def choose(self, scores: Tensor, density: float) -> Tensor:
        tiles = self.tile.inputs(scores, min(1.0, density * self.m / self.n))
        parts = scores.split(self.tile.rows)
        return torch.cat([self._vectors(*part) for part in zip(parts, tiles, strict=True)])

    def _vectors(self, scores: Tensor, kept: Tensor) -> Tensor:
        """What stays of a tile that keeps these inputs, or fewer. Bool, shape of ``scores``."""
        kept = kept.clone()
        while True:
            inputs = torch.from_numpy(place(kept.numpy(), self.tile.banks))
            there = inputs >= 0
            placed = torch.where(there, scores[:, inputs], NOTHING)
            chosen = best_of_groups(placed, self.n, self.m) & (placed > 0)
            empty = (there & ~chosen.any(0)).nonzero().flatten().tolist()
            lost = next((at for at in empty if not _revive(placed, chosen, at, self.m)), None)
            if lost is None:
                break
            kept[inputs[lost]] = False
        mask = torch.zeros_like(scores, dtype=torch.bool)
        mask[:, inputs[there]] = chosen[:, there]
        return mask

    def __str__(self) -> str:
        return str(self.tile).replace("tile", "tile-vector") + f":{self.n}:{self.m}"


def _revive(placed: Tensor, chosen: Tensor, at: int, m: int) -> bool:
    """Let one weight of an input stay, in the place of a weight whose input has others: where that
    costs least. False if there is no such place."""
    span = slice(at // m * m, at // m * m + m)
    spare = chosen[:, span] & (chosen[:, span].sum(0) > 1)
    weakest = torch.where(spare, placed[:, span], torch.inf).min(1)
    gain = torch.where(placed[:, at] > 0, placed[:, at] - weakest.values, -torch.inf)
    row = int(gain.argmax())
    if gain[row] == -torch.inf:
        return False
    chosen[row, at // m * m + weakest.indices[row]] = False
    chosen[row, at] = True
    return True


def _first_best(scores: Tensor, count: int, dim: int) -> Tensor:
    """Where the ``count`` largest scores along a dimension are, among equals the first. Bool."""
    order = scores.sort(dim=dim, descending=True, stable=True).indices
    chosen = order.narrow(dim, 0, min(count, scores.shape[dim]))
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(dim, chosen, True)
