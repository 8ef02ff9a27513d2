"""Patterns that keep single weights, so many of each part of a layer: N:M, and balanced."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from spec.errors import UserError
from sw.compress.patterns.base import Pattern, check_sizes
from sw.compress.prune import kept_count, largest

NOTHING = -1.0
"""Score of what is not there: below that of any weight."""


class NM(Pattern):
    """The ``n`` best of each ``m`` neighbouring inputs of an output.

    Equals PyTorch's ``WeightNormSparsifier``, also in which of equals stay: ``torch.topk`` chooses.
    """

    elementwise = True

    def __init__(self, n: int, m: int):
        check_nm(n, m)
        self.n, self.m = n, m

    @property
    def fixed_density(self) -> float:
        return self.n / self.m

    def towards(self, density: float) -> tuple[Pattern, float]:
        """More of each ``m`` stay on the way."""
        on_the_way = NM(min(max(self.n, math.ceil(density * self.m)), self.m), self.m)
        return on_the_way, on_the_way.fixed_density

    def choose(self, scores: Tensor, density: float) -> Tensor:
        return best_of_groups(scores, self.n, self.m)

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


class Balanced(Pattern):
    """Zeros anywhere, but the same share of the weights in every processing element.

    Load-balance-aware pruning (ESE; Han et al., FPGA 2017): row *i* belongs to processing element
    *i* modulo ``pes``, as an EIE array stores it, and each keeps its own best weights.
    """

    elementwise = True

    def __init__(self, pes: int):
        check_sizes(pes=pes)
        self.pes = pes

    def choose(self, scores: Tensor, density: float) -> Tensor:
        mask = torch.zeros_like(scores, dtype=torch.bool)
        for pe in range(min(self.pes, len(scores))):
            own = scores[pe :: self.pes]
            count = kept_count(own.numel(), density, f"processing element {pe}")
            mask[pe :: self.pes] = largest(own, count)
        return mask

    def __str__(self) -> str:
        return f"balanced:{self.pes}"


def check_nm(n: int, m: int) -> None:
    """Refuse what is no N:M."""
    if not 1 <= n <= m:
        raise UserError(f"the pattern {n}:{m} was given, allowed is N:M with N from 1 to M")


def best_of_groups(scores: Tensor, n: int, m: int) -> Tensor:
    """Where the ``n`` largest of each ``m`` neighbours in a row are. Bool, shape of ``scores``."""
    rows, width = scores.shape
    groups = pad(scores, (0, -width % m), value=NOTHING).reshape(rows, -(-width // m), m)
    dropped = groups.topk(m - n, dim=2, largest=False).indices
    kept = torch.ones_like(groups, dtype=torch.bool).scatter_(2, dropped, False)
    return kept.flatten(1)[:, :width]
