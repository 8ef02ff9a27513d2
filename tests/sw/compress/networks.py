"""Small networks and data for the tests of compression."""

import numpy as np
import torch
from torch import Tensor, nn


def tensor(rng: np.random.Generator, *shape: int) -> Tensor:
    """Normally distributed float32 values."""
    return torch.from_numpy(rng.normal(size=shape).astype(np.float32))


def two_layers(rng: np.random.Generator) -> nn.Sequential:
    """Layers ``0`` and ``2``, of different scales, with weights from ``rng``."""
    first, second = nn.Linear(20, 30), nn.Linear(30, 5)
    for scale, layer in ((1.0, first), (0.3, second)):
        layer.weight.data = scale * tensor(rng, *layer.weight.shape)
        layer.bias.data = tensor(rng, *layer.bias.shape)
    return nn.Sequential(first, nn.ReLU(), second)


def classes(rng: np.random.Generator, count: int = 200) -> tuple[Tensor, Tensor]:
    """Points of five classes, which :func:`two_layers` can learn."""
    labels = torch.from_numpy(rng.integers(5, size=count))
    return 3 * nn.functional.one_hot(labels, 20).float() + tensor(rng, count, 20), labels
