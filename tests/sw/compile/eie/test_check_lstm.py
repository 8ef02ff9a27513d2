"""Whole recurrent networks in integers against torch's own floats."""

import numpy as np
import pytest
from torch import nn

from spec.eie.config import EieConfig, preset
from spec.numbers import quantize
from sw.compile.calibrate import measure, sequence_samples
from sw.compile.capture import capture
from sw.compile.eie.check_lstm import run_integers_recurrent
from sw.compile.eie.quantize_lstm import quantize_recurrent
from sw.compile.eie.share import recover, recover_lstm
from sw.compile.network import FloatLstm
from tests.sw.compile.networks import set_weights
from tests.sw.compile.test_lstm import Recurrent

pytestmark = pytest.mark.unit

STEPS = 20


def errors(module: nn.Module, rng, samples: np.ndarray, config: EieConfig) -> np.ndarray:
    """How far the integers are from torch, (samples, steps, outputs) or (samples, outputs)."""
    network = capture(set_weights(module, rng), samples)
    sequences = sequence_samples(samples, network)
    ranges, _ = measure(network.layers, sequences)
    shared = [
        recover_lstm(layer, config) if isinstance(layer, FloatLstm) else recover(layer, config)
        for layer in network.layers
    ]
    layers = quantize_recurrent(shared, ranges, config)
    integers = quantize(sequences, layers[0].input_scale, config.act_bits)
    outputs = run_integers_recurrent(layers, integers, config) * layers[-1].output_scale
    assert network.run
    return outputs - network.run(sequences)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("batch_first", [False, True])
def test_an_lstm_stays_within_a_few_steps_of_its_integers(count, batch_first, rng):
    """2**-12 is eight of the steps of h; errors do not grow from step to step."""
    module = nn.LSTM(12, 24, count, batch_first=batch_first)
    samples = rng.normal(size=(4, STEPS, 12) if batch_first else (STEPS, 4, 12))
    error = np.abs(errors(module, rng, samples, preset("default")))
    assert error.shape == (4, STEPS, 24)
    assert error.max() < 2**-12


def test_a_cell_and_a_network_with_linears_around_it(rng):
    samples = rng.normal(size=(4, STEPS, 5))
    error = errors(nn.LSTMCell(5, 24), rng, samples, preset("default"))
    assert np.abs(error).max() < 2**-12
    every = Recurrent(lambda m, x: m.fc(m.lstm(m.first(x).relu())[0]).relu(), num_layers=2)
    last = Recurrent(lambda m, x: m.fc(m.lstm(m.first(x))[1][0][-1]))
    for module, shape in ((every, (4, STEPS, 3)), (last, (4, 3))):
        error = errors(module, rng, samples, preset("default"))
        assert error.shape == shape
        assert np.abs(error).max() < 2**-9


@pytest.mark.parametrize("act_bits", [8, 10, 12, 14])
def test_each_bit_of_activations_halves_the_error(act_bits, rng):
    samples = rng.normal(size=(4, STEPS, 12))
    module = nn.LSTM(12, 24, batch_first=True)
    error = errors(module, rng, samples, preset("default", act_bits=act_bits))
    assert np.abs(error).max() < 2.0 ** (4 - act_bits)
