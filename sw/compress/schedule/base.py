"""What a schedule is, and the network that it works on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from spec.errors import UserError
from sw.compress.channels import silence_targets
from sw.compress.criteria.base import Context, Criterion
from sw.compress.patterns.base import Pattern
from sw.compress.patterns.groups import Channel
from sw.compress.prune import Masks, zero

Density = Mapping[str, float] | float | None
"""A share for each layer, one for all layers together, or the patterns' own."""


class Pruning:
    """A network while it is pruned: chooses what stays, and sets the rest to zero, in place.

    Parameters
    ----------
    context : Context
        The network, and what criteria may look at.
    patterns : mapping of layer name to Pattern
    criterion : Criterion
    density : mapping of layer name to float, float or None
        What is to be reached. Where a layer's pattern has a density of its own it counts.

    Attributes
    ----------
    masks : Masks
        What stays, as of the latest pruning. Empty before the first.
    """

    def __init__(
        self,
        context: Context,
        patterns: Mapping[str, Pattern],
        criterion: Criterion,
        density: Density,
    ):
        self.context = context
        self.patterns = dict(patterns)
        self.criterion = criterion
        self.density = density
        self.masks = Masks({})
        self._targets: list[tuple[Tensor, Tensor]] = []

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """Layer name to the parameter that is trained."""
        return self.context.weights

    def choose(
        self, at: Callable[[float], float] = float, weights: Mapping[str, Tensor] | None = None
    ) -> Masks:
        """What would stay now. The network is not changed.

        Parameters
        ----------
        at : function of a density to reach
            To the density now. What a pattern cannot have, it has as nearly as it can.
        weights : mapping of layer name to Tensor, optional
            Values to judge in place of the network's own.
        """
        patterns, density = self._now(at)
        context = self.context if weights is None else replace(self.context, weights=weights)
        return Masks(self.criterion.masks(context, patterns, density))

    def prune(self, at: Callable[[float], float] = float) -> None:
        """Choose anew, and set to zero what does not stay. Criteria may move what stays."""
        self.refuse_broken()
        patterns, density = self._now(at)
        solved = self.criterion.solve(self.context, patterns, density)
        for name, (mask, _) in solved.items():
            share = density[name] if isinstance(density, Mapping) else 0
            if share > 0 and not bool(mask.any()):
                raise UserError(
                    f"layer {name}: with a density of {share:g} the pattern {patterns[name]} keeps "
                    f"nothing of {tuple(mask.shape)} weights; give a larger one, or 0"
                )
        with torch.no_grad():
            for name, (_, weight) in solved.items():
                self.weights[name].copy_(weight)
        self.fix(Masks({name: mask for name, (mask, _) in solved.items()}))

    def fix(self, masks: Masks) -> None:
        """Let these weights stay, and set the others to zero; of channels what belongs to them."""
        self.masks = masks
        self._targets = [
            (self.weights[name], mask.to(self.weights[name].dtype)) for name, mask in masks.items()
        ]
        channels = {n: m for n, m in masks.items() if isinstance(self.patterns[n], Channel)}
        if channels:
            context = self.context
            self._targets += silence_targets(context.model, channels, context.example)
        self.hold()

    def hold(self) -> None:
        """Set to zero what does not stay, once more."""
        zero(self._targets)

    def refuse_broken(self) -> None:
        """Raise a UserError if a weight is no number any more."""
        for name, weight in self.weights.items():
            if not bool(torch.isfinite(weight.detach()).all()):
                raise UserError(
                    f"layer {name}: weights became NaN or infinite while training; "
                    "try a lower learning rate"
                )

    def refuse_broken_gradients(self) -> None:
        """Raise a UserError if a weight has just learned from what is no number."""
        for name, weight in self.weights.items():
            if weight.grad is not None and not bool(torch.isfinite(weight.grad.sum())):
                raise UserError(
                    f"layer {name}: its gradient is NaN or infinite; try a lower learning rate"
                )

    def _now(self, at: Callable[[float], float]) -> tuple[dict[str, Pattern], Density]:
        if isinstance(self.density, (int, float)):
            return self.patterns, at(float(self.density))
        patterns, density = {}, {}
        for name, pattern in self.patterns.items():
            goal = pattern.allowed(None if self.density is None else self.density.get(name))
            patterns[name], density[name] = pattern.towards(at(goal))
        return patterns, density


class Course(ABC):
    """A schedule at work on one network."""

    @property
    def penalizes(self) -> bool:
        """Whether training is to add a penalty to its next loss."""
        return False

    def penalty(self) -> Tensor | None:
        """What training is to add to its loss, a scalar; None if nothing."""
        return None

    @abstractmethod
    def step(self) -> None:
        """To be called after each step of the optimizer."""

    @abstractmethod
    def finish(self) -> None:
        """Leave a plain network, pruned as far as asked for."""


class Schedule(ABC):
    """Says when to prune how much."""

    @abstractmethod
    def begin(self, pruning: Pruning) -> Course:
        """Go to work on a network, which may be changed at once."""

    @abstractmethod
    def __str__(self) -> str:
        """The text that :func:`sw.compress.schedule.parse` takes."""


def check_steps(**counts: int) -> None:
    """Refuse a number of steps below 1."""
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"{name} = {count} was given, must be at least 1")
