"""What a criterion is, and what it may look at."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.patterns.base import Pattern
from sw.compress.patterns.groups import Grouped
from sw.compress.prune import kept_count, largest

Batches = Sequence[tuple[Any, Tensor]]
"""Calibration data: inputs of the network (a tensor, or a tuple of them), and their targets."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""From outputs and targets to a number, the mean over the batch."""


def lasting(batches: Iterable | None) -> Batches | None:
    """Calibration data that can be gone through more than once, and in any order."""
    if batches is None:
        return None
    found = list(batches)
    if not all(isinstance(one, (tuple, list)) and len(one) == 2 for one in found):
        raise UserError("calibration data must be batches of (inputs, targets)")
    return found


@dataclass(frozen=True)
class Context:
    """What a criterion may look at. It changes none of it.

    Attributes
    ----------
    model : nn.Module
    weights : mapping of layer name to Tensor
        The weights to choose from (:func:`sw.compress.layers.weights`).
    batches : sequence of (inputs, targets), optional
        Calibration data, for criteria that run the network.
    loss : callable, optional
        For criteria that take gradients; default is the cross entropy.
    """

    model: nn.Module
    weights: Mapping[str, Tensor]
    batches: Batches | None = None
    loss: Loss = nn.functional.cross_entropy

    def data(self, criterion: str) -> Batches:
        """The calibration data; refuses if there is none."""
        if not self.batches:
            raise UserError(
                f"the criterion {criterion} runs the network on data: give batches of "
                "(inputs, targets)"
            )
        return self.batches

    @property
    def example(self) -> Any:
        """Inputs of the network, if there is data; None if not."""
        return self.batches[0][0] if self.batches else None


class Criterion(ABC):
    """Says how much each weight matters, and so which stay.

    One that also moves the weights that stay overrides :meth:`solve`.
    """

    name = ""

    judges_masked = True
    """Can be asked while masks stand in front of the network's weights, too."""

    @abstractmethod
    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        """For each layer of the context a score for each weight, 0 or more: see :class:`Pattern`.

        A criterion that judges whole outputs says of each weight what it says of its output.
        """

    def masks(
        self,
        context: Context,
        patterns: Mapping[str, Pattern],
        density: Mapping[str, float] | float | None,
    ) -> dict[str, Tensor]:
        """Which weights stay.

        Parameters
        ----------
        density : mapping of layer name to float, float, or None
            A share for each layer; or one number for all layers together, which then compete
            (:func:`compete`); None where patterns have densities of their own.
        """
        scores = {
            # What is zero already matters nothing, whatever is said of it.
            name: one.masked_fill(_gone(context.weights[name], patterns[name]), 0)
            for name, one in self.scores(context, patterns).items()
        }
        if isinstance(density, (int, float)):
            return compete(scores, patterns, density)
        shares = {} if density is None else density
        return {name: patterns[name].mask(one, shares.get(name)) for name, one in scores.items()}

    def solve(
        self,
        context: Context,
        patterns: Mapping[str, Pattern],
        density: Mapping[str, float] | float | None,
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Which weights stay, and what the weights become. A mask and a weight for each layer."""
        masks = self.masks(context, patterns, density)
        return {name: (mask, context.weights[name].detach() * mask) for name, mask in masks.items()}


def compete(
    scores: Mapping[str, Tensor], patterns: Mapping[str, Pattern], density: float
) -> dict[str, Tensor]:
    """Masks by one threshold over all layers: the groups with the best mean score per weight stay.

    Among equals those of earlier layers stay, then the first ones. With groups of different sizes,
    the best stay until their weights are as many as asked for, or one group more.

    Raises
    ------
    UserError
        If a pattern keeps the same share in every part of a layer, so that nothing competes.
    """
    grouped = {name: _competing(name, patterns[name]) for name in scores}
    matrices = {name: one.movedim(1, -1).flatten(1) for name, one in scores.items()}
    means = {name: grouped[name].means(matrix) for name, matrix in matrices.items()}
    sizes = [grouped[name].sums(torch.ones_like(one)) for name, one in matrices.items()]
    kept = _best(
        torch.cat([one.flatten() for one in means.values()]),
        torch.cat([one.flatten() for one in sizes]),
        density,
    )
    parts = kept.split([one.numel() for one in means.values()])
    masks = {}
    for (name, mean), part in zip(means.items(), parts, strict=True):
        last = scores[name].movedim(1, -1)
        mask = grouped[name].spread(part.reshape(mean.shape), *matrices[name].shape)
        masks[name] = mask.reshape(last.shape).movedim(-1, 1).clone()
    return masks


def _gone(weight: Tensor, pattern: Pattern) -> Tensor:
    """What is zero: weights, or whole outputs if those stay or go together. Bool."""
    zero = weight.detach() == 0
    return (
        zero.flatten(1).all(1).reshape(-1, *[1] * (zero.ndim - 1))
        if pattern.whole_outputs
        else zero
    )


def _competing(layer: str, pattern: Pattern) -> Grouped:
    if not isinstance(pattern, Grouped):
        raise UserError(
            f"layer {layer}: the pattern {pattern} keeps as much in each part of a layer, "
            "so layers cannot compete: give each layer its own density"
        )
    return pattern


def _best(means: Tensor, sizes: Tensor, density: float) -> Tensor:
    """Which groups stay. Bool, shape (groups,)."""
    count = kept_count(int(sizes.sum()), density, "all layers")
    if bool((sizes == sizes[0]).all()):
        return largest(means, -(-count // int(sizes[0])))
    order = means.sort(descending=True, stable=True).indices
    before = sizes[order].cumsum(0) - sizes[order]
    return torch.zeros_like(means, dtype=torch.bool).scatter_(0, order, before < count)
