"""The demo's recipe: train LeNet-300-100, prune it to 8 % of its weights, share them to 4 bits."""

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from spec.errors import UserError
from sw.compress.augment import shifted
from sw.compress.data import Dataset
from sw.compress.lifecycle import prepare
from sw.compress.models import lenet_300_100
from sw.compress.prune import Masks
from sw.compress.schedule import Gradual
from sw.compress.share import Codebook, SharedWeights, share
from sw.compress.train import Keep, Training, accuracy, fit

# Deep Compression's densities for this network, table 2: 8.0 % of all weights.
DENSITY = {"fc1": 0.0779, "fc2": 0.09, "fc3": 0.26}

BITS = 4

# Steps rather than epochs: a larger data set makes a better network, not a longer wait.
TRAIN = Training(steps=9_000, rate=1e-3)
PRUNE = Training(steps=10_000, rate=2e-3)
SHARE = Training(steps=2_000, rate=1e-4)

PRUNINGS = 20


@dataclass(frozen=True, eq=False)
class Recipe:
    """What the recipe made: the network after each of its stages.

    Attributes
    ----------
    trained, pruned, shared : nn.Module
        As trained; with 8 % of the weights left; with 15 values and zero in each layer.
    masks : Masks
        Which weights are left.
    codebooks : dict of layer name to Codebook
        The shared values.
    accuracy : dict of float
        Share of the test pictures that each stage gets right, 0...1; keys ``float``, ``pruned``,
        ``shared``.
    seconds : dict of float
        How long each stage took; the same keys.
    """

    trained: nn.Module
    pruned: nn.Module
    shared: nn.Module
    masks: Masks
    codebooks: dict[str, Codebook]
    accuracy: dict[str, float]
    seconds: dict[str, float]


def lenet_recipe(data: Dataset, *, seed: int, effort: float = 1.0) -> Recipe:
    """Train, prune, share; the same seed gives the same bits.

    Parameters
    ----------
    data : Dataset
        Its test pictures serve for the accuracies only.
    seed : int
        Of the first weights, the order of the pictures and their shifts.
    effort : float
        Share of the usual number of steps.
    """
    cook = _Cook(data, seed, effort)
    with _one_thread():
        trained = cook.stage("float", _untrained(data, seed), TRAIN)

        steps = cook.steps(PRUNE) // 2
        gradual = Gradual(steps, min(PRUNINGS, steps))
        pruning = prepare(trained, density=DENSITY, schedule=gradual)
        cook.stage("pruned", pruning.model, PRUNE, pruning)
        pruned, masks = pruning.finalize().model, pruning.masks

        values = SharedWeights(share(pruned, BITS))
        shared = cook.stage("shared", copy.deepcopy(pruned), SHARE, values)
    return Recipe(trained, pruned, shared, masks, values.codebooks, cook.accuracy, cook.seconds)


def trained_lenet(data: Dataset, *, seed: int, effort: float = 1.0) -> nn.Module:
    """Only train: the network of the first stage of :func:`lenet_recipe`, bit for bit."""
    with _one_thread():
        return _Cook(data, seed, effort).stage("float", _untrained(data, seed), TRAIN)


def _untrained(data: Dataset, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return lenet_300_100(data.pixels, data.classes)


class _Cook:
    """Carries out stages on one data set, and notes how well and how fast."""

    def __init__(self, data: Dataset, seed: int, effort: float):
        if effort <= 0:
            raise UserError(f"an effort of {effort} was asked for, allowed is more than 0")
        self.data = data
        self.seed = seed
        self.effort = effort
        self.accuracy: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def steps(self, training: Training) -> int:
        return max(2, round(training.steps * self.effort))

    def stage(
        self, name: str, model: nn.Module, training: Training, keep: Keep | None = None
    ) -> nn.Module:
        """Train a network, in place."""
        started, data = time.monotonic(), self.data
        fit(
            model,
            data.train_images,
            data.train_labels,
            replace(training, steps=self.steps(training)),
            # Each stage sees the pictures in an order of its own.
            seed=self.seed * 10 + len(self.seconds),
            keep=keep,
            augment=shifted,
            title=name,
        )
        self.seconds[name] = time.monotonic() - started
        self.accuracy[name] = accuracy(model, data.test_images, data.test_labels)
        return model


@contextmanager
def _one_thread() -> Iterator[None]:
    """The layers are too small for more, and sums are the same on any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
