"""Training with masks that are chosen anew all the time, so that what was pruned can come back.

SR-STE: Zhou et al., "Learning N:M Fine-grained Structured Sparse Neural Networks From Scratch",
2021. With a density that falls and any pattern it is in the manner of dynamic network surgery (Guo
et al., 2016), but for its two thresholds and its chance: masks follow the magnitudes exactly.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from spec.errors import UserError
from sw.compress.layers import locate
from sw.compress.schedule.base import Course, Pruning, Schedule, check_steps


@dataclass(frozen=True)
class SrSte(Schedule):
    """The network computes with masked weights, and all weights learn: what is masked, by the
    gradient that it would have had (straight-through estimator), and decays (sparse-refined).

    Attributes
    ----------
    decay : float
        Gradient of a masked weight, per its value, besides that of the loss.
    every : int
        Steps of the optimizer after which masks are chosen anew.
    ramp : int
        Steps until the density is reached, along a cubic curve; 0 is at once.
    until : int or None
        Steps after which the masks stay as they are, and only what they keep learns.
    """

    decay: float = 2e-4
    every: int = 1
    ramp: int = 0
    until: int | None = None

    def __post_init__(self):
        check_steps(every=self.every)
        if self.decay < 0:
            raise UserError(f"decay = {self.decay} was given, must not be negative")
        if self.ramp < 0 or (self.until is not None and self.until < self.ramp):
            raise UserError(
                f"a ramp of {self.ramp} steps and masks that stay after {self.until} were given; "
                "the ramp must end before masks stay"
            )

    def begin(self, pruning: Pruning) -> Course:
        return _Refining(self, pruning)

    def density(self, goal: float, step: int) -> float:
        """Of the density to reach, what is reached after so many steps."""
        return goal + (1 - goal) * (1 - min(1.0, step / self.ramp)) ** 3 if self.ramp else goal

    def __str__(self) -> str:
        return f"sr-ste:{self.decay:g}x{self.every}"


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, mask: Tensor, decay: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(weight, mask, decay)
        return weight * mask

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        weight, mask, decay = ctx.saved_tensors
        return gradient + decay * (1 - mask) * weight, None, None


class Refined(nn.Module):
    """The weight that the network sees."""

    def __init__(self, mask: Tensor, decay: float):
        super().__init__()
        self.mask: Tensor
        self.register_buffer("mask", mask)
        self.decay: Tensor
        self.register_buffer("decay", torch.tensor(decay))
        self.fixed = False

    def forward(self, weight: Tensor) -> Tensor:
        if self.fixed:
            return weight * self.mask
        return _StraightThrough.apply(weight, self.mask, self.decay)  # type: ignore[return-value]


def _plain(module: nn.Module, parameter: str) -> None:
    """Take the mask away, and leave the parameter where it stood among the others."""
    behind = list(module._parameters)
    parametrize.remove_parametrizations(module, parameter)
    for name in behind:
        module._parameters[name] = module._parameters.pop(name)


class _Refining(Course):
    def __init__(self, schedule: SrSte, pruning: Pruning):
        self.schedule, self.pruning = schedule, pruning
        self.steps = 0
        self._seen: dict[str, Refined] = {}
        if not pruning.criterion.judges_masked:
            raise UserError(f"sr-ste does not go with the criterion {pruning.criterion.name}")
        places = {name: locate(pruning.context.model, name) for name in pruning.weights}
        for name, (module, _) in places.items():
            if isinstance(module, nn.RNNBase):
                raise UserError(f"layer {name}: sr-ste cannot mask the weights of an LSTM or a GRU")
        self._choose(0)
        for name, weight in pruning.weights.items():
            module, parameter = places[name]
            refined = Refined(pruning.masks[name].to(weight.dtype), schedule.decay)
            parametrize.register_parametrization(module, parameter, refined)
            self._seen[name] = refined

    def step(self) -> None:
        self.steps += 1
        until = self.schedule.until
        if until is not None and self.steps >= until:
            self._fix()
        elif self.steps % self.schedule.every == 0:
            self._choose(self.steps)

    def finish(self) -> None:
        self.pruning.refuse_broken()
        self._fix()
        for name in self._seen:
            _plain(*locate(self.pruning.context.model, name))
        self.pruning.fix(self.pruning.masks)

    def _fix(self) -> None:
        """Masks stay as they are, once they are as sparse as asked for."""
        if self._chosen < self.schedule.ramp:
            self._choose(self.schedule.ramp)
        for refined in self._seen.values():
            refined.fixed = True

    def _choose(self, step: int) -> None:
        """Choose masks by the weights of now, as many as after this step."""
        self._chosen = step
        masks = self.pruning.choose(lambda goal: self.schedule.density(goal, step))
        self.pruning.masks = masks
        for name, refined in self._seen.items():
            refined.mask.copy_(masks[name])
