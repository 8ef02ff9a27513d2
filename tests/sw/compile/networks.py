"""Networks for the compiler's tests: few distinct weights, many zeros, no training."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from spec.eie.config import EieConfig
from spec.image import unpack
from sw.compile.calibrate import measure
from sw.compile.eie.integer_lstm import IntegerLstm
from sw.compile.eie.quantize import IntegerLayer, quantize_network
from sw.compile.eie.quantize_lstm import quantize_recurrent
from sw.compile.eie.share import recover, recover_lstm
from sw.compile.network import FloatLayer, FloatLstm, Network

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


def float_lstm(
    rng: np.random.Generator, inputs: int, hidden: int, *, density: float = 0.4, **changes: Any
) -> FloatLstm:
    """A random LSTM; ``changes`` are parts of it that are given."""
    layer = FloatLstm(
        name="lstm",
        weight_ih=shared_weight(rng, 4 * hidden, inputs, density=density),
        weight_hh=shared_weight(rng, 4 * hidden, hidden, density=density),
        bias=rng.normal(size=4 * hidden),
        returns="sequence",
    )
    return replace(layer, **changes)


def integer_lstm(
    rng: np.random.Generator, config: EieConfig, *, inputs: int, hidden: int
) -> IntegerLstm:
    """A random LSTM, quantized for a configuration."""
    layer = float_lstm(rng, inputs, hidden)
    ranges, _ = measure([layer], rng.normal(size=(4, 8, inputs)))
    (result,) = quantize_recurrent([recover_lstm(layer, config)], ranges, config)
    assert isinstance(result, IntegerLstm)
    return result


def set_weights(module: Kind, rng: np.random.Generator) -> Kind:
    """Give every Linear and LSTM of a module shared weights, and BatchNorms something to fold."""
    for part in module.modules():
        if isinstance(part, nn.RNNBase | nn.RNNCellBase):
            for parameter in part.parameters():
                if parameter.ndim == 2:
                    weight = shared_weight(rng, *parameter.shape) / parameter.shape[1] ** 0.5
                    parameter.data = torch.from_numpy(weight).to(parameter.dtype)
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


def export(module: nn.Module, *shape: int, **options) -> torch.export.ExportedProgram:
    """Export with an example of a shape, without torch's own warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, (torch.zeros(shape),), **options)


def save_exported(module: nn.Module, path: object, *shape: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(export(module, *shape), str(path))


def dense(network: Network) -> list[FloatLayer]:
    """The layers of a network, all of which are fully connected."""
    layers = [layer for layer in network.layers if isinstance(layer, FloatLayer)]
    assert len(layers) == len(network.layers)
    return layers


def run_original(network: Network, samples: np.ndarray) -> np.ndarray:
    """Outputs of the network that was captured, as torch computes them."""
    assert network.run
    return network.run(samples.reshape(len(samples), -1).astype(np.float64))


def unpacked(program) -> list[np.ndarray]:
    """Dense integer weights out of the memory words, layer by layer."""
    dense = unpack(program)
    return [dense[layer.name] for layer in program.layers]
