"""The whole compiler as one function."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from spec import image
from spec.eie.config import preset
from spec.eie.golden import GoldenModel
from spec.errors import UserError
from spec.numbers import quantize
from sw.compile import compile_network
from sw.compile.capture import capture
from tests.sw.compile.networks import set_weights

pytestmark = pytest.mark.unit

STEPS = ["network", "folded", "shared", "integer weights", "integer activations", "packed image"]


@pytest.fixture
def module(rng) -> nn.Sequential:
    parts = [nn.Linear(20, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 6)]
    return set_weights(nn.Sequential(nn.Flatten(), *parts), rng)


@pytest.fixture
def samples(rng) -> np.ndarray:
    return rng.normal(size=(50, 4, 5)).astype(np.float32)


def test_a_module_compiles_and_computes(module, samples):
    config = preset("default", pes=8)
    result = compile_network(module, samples, config)
    program = result.program
    first, last = program.layers[0], program.layers[-1]
    integers = quantize(samples.reshape(50, 20), first.input_scale, config.act_bits)
    outputs = GoldenModel(program).run(integers)[0] * last.output_scale
    wanted = module(torch.from_numpy(samples)).detach().numpy()
    assert np.abs(outputs - wanted).max() < 1e-3 * np.abs(wanted).max()
    assert [step.name for step in result.steps] == STEPS
    assert [step.samples for step in result.steps] == [50] * 5 + [32]
    assert result.steps[2].change < 1e-12
    assert result.steps[-1].change == 0
    assert all(step.total < 1e-3 for step in result.steps)


def test_summaries_agree_with_the_image(module, samples):
    result = compile_network(module, samples, preset("tiny"), check_count=3)
    assert result.steps[-1].samples == 3
    inspected = image.inspect(result.program)["layers"]
    for layer, found in zip(result.layers, inspected, strict=True):
        assert {key: layer[key] for key in layer.keys() & found.keys()} == {
            key: found[key] for key in layer.keys() & found.keys()
        }
        assert {"entries", "pads", "passes", "weights", "density"} <= found.keys()
        assert {"clusters", "run_bits", "entry_bits_per_weight"} <= layer.keys() & found.keys()
        assert layer["lone_pads"] <= layer["pads"]
        assert 1 <= layer["work_after"] <= layer["work_before"]
        assert layer["sum_bits"] <= 40
    json.dumps(result.to_json())


def test_lone_pads_are_those_that_take_a_cycle(rng, samples):
    """Where pads share no cycle, all of them do."""
    module = set_weights(nn.Linear(20, 99), rng)
    module.weight.data[:] = 0
    module.weight.data[[0, 90], :9] = 0.5
    counts = {}
    for share in (False, True):
        config = preset("default", pes=4, run_bits_most=4, share_pads=share)
        (layer,) = compile_network(module, samples.reshape(50, 20), config, clusters=1).layers
        counts[share] = layer["pads"], layer["lone_pads"]
    assert counts[False] == (9, 9)
    assert counts[True][0] == 9
    assert counts[True][1] < 9


def test_what_lives_in_calibration_is_what_is_balanced(rng):
    """All rows have eight weights; those of every fourth row meet inputs that are always zero."""
    module = nn.Linear(16, 64)
    module.weight.data[:] = torch.eye(16)[:8].sum(dim=0)
    module.weight.data[::4] = torch.eye(16)[8:].sum(dim=0)
    samples = rng.random((40, 16))
    samples[:, 8:] = 0
    (layer,) = compile_network(module, samples, preset("tiny")).layers
    assert layer["work_before"] > 1.2
    assert layer["work_after"] < 1.05
    (layer,) = compile_network(module, samples, preset("tiny"), balance=False).layers
    assert layer["work_after"] == layer["work_before"]


def test_clusters_can_be_given(module, samples):
    for clusters in (1, 2):
        result = compile_network(module, samples, preset("tiny"), clusters=clusters)
        assert [layer["clusters"] for layer in result.layers] == [[clusters]] * 2
    with pytest.raises(UserError, match="clusters = 4: 4 PEs divide into 1, 2 "):
        compile_network(module, samples, preset("tiny"), clusters=4)


def test_equal_input_gives_equal_images(module, samples):
    images = [
        image.to_bytes(compile_network(module, samples, preset("tiny")).program) for _ in range(2)
    ]
    assert images[0] == images[1]


def test_networks_from_weights_alone(module, samples):
    """A state dict assumes a ReLU between layers; without one the outputs differ."""
    weights = {"a.weight": module[1].weight, "b.weight": module[4].weight}
    relu, none = (
        compile_network(weights, samples, preset("tiny"), activation=activation)
        for activation in ("relu", "none")
    )
    assert [layer.relu for layer in relu.program.layers] == [True, False]
    assert [layer.relu for layer in none.program.layers] == [False, False]
    assert "took nothing" in none.notes[0]


def test_uint8_samples_are_taken_as_they_are(module, rng):
    samples = rng.integers(0, 256, (20, 20)).astype(np.uint8)
    result = compile_network(module, samples, preset("tiny"), headroom=0)
    scale = result.program.layers[0].input_scale
    assert scale == pytest.approx(samples.max() / 32767)


def test_what_happened_is_noted(module, samples, rng):
    config = preset("tiny", acc_bits=33)
    module[1].weight.data[:] = 0.5
    module[4].weight.data[:] = 0
    module[4].weight.data[0, :2] = torch.tensor([1e-9, 1e9])
    result = compile_network(module, samples, config)
    notes = [note for step in result.steps for note in step.notes]
    assert any(note.startswith("1: weights rescaled to") for note in notes)
    assert "4: 1 weights rounded to zero" in notes
    assert "4: 2 values besides zero" in notes
    with pytest.raises(UserError, match=r"layer 1, row \d+: its sum can reach"):
        compile_network(module, samples, config, rescale=False)


def test_batch_norm_is_folded_and_noted(rng, samples):
    linear, norm = nn.Linear(20, 3), nn.BatchNorm1d(3)
    module = set_weights(nn.Sequential(nn.Flatten(), linear, norm, nn.ReLU()), rng)
    with torch.no_grad():
        linear.weight.copy_(torch.arange(20) % 15 + 1)
        # All outputs with the same factor: shared weights stay shared.
        norm.running_var = torch.full((3,), 2.0)
        norm.weight.fill_(0.7)
    result = compile_network(module, samples, preset("tiny"))
    assert result.steps[1].notes == ("1: absorbed 2",)
    with torch.no_grad():
        norm.weight[0] = 0.3
    with pytest.raises(UserError, match="folding 2 gives"):
        compile_network(module, samples, preset("tiny"))


def test_a_captured_network_compiles_too(module, samples):
    network = capture(module, samples)
    assert compile_network(network, samples, preset("tiny")).notes == ()
    only_weights = replace(network, run=None)
    steps = compile_network(only_weights, samples, preset("tiny")).steps
    assert steps[1].change == 0


def test_a_network_that_overflows_its_own_numbers(rng):
    module = nn.Linear(20, 3).half()
    module.weight.data[:] = 60000
    with pytest.raises(UserError, match="own outputs on the calibration samples are not finite"):
        compile_network(module, np.ones((4, 20)), preset("tiny"))


def test_options_that_are_refused(module, samples):
    with pytest.raises(UserError, match="check samples = 0, must be at least 1"):
        compile_network(module, samples, preset("tiny"), check_count=0)
    with pytest.raises(UserError, match="24 values each"):
        compile_network(capture(module, samples), np.ones((3, 24)), preset("tiny"))
