"""Networks for the compiler's tests: few distinct weights, many zeros, no training."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from spec.eie.config import EieConfig
from spec.image import unpack
from sw.compile.calibrate import measure
from sw.compile.network import FloatLayer, Network
from sw.compile.quantize import IntegerLayer, quantize_network
from sw.compile.share import recover

Kind = TypeVar("Kind", bound=nn.Module)

SIZES = (20, 12, 8, 5)


def shared_weight(
    rng: np.random.Generator, outputs: int, inputs: int, *, density: float = 0.4, values: float = 15
) -> np.ndarray:
    """A weight of at most ``values`` distinct values besides zero, float32 numbers as float64."""
    book = rng.normal(size=int(values)).astype(np.float32).astype(np.float64)
    weight = rng.choice(book, (outputs, inputs))
    return weight * (rng.random((outputs, inputs)) < density)


def float_layers(
    rng: np.random.Generator, sizes: Sequence[int] = SIZES, **options: float
) -> list[FloatLayer]:
    """Random layers with a ReLU behind all but the last."""
    return [
        FloatLayer(
            name=f"fc{number}",
            weight=shared_weight(rng, outputs, inputs, **options),
            bias=rng.normal(size=outputs),
            relu=number < len(sizes) - 2,
        )
        for number, (inputs, outputs) in enumerate(pairwise(sizes))
    ]


def integer_layers(
    rng: np.random.Generator,
    config: EieConfig,
    sizes: Sequence[int] = SIZES,
    **options: float,
) -> list[IntegerLayer]:
    """Random layers, quantized for a configuration."""
    layers = float_layers(rng, sizes, values=min(15, config.codes - 1), **options)
    if rng.random() < 0.3:
        layers[0] = replace(layers[0], relu=False)
    ranges, _ = measure(layers, rng.normal(size=(8, sizes[0])))
    return quantize_network([recover(layer, config) for layer in layers], ranges, config)


def set_weights(module: Kind, rng: np.random.Generator) -> Kind:
    """Give every Linear of a module shared weights, and BatchNorms something to fold."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            weight = shared_weight(rng, part.out_features, part.in_features)
            part.weight.data = torch.from_numpy(weight).to(part.weight.dtype)
        elif isinstance(part, nn.BatchNorm1d):
            mean, variance = rng.normal(size=part.num_features), rng.random(part.num_features)
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.data = torch.from_numpy(mean).float()
            part.running_var.data = torch.from_numpy(variance + 0.5).float()
            if part.affine:
                part.weight.data = torch.from_numpy(rng.normal(size=part.num_features)).float()
    return module.eval()


def export(module: nn.Module, *shape: int) -> torch.export.ExportedProgram:
    """Export with an example of a shape, without torch's own warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, (torch.zeros(shape),))


def save_exported(module: nn.Module, path: object, *shape: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(export(module, *shape), str(path))


def run_original(network: Network, samples: np.ndarray) -> np.ndarray:
    """Outputs of the network that was captured, as torch computes them."""
    assert network.run
    return network.run(samples.reshape(len(samples), -1).astype(np.float64))


def unpacked(program) -> list[np.ndarray]:
    """Dense integer weights out of the memory words, layer by layer."""
    dense = unpack(program)
    return [dense[layer.name] for layer in program.layers]
