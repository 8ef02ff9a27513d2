"""What a pattern is: where zeros may stand, and which weights stay, given how much each matters."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from spec.errors import UserError
from sw.compress.prune import kept_count, largest


class Pattern(ABC):
    """Where zeros may stand.

    A pattern chooses by *scores*: a float tensor of the weight's shape, at least 0 everywhere, that
    says how much each weight matters. Where weights stay or go in groups, a group's score is the
    sum of its weights' scores; so absolute values make L1 norms, and squares make L2 norms.

    A weight is a matrix (outputs, inputs), or a convolution's kernel (outputs, channels, ...).
    Inputs of a kernel stand place by place, all channels of a place together (``channels_last`` of
    :mod:`spec.nm.unfold`): neighbours are channels. Sizes may be any. What does not fill a group, a
    block or a tile is a smaller one.

    A density is the share of the weights that stay. Counts are those of
    :func:`sw.compress.prune.kept_count`; among equals the first stay, but for N:M.
    """

    elementwise = False
    """Weights stay or go by themselves, not in groups."""

    whole_outputs = False
    """All weights of an output stay or go together."""

    @property
    def fixed_density(self) -> float | None:
        """The only density that the pattern has, or None."""
        return None

    def mask(self, scores: Tensor, density: float | None = None) -> Tensor:
        """Which weights stay.

        Parameters
        ----------
        scores : Tensor, shape of the weight
        density : float, optional
            May be left out if the pattern has a density of its own.

        Returns
        -------
        bool tensor, shape of the weight
        """
        check_scores(scores)
        last = scores.detach().movedim(1, -1)
        mask = self.choose(last.flatten(1), self.allowed(density))
        return mask.reshape(last.shape).movedim(-1, 1)

    def allowed(self, density: float | None) -> float:
        """The density, if the pattern can have it."""
        fixed = self.fixed_density
        chosen = fixed if density is None else density
        if chosen is None:
            raise UserError(f"the pattern {self} needs a density, 0...1")
        if fixed is not None and chosen != fixed:
            raise UserError(f"the pattern {self} has a density of {fixed:g}, {chosen:g} was given")
        return chosen

    def towards(self, density: float) -> "tuple[Pattern, float]":
        """The pattern of its kind that is nearest to a density on the way to its own, and the
        density that it then has."""
        return self, density

    @abstractmethod
    def choose(self, scores: Tensor, density: float) -> Tensor:
        """:meth:`mask` of a matrix (outputs, inputs)."""

    @abstractmethod
    def __str__(self) -> str:
        """The text that :func:`sw.compress.patterns.parse` takes."""

    def __repr__(self) -> str:
        return f"<pattern {self}>"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Grouped(Pattern):
    """A pattern whose groups compete with all others of the layer, or of the whole network."""

    where = "groups"

    @abstractmethod
    def sums(self, matrix: Tensor) -> Tensor:
        """The sum of each group, of a matrix (outputs, inputs). Any shape."""

    @abstractmethod
    def spread(self, groups: Tensor, outputs: int, inputs: int) -> Tensor:
        """What is said of each group, for each weight. Shape (outputs, inputs)."""

    def means(self, matrix: Tensor) -> Tensor:
        """The mean score of each group."""
        sums = self.sums(matrix.double())
        return sums / self.sums(torch.ones_like(matrix, dtype=torch.double))

    def choose(self, scores: Tensor, density: float) -> Tensor:
        means = self.means(scores)
        kept = largest(means, kept_count(means.numel(), density, self.where))
        return self.spread(kept, *scores.shape)


def check_scores(scores: Tensor) -> None:
    if scores.ndim < 2 or 0 in scores.shape:
        raise UserError(
            f"a weight of shape {tuple(scores.shape)} was given, it must be (outputs, inputs) "
            "or (outputs, channels, ...), not empty"
        )
    if not scores.is_floating_point() or not torch.isfinite(scores).all():
        raise UserError("a weight must be of floating-point numbers that are neither NaN nor inf")
    if (scores < 0).any():
        raise UserError("scores must not be negative; take absolute values or squares of weights")


def check_sizes(**sizes: int) -> None:
    """Refuse a size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name} = {size} was given, must be at least 1")


def sum_blocks(values: Tensor, rows: int, inputs: int) -> Tensor:
    """Sums of blocks; shape (blocks of outputs, blocks of inputs)."""
    outputs, width = values.shape
    padded = torch.nn.functional.pad(values, (0, -width % inputs, 0, -outputs % rows))
    across = padded.shape[1] // inputs
    return padded.reshape(-1, rows, across, inputs).sum((1, 3))
