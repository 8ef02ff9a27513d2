"""Magnitude: what is small matters little.

Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015; norms of
groups: Li et al., "Pruning Filters for Efficient ConvNets", 2017.
"""

from collections.abc import Mapping

from torch import Tensor

from spec.errors import UserError
from sw.compress.criteria.base import Context, Criterion
from sw.compress.patterns.base import Pattern


class Magnitude(Criterion):
    """The absolute value of a weight, the L1 or the L2 norm of a group.

    Parameters
    ----------
    norm : int
        1 or 2. Weights that stay or go by themselves are in the same order in both.
    """

    name = "magnitude"

    def __init__(self, norm: int = 2):
        if norm not in (1, 2):
            raise UserError(f"a norm of L{norm} was given, allowed is 1 or 2")
        self.norm = norm

    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        return {
            name: self._of(weight.detach(), patterns[name])
            for name, weight in context.weights.items()
        }

    def _of(self, weight: Tensor, pattern: Pattern) -> Tensor:
        if self.norm == 1 or pattern.elementwise:
            return weight.abs()
        return weight.double().square()
