"""Chains of integer layers: scales handed on, and the integers against a reference in torch."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from spec.image import from_bytes, to_bytes
from spec.nm.config import preset
from spec.numbers import quantize
from sw.compile.calibrate import measure
from sw.compile.capture import capture
from sw.compile.nm.chain import as_matrices, quantize_chain, run_float, run_integers
from sw.compile.nm.driver import compile_network
from tests.spec.nm.cases import random_config
from tests.sw.compile.images import prune, random_convolution, run_torch, settle
from tests.sw.compile.networks import float_lstm
from tests.sw.compile.nm.references import run_reference

pytestmark = pytest.mark.unit


def random_network(rng: np.random.Generator) -> tuple[nn.Sequential, tuple[int, ...]]:
    """A convolution, perhaps pooled, perhaps a second one, and linear layers."""
    first, shape = random_convolution(rng)
    parts: list[nn.Module] = [first]
    if rng.integers(2):
        parts.append(nn.BatchNorm2d(first.out_channels))
    parts += [nn.ReLU()] * int(rng.integers(2))
    made = nn.Sequential(*parts).eval()(torch.zeros(1, *shape)).shape
    if rng.integers(2) and min(made[2:]) > 1:
        parts.append(nn.MaxPool2d(2, stride=int(rng.integers(1, 3))))
    if rng.integers(2):
        parts.append(nn.Conv2d(made[1], 5, 1, bias=False))
    left = nn.Sequential(*parts).eval()(torch.zeros(1, *shape)).numel()
    parts += [nn.Flatten(), nn.Linear(left, 9), nn.ReLU(), nn.Linear(9, 4)]
    return nn.Sequential(*parts), shape


@pytest.mark.parametrize("number", range(14))
def test_any_network_on_any_array(rng, number):
    """The packed image, read back from its file, against integers in torch."""
    config = random_config(rng, acc_bits=30, shift_bits=6, multiplier_bits=12)
    module, shape = random_network(rng)
    settle(module, rng)
    with torch.no_grad():
        for part in module:
            if isinstance(part, nn.Linear | nn.Conv2d):
                kept = rng.random(tuple(part.weight.shape)) < rng.choice([0.1, 0.5, 1.0])
                part.weight *= torch.from_numpy(kept)
    samples = rng.normal(size=(6, *shape))
    scales = str(rng.choice(["row", "tensor"]))
    result = compile_network(module, samples, config, scales=scales)
    program = from_bytes(to_bytes(result.program))
    integers = quantize(samples.reshape(6, -1), program.input_scale, config.act_bits)
    outputs = run_reference(program, integers)
    real = outputs * program.output_scale
    assert result.steps[-1].change == 0
    wanted = run_torch(module, samples)
    largest = np.abs(wanted).max() or 1.0
    assert np.abs(real - wanted).max() / largest == pytest.approx(result.steps[-1].total, abs=1e-3)


@pytest.mark.parametrize("scales", ["row", "tensor"])
@pytest.mark.parametrize("multiplier_bits", [4, 16])
def test_scales_are_handed_on(rng, scales, multiplier_bits):
    """Also where they differ: a multiplier of few bits makes its own of what it is asked for."""
    parts = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.MaxPool2d(2), nn.Flatten()]
    parts += [nn.Linear(45, 9), nn.ReLU(), nn.Linear(9, 4)]
    samples = rng.normal(size=(20, 3, 10, 10))
    network = capture(nn.Sequential(*parts).eval(), samples)
    config = preset("default", multiplier_bits=multiplier_bits)
    batch = samples.reshape(20, -1)
    ranges, wanted = measure(network.layers, batch)
    layers = quantize_chain(as_matrices(network.layers), ranges, config, scales=scales)
    for before, layer in itertools.pairwise(layers):
        np.testing.assert_array_equal(before.output_scales, layer.scales_of_values)
    for layer in layers:
        source, steps = layer.source, layer.integer.scales[:, None]
        features = layer.input_scales
        shape = (source.outputs, len(features), -1)
        off = (layer.as_float().weight - source.weight).reshape(shape)
        allowed = steps[:, None] / features[None, :, None] * 0.5000001
        assert (np.abs(off) <= allowed).all()
    # Real activations on integer weights, and integers, both near what the network does.
    largest = np.abs(wanted).max()
    real = run_float(layers, batch)
    assert np.abs(real - wanted).max() < 0.06 * largest
    integers = quantize(batch, layers[0].scales_of_values, config.act_bits)
    outputs = run_integers(layers, integers, config) * layers[-1].output_scales
    assert np.abs(outputs - wanted).max() < 0.2 * largest


def test_outputs_that_become_one_channel_share_a_scale(rng):
    """Of a Linear in front of a convolution, and of a convolution whose channels are regrouped."""
    parts = [nn.Linear(6, 32), nn.ReLU(), nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 4, 2)]
    parts += [nn.Flatten(), nn.Unflatten(1, (12, 3, 1)), nn.Conv2d(12, 3, 1), nn.Flatten()]
    module = settle(nn.Sequential(*parts), rng)
    prune(module[0], lambda weight: torch.logspace(-2, 2, len(weight))[:, None])
    samples = rng.normal(size=(30, 6))
    config = preset("default", multiplier_bits=4)
    result = compile_network(module, samples, config)
    program = result.program
    for number in (0, 1):
        assert len(set(program.output_scales(number))) == 1
    assert len(set(program.output_scales(2))) == 3
    integers = quantize(samples, program.input_scale, config.act_bits)
    real = run_reference(program, integers) * program.output_scale
    wanted = run_torch(module, samples)
    assert np.abs(real - wanted).max() < 0.1 * np.abs(wanted).max()


def test_recurrent_layers_are_refused(rng):
    layer = float_lstm(rng, 4, 3)
    with pytest.raises(UserError, match="layer lstm: an LSTM, but an N:M array .*--engine eie"):
        as_matrices([layer])
