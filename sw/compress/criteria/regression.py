"""Regression: weights are chosen, and moved, so that each layer's outputs change least.

On calibration data, without training: Optimal Brain Surgeon for whole layers, in the manner of
SparseGPT (:mod:`sw.compress.criteria.reconstruct`).
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from spec.errors import UserError
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.capture import Moments, grams, moments, stages
from sw.compress.criteria.matrix import Matrix, solve_matrix
from sw.compress.criteria.reconstruct import DAMPING
from sw.compress.layers import weights
from sw.compress.patterns.base import Pattern


class Regression(Criterion):
    """Layer-wise reconstruction: the least error ||W Z - V X||^2 that can be found.

    W are the weights as they were, V those that stay, X the layer's inputs on the calibration data,
    and Z the same or, with ``sequential``, what the inputs were before anything was pruned.

    The error is never above that of magnitude pruning with the same pattern and density: both are
    computed, from all of the data, and the better one is taken. As a rule it is several times
    smaller, in the end of the network as well.

    Costs for a layer of ``rows x inputs`` are a few ``rows * inputs^2 + inputs^3`` products, and
    once ``rows * kept^3 / 3`` for ``kept`` weights in a row; memory is some five times
    ``inputs^2`` doubles.

    Parameters
    ----------
    damping : float
        What is added to the diagonal of X X^T, as a share of its mean: more keeps weights nearer to
        what they were, which helps where data are few.
    sequential : bool
        Prune one layer after the other. Each sees its inputs as the layers before, already pruned,
        give them, and makes up for what those have lost. The network runs once per layer and batch.
        Otherwise it runs once, and each layer is solved by itself.
    """

    name = "regression"

    def __init__(self, damping: float = DAMPING, sequential: bool = False):
        if not 0 < damping < float("inf"):
            raise UserError(f"a damping of {damping:g} was given, it must be above 0")
        self.damping = damping
        self.sequential = sequential

    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        """The error that each weight's removal costs, all others of its row making up for it."""
        found = self._grams(context)
        return {
            name: matrix.back(matrix.saliency())
            for name in context.weights
            if (matrix := self._matrix(context, name, same(found[name])))
        }

    def solve(
        self,
        context: Context,
        patterns: Mapping[str, Pattern],
        density: Mapping[str, float] | float | None,
    ) -> dict[str, tuple[Tensor, Tensor]]:
        if isinstance(density, (int, float)):
            masks = self.masks(context, patterns, density)
            density = {name: float(mask.double().mean()) for name, mask in masks.items()}
        shares = {
            name: patterns[name].allowed(None if density is None else density.get(name))
            for name in context.weights
        }
        if self.sequential:
            return self._one_by_one(context, patterns, shares)
        found = self._grams(context)
        return {
            name: solve_matrix(
                self._matrix(context, name, same(found.pop(name))), patterns[name], share
            )
            for name, share in shares.items()
        }

    def _grams(self, context: Context) -> dict[str, Tensor]:
        batches = context.data(self.name)
        return grams(context.model, list(context.weights), batches, self.name)

    def _one_by_one(
        self, context: Context, patterns: Mapping[str, Pattern], shares: Mapping[str, float]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        batches = context.data(self.name)
        pruned = copy.deepcopy(context.model)
        targets = weights(pruned, context.weights)
        found = {}
        for stage in stages(context.model, context.weights, batches[0][0], self.name):
            seen = moments(context.model, pruned, stage, batches)
            for name in stage.layers:
                matrix = self._matrix(context, name, seen)
                found[name] = solve_matrix(matrix, patterns[name], shares[name])
                with torch.no_grad():
                    targets[name].copy_(found[name][1])
        return {name: found[name] for name in context.weights}

    def _matrix(self, context: Context, name: str, moments: Moments) -> Matrix:
        return Matrix(context.weights[name].detach(), moments, self.damping)


def same(gram: Tensor) -> Moments:
    """Moments of inputs that are what they were."""
    return gram, gram, gram
