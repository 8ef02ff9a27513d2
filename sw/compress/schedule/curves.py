"""Pruning at given times to given densities; what is pruned stays at zero.

Iterative: Han et al., 2015. Gradual: Zhu and Gupta, "To prune, or not to prune", 2017.
"""

from abc import abstractmethod
from dataclasses import dataclass

from spec.errors import UserError
from sw.compress.schedule.base import Course, Pruning, Schedule, check_steps


class Curve(Schedule):
    """A density for each of some prunings."""

    prunings: int
    """How often it prunes after the start."""

    at_once = False
    """The first pruning is before any training."""

    def begin(self, pruning: Pruning) -> Course:
        return _Along(self, pruning)

    @abstractmethod
    def due(self, step: int) -> int:
        """How many prunings must be done after so many steps."""

    @abstractmethod
    def density(self, goal: float, pruning: int) -> float:
        """Of the density to reach, what is reached after so many prunings."""


class _Along(Course):
    def __init__(self, curve: Curve, pruning: Pruning):
        self.curve, self.pruning = curve, pruning
        self.steps = self.done = 0
        self._catch_up()

    def step(self) -> None:
        self.steps += 1
        if not self._catch_up():
            self.pruning.hold()

    def finish(self) -> None:
        """What training was too short for is pruned now."""
        if self.done < self.curve.prunings or not self.pruning.masks:
            self.pruning.prune()

    def _catch_up(self) -> bool:
        due = min(self.curve.due(self.steps), self.curve.prunings)
        if due <= self.done:
            return False
        self.done = due
        self.pruning.prune(lambda goal: self.curve.density(goal, due))
        return True


@dataclass(frozen=True)
class OneShot(Curve):
    """Prunes once, before any training."""

    prunings = 1

    def due(self, step: int) -> int:
        return 1

    def density(self, goal: float, pruning: int) -> float:
        return goal

    def __str__(self) -> str:
        return "one-shot"


@dataclass(frozen=True)
class Iterative(Curve):
    """Prunes at the start and then every so many steps, each time the same share of what is left.

    Attributes
    ----------
    prunings : int
        How often.
    every : int
        Steps of the optimizer between two prunings.
    """

    prunings: int
    every: int

    def __post_init__(self):
        check_steps(prunings=self.prunings, every=self.every)

    def due(self, step: int) -> int:
        return 1 + step // self.every

    def density(self, goal: float, pruning: int) -> float:
        return goal ** (pruning / self.prunings)

    def __str__(self) -> str:
        return f"iterative:{self.prunings}x{self.every}"


@dataclass(frozen=True)
class Gradual(Curve):
    """Prunes along a cubic curve: much at first, less and less towards the end.

    Attributes
    ----------
    steps : int
        The end is reached after this many steps of the optimizer; from there on masks stay.
    prunings : int
        How often, equally far apart.
    """

    steps: int
    prunings: int = 10

    def __post_init__(self):
        check_steps(steps=self.steps)
        if not 1 <= self.prunings <= self.steps:
            raise UserError(
                f"{self.prunings} prunings within {self.steps} steps were asked for, "
                f"allowed is 1...{self.steps}"
            )

    def due(self, step: int) -> int:
        return step * self.prunings // self.steps

    def density(self, goal: float, pruning: int) -> float:
        return goal + (1 - goal) * (1 - pruning / self.prunings) ** 3

    def __str__(self) -> str:
        return f"gradual:{self.steps}" + (f"x{self.prunings}" if self.prunings != 10 else "")
