"""Second order: what the loss is likely to rise by when a weight goes.

LeCun et al., "Optimal Brain Damage", 1990.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from spec.errors import UserError
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.capture import call, evaluating
from sw.compress.layers import locate
from sw.compress.patterns.base import Pattern


class SecondOrder(Criterion):
    """Optimal Brain Damage: h w^2 / 2, with the loss's second derivative h by each weight alone.

    h is the mean over the samples of the squared gradient of each sample's own loss (the empirical
    Fisher information), which for a trained classifier comes near to the second derivative and is
    never negative. Gradients are taken sample by sample, one backward pass for each: some hundred
    samples are enough, and any network works. It is in eval mode meanwhile.
    """

    name = "second-order"

    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        fisher = self.fisher(context)
        return {
            name: fisher[name] * weight.detach().square() / 2
            for name, weight in context.weights.items()
        }

    def fisher(self, context: Context) -> dict[str, Tensor]:
        """The mean squared gradient of each weight."""
        batches = context.data(self.name)
        sums = {name: torch.zeros_like(weight) for name, weight in context.weights.items()}
        count = 0
        with evaluating(context.model), torch.enable_grad(), _learning(context) as own:
            for inputs, targets in batches:
                for at in range(len(targets)):
                    loss = self._loss(context, _one(inputs, at), targets[at : at + 1])
                    gradients = torch.autograd.grad(loss, list(own.values()), allow_unused=True)
                    for name, gradient in zip(own, gradients, strict=True):
                        sums[name] += _checked(gradient, name).square()
                    count += 1
        if not count:
            raise UserError(f"the criterion {self.name} was given batches without a sample")
        return {name: total / count for name, total in sums.items()}

    def _loss(self, context: Context, inputs: Any, targets: Tensor) -> Tensor:
        outputs = call(context.model, inputs)
        if context.loss is None:
            raise UserError(f"the criterion {self.name} takes gradients of a loss: give one")
        try:
            loss = context.loss(outputs, targets)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise UserError(
                f"the criterion {self.name}: the loss cannot take outputs of shape "
                f"{tuple(getattr(outputs, 'shape', ()))} and targets of shape "
                f"{tuple(targets.shape)}: {str(error).partition(chr(10))[0]}"
            ) from None
        if loss.numel() != 1 or not loss.requires_grad:
            raise UserError(f"the criterion {self.name}: the loss must be one number to derive")
        return loss.sum()


def _one(inputs: Any, at: int) -> Any:
    """A batch with no more than one sample of another."""
    if isinstance(inputs, (tuple, list)):
        return tuple(one[at : at + 1] for one in inputs)
    return inputs[at : at + 1]


def _checked(gradient: Tensor | None, name: str) -> Tensor:
    if gradient is None:
        raise UserError(f"layer {name}: the loss does not depend on it")
    if not bool(torch.isfinite(gradient).all()):
        raise UserError(f"layer {name}: its gradient is NaN or infinite on the calibration data")
    return gradient


@contextmanager
def _learning(context: Context) -> Iterator[dict[str, Tensor]]:
    """Within this context gradients by the layers' weights can be taken; then as before.

    The weights are those that the network computes with: masked ones, if a schedule masks them.
    """
    with parametrize.cached():
        places = {name: locate(context.model, name) for name in context.weights}
        own = {name: getattr(module, weight) for name, (module, weight) in places.items()}
        before = [one.requires_grad for one in own.values()]
        try:
            for one in own.values():
                one.requires_grad_(True)
            yield own
        finally:
            for one, needed in zip(own.values(), before, strict=True):
                one.requires_grad_(needed)
