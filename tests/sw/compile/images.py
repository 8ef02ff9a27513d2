"""Convolutional networks for the compiler's tests."""

import copy
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from sw.compile.network import FloatLayer
from tests.sw.compile.networks import dense

Kind = TypeVar("Kind", bound=nn.Module)


def settle(module: Kind, rng: np.random.Generator) -> Kind:
    """Give every BatchNorm statistics, as if it had been trained; evaluation mode."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            size = part.num_features
            for name, values in {
                "running_mean": rng.normal(size=size),
                "running_var": rng.random(size) + 0.5,
                "weight": rng.normal(size=size),
                "bias": rng.normal(size=size),
            }.items():
                tensor = getattr(part, name)
                if tensor is not None:
                    tensor.data = torch.from_numpy(values).to(tensor.dtype)
    return module.eval()


def prune(layer: torch.Tensor | nn.Module, mask: Callable[..., torch.Tensor], *options) -> None:
    """Leave of a layer's weight what a mask of :mod:`sw.compress.patterns` keeps."""
    weight = getattr(layer, "weight").data  # noqa: B009 -- pyright does not know what it is
    weight *= mask(weight, *options)


def random_convolution(rng: np.random.Generator) -> tuple[nn.Conv2d, tuple[int, int, int]]:
    """A convolution of any kind, and an image that it takes."""
    groups = int(rng.choice([1, 1, 2, 3]))
    channels, outputs = (groups * int(rng.integers(1, 4)) for _ in range(2))
    kernel, dilation = (tuple(rng.integers(1, most, 2).tolist()) for most in (4, 3))
    stride = tuple(rng.integers(1, 4, 2).tolist())
    padding = tuple(rng.integers(0, 3, 2).tolist())
    least = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    height, width = (
        int(rng.integers(max(1, one - 2 * pad), one + 5))
        for one, pad in zip(least, padding, strict=True)
    )
    layer = nn.Conv2d(
        channels,
        outputs,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bool(rng.integers(2)),
    )
    return layer, (channels, height, width)


def run_torch(module: nn.Module, samples: np.ndarray) -> np.ndarray:
    """Outputs in float64, as vectors."""
    outputs = copy.deepcopy(module).double()(torch.from_numpy(samples.astype(np.float64)))
    return outputs.detach().numpy().reshape(len(samples), -1)


def run_layers(network, samples: np.ndarray) -> np.ndarray:
    acts = samples.reshape(len(samples), -1).astype(np.float64)
    for layer in network.layers:
        assert acts.shape[1] == layer.takes
        acts = layer(acts)
        assert acts.shape[1] == layer.gives
    return acts


def only(network) -> FloatLayer:
    (layer,) = dense(network)
    return layer
