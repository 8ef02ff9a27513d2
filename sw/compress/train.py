"""A plain training loop, for those who have none of their own."""

import copy
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from spec.errors import UserError

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}

TEMPERATURE = 2.0
"""By which the outputs of teacher and student are divided before the softmax, so that second and
third choices count, too. Hinton et al. leave it open; our choice."""


class Keep(Protocol):
    """Holds a network in its compressed form while it is trained: ``Masks``, ``SharedWeights``,
    ``Compression``."""

    def parameters(self, model: nn.Module) -> list[nn.Parameter]:
        """What the optimizer is to change."""
        ...

    def keep(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> AbstractContextManager:
        """The form holds within this context, after each step of the optimizer."""
        ...

    def penalty(self) -> Tensor | None:
        """What is to be added to the loss, if anything."""
        ...


@dataclass(frozen=True)
class Training:
    """How long and how fast to train.

    Attributes
    ----------
    steps : int
        Steps of the optimizer, each on ``batch`` pictures, which are shuffled anew when used up.
    rate, last_rate : float
        Learning rate of the first step, and of the last one (default: a hundredth of it), with half
        a cosine between.
    optimizer : str
        ``adam`` or ``sgd`` (with momentum 0.9).
    weight_decay : float
        L2 penalty.
    """

    steps: int
    rate: float = 1e-3
    last_rate: float | None = None
    batch: int = 64
    optimizer: str = "adam"
    weight_decay: float = 0.0

    def __post_init__(self):
        for name, count in (("steps", self.steps), ("batch", self.batch)):
            if count < 1:
                raise UserError(
                    f"training with {name} = {count} was asked for, allowed is 1 or more"
                )
        for name, value in (("rate", self.rate), ("weight_decay", self.weight_decay)):
            if not 0 <= value < math.inf:
                raise UserError(f"training with {name} = {value} was asked for, allowed is 0...")
        if self.optimizer not in OPTIMIZERS:
            raise UserError(f"no optimizer {self.optimizer!r}; there are {', '.join(OPTIMIZERS)}")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, 0...steps - 1."""
        last = self.rate / 100 if self.last_rate is None else self.last_rate
        done = step / max(self.steps - 1, 1)
        return last + (self.rate - last) * (1 + math.cos(math.pi * done)) / 2

    def make(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer for these parameters."""
        extra = {"momentum": 0.9} if self.optimizer == "sgd" else {}
        return OPTIMIZERS[self.optimizer](
            parameters, lr=self.rate, weight_decay=self.weight_decay, fused=True, **extra
        )


def fit(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    training: Training,
    *,
    seed: int,
    keep: Keep | None = None,
    teacher: nn.Module | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    title: str = "train",
) -> list[float]:
    """Train a classifier in place; the same seed gives the same bits.

    Parameters
    ----------
    images, labels
        All pictures to train on, and their classes.
    keep : Masks, SharedWeights or Compression, optional
        The compressed form that training may not leave, or goes to.
    teacher : nn.Module, optional
        A trained network, copied at the start and run in eval mode: the loss is the mean of the
        cross entropy and of :func:`distillation`.
    augment : function of a batch and a generator, optional
        Changes each batch, for example :func:`sw.compress.augment.shifted`.
    title : str
        Heads the progress bar.

    Returns
    -------
    list of float
        The loss at each step.
    """
    if not len(images) == len(labels) > 0:
        raise UserError(f"{title}: {len(images)} pictures and {len(labels)} labels were given")
    parameters = list(model.parameters()) if keep is None else keep.parameters(model)
    optimizer = training.make(parameters)
    generator = torch.Generator().manual_seed(seed)
    batches = _batches(len(images), training.batch, generator)
    taught_by = None if teacher is None else _frozen(teacher)
    losses = []
    model.train()
    with _seeded(seed), nullcontext() if keep is None else keep.keep(model, optimizer):
        for step in _bar(training.steps, title):
            picked = next(batches)
            batch = images[picked] if augment is None else augment(images[picked], generator)
            for group in optimizer.param_groups:
                group["lr"] = training.rate_at(step)
            optimizer.zero_grad()
            wanted = None if taught_by is None else taught_by(batch)
            loss = _loss(model(batch), labels[picked], wanted)
            penalty = None if keep is None else keep.penalty()
            if penalty is not None:
                loss = loss + penalty
            loss.backward()
            losses.append(_finite(loss.item(), title, step))
            optimizer.step()
    model.eval()
    return losses


def _loss(outputs: Tensor, labels: Tensor, wanted: Tensor | None) -> Tensor:
    """Of the classes; with a teacher's outputs, the mean of that and of distillation."""
    loss = nn.functional.cross_entropy(outputs, labels)
    return loss if wanted is None else (loss + distillation(outputs, wanted)) / 2


def distillation(outputs: Tensor, wanted: Tensor) -> Tensor:
    """How far outputs are from a teacher's (Hinton et al., 2015): the Kullback-Leibler divergence,
    both softened by :data:`TEMPERATURE`, mean over samples, times the square of it, so that
    gradients are as large as of hard labels.

    Parameters
    ----------
    outputs, wanted
        Before the softmax, shape (samples, classes).
    """
    if outputs.shape != wanted.shape:
        given, right = tuple(outputs.shape), tuple(wanted.shape)
        raise UserError(f"the teacher gives outputs of shape {right}, the network {given}")
    found, taught = ((one / TEMPERATURE).log_softmax(1) for one in (outputs, wanted))
    divergence = nn.functional.kl_div(found, taught, reduction="batchmean", log_target=True)
    return TEMPERATURE**2 * divergence


def _frozen(teacher: nn.Module) -> Callable[[Tensor], Tensor]:
    """What the teacher says now, also if it is the network that is trained."""
    own = copy.deepcopy(teacher).eval()

    def said(inputs: Tensor) -> Tensor:
        with torch.no_grad():
            return own(inputs)

    return said


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """For layers that draw random numbers (Dropout); the caller's own sequence is not disturbed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _bar(steps: int, title: str) -> tqdm:
    # Without a terminal every update stays on the screen: a few suffice.
    interval = 0.2 if sys.stderr.isatty() else 10
    return tqdm(range(steps), title, unit="step", leave=False, delay=1.5, mininterval=interval)


def _batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Positions of one batch after another, without end; each picture once per shuffle."""
    while True:
        yield from torch.randperm(count, generator=generator).split(batch)


def _finite(loss: float, title: str, step: int) -> float:
    if not math.isfinite(loss):
        raise UserError(f"{title}: the loss is {loss} at step {step}; try a lower learning rate")
    return loss


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch: int = 1000) -> float:
    """Share of the pictures that the network puts into their class, 0...1."""
    model.eval()
    parts = zip(images.split(batch), labels.split(batch), strict=True)
    return sum(int((model(x).argmax(1) == y).sum()) for x, y in parts) / len(images)
