"""When to prune how much.

Zhu and Gupta, "To prune, or not to prune", 2017: while training goes on some weights are pruned
every few steps, many at first, fewer and fewer towards the end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from spec.errors import UserError
from sw.compress.layers import weights
from sw.compress.prune import Masks, kept_count, magnitude, zero


class Gradual:
    """Prunes by magnitude while a network is trained, from all its weights down to given densities.

    Parameters
    ----------
    density : mapping of layer name to float
        Share of each layer's weights that stay in the end, 0...1.
    steps : int
        The end is reached after this many steps of the optimizer; from there on the masks stay.
    rounds : int
        Number of prunings, equally far apart.

    Attributes
    ----------
    masks : Masks
        What stays, as of the latest pruning. Empty before the first step.
    """

    def __init__(self, density: Mapping[str, float], steps: int, rounds: int = 10):
        if not 1 <= rounds <= steps:
            raise UserError(
                f"{rounds} prunings within {steps} steps were asked for, allowed is 1...{steps}"
            )
        for name, share in density.items():
            kept_count(1, share, name)
        self.density = dict(density)
        self.steps = steps
        self.rounds = rounds
        self.masks = Masks({})

    def density_after(self, pruning: int) -> dict[str, float]:
        """Densities after a number of prunings, 0...rounds: a cubic curve, flat at the end."""
        ahead = (1 - pruning / self.rounds) ** 3
        return {name: last + (1 - last) * ahead for name, last in self.density.items()}

    def parameters(self, model: nn.Module) -> list[nn.Parameter]:
        """What an optimizer is to change: everything."""
        return list(model.parameters())

    @contextmanager
    def keep(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Within this context the network gets sparser, and what is pruned stays at zero."""
        weights(model, self.density)
        step, pruning, targets = 0, 0, []

        def after_step(*_):
            nonlocal step, pruning, targets
            step += 1
            if pruning < self.rounds and step * self.rounds >= (pruning + 1) * self.steps:
                pruning += 1
                self.masks = magnitude(model, self.density_after(pruning))
                targets = self.masks.targets(model)
            zero(targets)

        handle = optimizer.register_step_post_hook(after_step)
        try:
            yield
        finally:
            handle.remove()
