"""Progressive pruning by the alternating direction method of multipliers.

Zhang et al., "A Systematic DNN Weight Pruning Framework using ADMM", 2018; Ye et al., "Progressive
DNN Compression", 2019. While the network learns, a quadratic penalty draws the weights W to their
projection Z onto the pattern: Z = project(W + U), and U sums up what is left, W - Z. Then what Z
has lost is pruned, and the rest is trained. Going there in several stages reaches further.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from spec.errors import UserError
from sw.compress.schedule.base import Course, Pruning, Schedule, check_steps


@dataclass(frozen=True)
class Admm(Schedule):
    """Stages of ADMM and retraining, each to the same share of what the stage before has left.

    Attributes
    ----------
    stages : int
    steps : int
        Steps of the optimizer with the penalty, in each stage.
    retrain : int
        Steps with masks behind them.
    every : int
        Steps between two projections.
    rho : float
        Weight of the penalty: rho / 2 * ||W - Z + U||^2.
    """

    stages: int = 3
    steps: int = 2000
    retrain: int = 2000
    every: int = 200
    rho: float = 1e-2

    def __post_init__(self):
        check_steps(stages=self.stages, steps=self.steps, retrain=self.retrain, every=self.every)
        if not self.rho > 0:
            raise UserError(f"rho = {self.rho} was given, must be more than 0")

    def begin(self, pruning: Pruning) -> Course:
        return _Alternating(self, pruning)

    def __str__(self) -> str:
        return f"admm:{self.stages}x{self.steps}+{self.retrain}"


class _Alternating(Course):
    def __init__(self, schedule: Admm, pruning: Pruning):
        self.schedule, self.pruning = schedule, pruning
        self.steps = self.stage = 0
        self._dual: dict[str, Tensor] = {}
        self._start()

    @property
    def penalizes(self) -> bool:
        return bool(self._dual)

    def penalty(self) -> Tensor | None:
        if not self._dual:
            return None
        weights = self.pruning.weights
        parts = [(weights[name] - aim).square().sum() for name, aim in self._aims.items()]
        return self.schedule.rho / 2 * torch.stack(parts).sum()

    def step(self) -> None:
        self.steps += 1
        if self.pruning.masks:
            self.pruning.hold()
        if self._dual and self.steps == self.schedule.steps:
            self._dual = {}
            self.pruning.prune(self._density)
        elif self._dual and self.steps % self.schedule.every == 0:
            self._project()
        elif self.steps == self.schedule.steps + self.schedule.retrain:
            self.stage += 1
            if self.stage < self.schedule.stages:
                self._start()

    def finish(self) -> None:
        """What training was too short for is pruned now."""
        if self._dual or self.stage < self.schedule.stages - 1:
            self.pruning.prune()

    def _density(self, goal: float) -> float:
        return goal ** ((self.stage + 1) / self.schedule.stages)

    def _start(self) -> None:
        self.steps = 0
        self._dual = {name: torch.zeros_like(w) for name, w in self.pruning.weights.items()}
        self._project(first=True)

    @torch.no_grad()
    def _project(self, first: bool = False) -> None:
        """Z = project(W + U); then U += W - Z, but not at first, when nothing has been drawn to Z
        yet. What W is drawn to is Z - U."""
        weights, self._aims = self.pruning.weights, {}
        sums = {name: weights[name].detach() + dual for name, dual in self._dual.items()}
        masks = self.pruning.choose(self._density, sums)
        for name, total in sums.items():
            if not first:
                self._dual[name] = total * ~masks[name]
            self._aims[name] = total * masks[name] - self._dual[name]
