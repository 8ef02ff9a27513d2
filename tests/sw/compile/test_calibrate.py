"""Calibration: ranges, and samples that are refused."""

import numpy as np
import pytest
import torch

from spec.errors import UserError
from sw.compile.calibrate import check_samples, flatten_samples, measure, sequence_samples
from sw.compile.network import FloatLayer, Network
from tests.sw.compile.networks import float_layers, float_lstm

pytestmark = pytest.mark.unit


def test_ranges_are_largest_magnitudes_with_headroom(rng):
    layers, batch = float_layers(rng), rng.normal(size=(9, 20))
    ranges, outputs = measure(layers, batch, headroom=0.5)
    assert ranges.input == np.abs(batch).max() * 1.5
    acts = batch
    for layer, reach in zip(layers, ranges.outputs, strict=True):
        acts = acts @ layer.weight.T + layer.bias
        acts = np.maximum(acts, 0) if layer.relu else acts
        assert reach == np.abs(acts).max() * 1.5
    np.testing.assert_array_equal(outputs, acts)


def test_a_layer_that_is_never_active_gets_the_range_that_it_could_have():
    batch = np.array([[2.0, 0.5]])
    dead = FloatLayer(
        name="dead", weight=np.array([[-1.0, -2.0]]), bias=np.array([-0.5]), relu=True
    )
    empty = FloatLayer(name="empty", weight=np.zeros((1, 1)), bias=np.zeros(1), relu=False)
    ranges, _ = measure([dead, empty], batch, headroom=0)
    assert ranges.outputs == (2 * 1 + 2 * 2 + 0.5, 6.5)


def test_outputs_that_overflow_a_float():
    huge = FloatLayer(name="huge", weight=np.full((1, 2), 1e308), bias=np.zeros(1), relu=False)
    with pytest.raises(UserError, match="layer huge: its outputs exceed what a float holds"):
        measure([huge], np.full((1, 2), 10.0))


@pytest.mark.parametrize("headroom", [-0.1, 101, float("nan")])
def test_headroom(headroom, rng):
    with pytest.raises(UserError, match="headroom"):
        measure(float_layers(rng), np.ones((1, 20)), headroom)


def test_kinds_that_are_taken():
    for kind in (np.uint8, np.float16, np.float32, np.float64):
        samples = np.arange(24).reshape(2, 3, 4).astype(kind)
        flat = flatten_samples(check_samples(samples), 12)
        assert flat.dtype == np.float64
        np.testing.assert_array_equal(flat, np.arange(24).reshape(2, 12))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.ones((2, 3), np.int32), "are int32, must be floats or uint8"),
        (np.ones((2, 3), complex), "are complex128"),
        (np.array([["a"]]), "are <U1"),
        (np.ones(3), r"shape \(3,\), must be \(samples, ...\)"),
        (np.ones((0, 3)), r"shape \(0, 3\).* not empty"),
        (np.array([[1.0, 2], [np.nan, 1]]), "sample 1 holds a value that is not finite"),
        (np.array([[np.inf, 2], [0, 1]]), "sample 0 holds"),
        (np.zeros((2, 3)), "are all zero"),
    ],
)
def test_samples_that_are_refused(samples, message):
    with pytest.raises(UserError, match=message):
        check_samples(samples)


def test_samples_of_another_size():
    with pytest.raises(UserError, match=r"12 values each \(shape \(2, 3, 4\)\), .* takes 11"):
        flatten_samples(np.ones((2, 3, 4)), 11)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.uint8])
def test_tensors(kind):
    samples = torch.ones(2, 3, dtype=kind)
    if kind != torch.uint8:
        samples.requires_grad_()
    np.testing.assert_array_equal(check_samples(samples), np.ones((2, 3)))
    with pytest.raises(UserError, match="samples are on device 'meta'"):
        check_samples(samples.to("meta"))


def test_ranges_inside_an_lstm(rng):
    """Of every step, against a loop over the published equations; h gets no head-room."""
    lstm, batch = float_lstm(rng, 4, 3), rng.normal(size=(5, 6, 4))
    dense = FloatLayer(name="fc", weight=rng.normal(size=(2, 3)), bias=np.zeros(2), relu=True)
    ranges, outputs = measure([lstm, dense], batch, headroom=0.5)
    gate_reach = cell_reach = 0
    for sample, wanted in zip(batch, outputs, strict=True):
        h = c = np.zeros(3)
        for x, result in zip(sample, wanted, strict=True):
            gates = lstm.weight_ih @ x + lstm.weight_hh @ h + lstm.bias
            i, f, o = (1 / (1 + np.exp(-gates[at : at + 3])) for at in (0, 3, 9))
            c = f * c + i * np.tanh(gates[6:9])
            h = o * np.tanh(c)
            gate_reach = max(gate_reach, np.abs(gates).max())
            cell_reach = max(cell_reach, np.abs(c).max())
            np.testing.assert_allclose(result, np.maximum(dense.weight @ h, 0), atol=1e-12)
    assert ranges.input == np.abs(batch).max() * 1.5
    assert ranges.outputs == (1.0, outputs.max() * 1.5)
    inside = ranges.insides["lstm"]
    np.testing.assert_allclose([inside.gates, inside.cell], [gate_reach * 1.5, cell_reach * 1.5])


def test_gates_that_overflow_a_float():
    huge = float_lstm(np.random.default_rng(0), 2, 1, weight_ih=np.full((4, 2), 1e308))
    with pytest.raises(UserError, match="layer lstm: its outputs exceed what a float holds"):
        measure([huge], np.array([[[10.0, 10.0]], [[10.0, -10.0]]]))


def test_sequences_of_either_order(rng):
    lstm, samples = float_lstm(rng, 6, 3), rng.normal(size=(4, 5, 2, 3)).astype(np.float32)
    wanted = samples.reshape(4, 5, 6).astype(np.float64)
    given = {True: samples, False: samples.swapaxes(0, 1)}
    for batch_first, values in given.items():
        network = Network(layers=(lstm,), batch_first=batch_first)
        np.testing.assert_array_equal(sequence_samples(values, network), wanted)
    one = Network(layers=(lstm,), steps=1)
    np.testing.assert_array_equal(sequence_samples(wanted[:, 0], one), wanted[:, :1])


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4, 6), {}, r"shape \(4, 6\), must be sequences: \(samples, steps, inputs\)"),
        ((4, 6), {"batch_first": False}, r"must be sequences: \(steps, samples, inputs\)"),
        ((4, 5, 7), {}, "have 7 values in each step, the network takes 6"),
        ((4, 5, 6), {"steps": 3}, "have 5 steps each, the network was exported for 3"),
    ],
)
def test_sequences_that_are_refused(shape, options, message, rng):
    network = Network(layers=(float_lstm(rng, 6, 3),), **options)
    with pytest.raises(UserError, match=message):
        sequence_samples(np.ones(shape), network)
