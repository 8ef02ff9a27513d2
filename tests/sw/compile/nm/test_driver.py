"""The whole compiler for the N:M engine as one function."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.pruning.sparsifier.weight_norm_sparsifier import WeightNormSparsifier

from spec import image
from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import preset
from spec.nm.golden import GoldenModel
from spec.numbers import quantize
from sw.compile import compile_network
from sw.compile.capture import capture
from sw.compile.nm import check
from sw.compile.nm.driver import Result
from sw.compile.nm.report import layers_table
from sw.compress.patterns import nm_mask
from tests.sw.compile.images import prune, run_torch, settle
from tests.sw.compile.nm.references import run_reference

pytestmark = pytest.mark.unit

CONFIG = preset("default")
STEPS = ["network", "folded", "integer weights", "integer activations", "packed image"]


@pytest.fixture
def module(rng) -> nn.Sequential:
    """A convolution pruned 2:4 along its channels, one with channel groups, and linear layers of
    which one is pruned 2:4."""
    parts = [nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    parts += [nn.MaxPool2d(2), nn.Conv2d(8, 32, 3, groups=2), nn.ReLU(), nn.Flatten()]
    parts += [nn.Linear(128, 24), nn.ReLU(), nn.Linear(24, 6)]
    module = settle(nn.Sequential(*parts), rng)
    for at in (0, 7):
        prune(module[at], nm_mask, 2, 4)
    return module


@pytest.fixture
def samples(rng) -> np.ndarray:
    return rng.normal(size=(40, 4, 8, 8)).astype(np.float32)


def test_a_network_compiles_and_computes(module, samples):
    result = compile_network(module, samples, CONFIG)
    assert isinstance(result, Result)
    program = result.program
    integers = quantize(samples.reshape(40, -1), program.input_scale, CONFIG.act_bits)
    outputs = run_reference(program, integers) * program.output_scale
    wanted = run_torch(module, samples)
    assert np.abs(outputs - wanted).max() < 0.1 * np.abs(wanted).max()
    assert [step.name for step in result.steps] == STEPS
    assert [step.samples for step in result.steps] == [40] * 4 + [32]
    assert result.steps[1].notes == ("0: absorbed 1",)
    assert result.steps[1].change < 1e-4
    assert result.steps[-1].change == 0
    assert [layer["mode"] for layer in result.layers] == ["2:4", "1:1", "2:4", "1:1"]
    assert [layer["channels_last"] for layer in result.layers[:2]] == [True, False]
    assert [layer["kind"] for layer in result.layers] == ["convolution"] * 2 + ["linear"] * 2


def test_summaries_agree_with_the_image_and_the_golden_model(module, samples):
    result = compile_network(module, samples, CONFIG, batch_size=5, check_count=3)
    assert result.steps[-1].samples == 3
    inspected = image.inspect(result.program)["layers"]
    for layer, found in zip(result.layers, inspected, strict=True):
        same = layer.keys() & found.keys()
        assert {"name", "mode", "gather", "weights", "density", "stored", "parts"} <= same
        assert {key: layer[key] for key in same} == {key: found[key] for key in same}
        assert layer["sum_bits"] <= 32
        assert layer["cycles"] <= layer["dense_cycles"]
    batch = np.zeros((5, result.program.inputs), int)
    _, counts = GoldenModel(result.program).run(batch)
    assert [one.of("cycles") / 5 for one in counts] == [one["cycles"] for one in result.layers]
    json.dumps(result.to_json())


def test_equal_input_gives_equal_images(module, samples):
    images = [image.to_bytes(compile_network(module, samples, CONFIG).program) for _ in range(2)]
    assert images[0] == images[1]


def test_declared_patterns(module, samples):
    layers = compile_network(module, samples, CONFIG, pattern={"7": "2:4", "*": "dense"}).layers
    assert [layer["mode"] for layer in layers] == ["1:1", "1:1", "2:4", "1:1"]
    with pytest.raises(UserError, match="layer 4: row 0, group 0: 4 non-zeros in the inputs 0"):
        compile_network(module, samples, CONFIG, pattern="2:4")
    with pytest.raises(UserError, match="a pattern is declared for layer 'fc', but the netw"):
        compile_network(module, samples, CONFIG, pattern={"fc": "2:4"})


def test_a_group_with_three_is_refused_with_layer_row_and_group(rng):
    module = nn.Sequential(nn.Linear(32, 20), nn.ReLU(), nn.Linear(20, 8))
    sparsifier = WeightNormSparsifier(
        sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2
    )
    sparsifier.prepare(module, [{"tensor_fqn": "0.weight"}, {"tensor_fqn": "2.weight"}])
    sparsifier.step()
    samples = rng.normal(size=(10, 32))
    layers = compile_network(module, samples, CONFIG, pattern="2:4").layers
    assert [layer["mode"] for layer in layers] == ["2:4", "2:4"]
    sparsifier.squash_mask()
    group = module[2].weight.data[5, 8:12]
    group[int(torch.argmin(group.abs()))] = 0.25
    with pytest.raises(UserError, match="layer 2: row 5, group 2: 3 non-zeros in the inputs 8"):
        compile_network(module, samples, CONFIG, pattern="2:4")
    assert compile_network(module, samples, CONFIG).layers[1]["mode"] == "1:1"


def test_what_quantization_rounds_to_zero_stays_in_its_place(rng):
    """All weights of input 1 vanish. If it were dropped, input 9 would move up into its group, in
    which odd rows have two already."""
    weight = np.zeros((16, 32))
    weight[::2, [0, 10, 11]] = 1
    weight[1::2, [2, 3, 8, 9]] = 1
    weight[::2, 1] = 1e-6
    module = nn.Linear(32, 16)
    module.weight.data[:] = torch.from_numpy(weight)
    samples = rng.normal(size=(9, 32))
    result = compile_network(module, samples, CONFIG, pattern="2:4", gather="on")
    assert result.layers[0]["vanished"] == 8
    assert result.layers[0]["gather"]
    assert result.steps[2].notes == ("linear: 8 weights rounded to zero",)
    assert np.count_nonzero(image.unpack(result.program)["linear"]) == np.count_nonzero(weight) - 8


def test_gather_and_scales_are_passed_on(module, samples):
    gathered = compile_network(module, samples, CONFIG).layers
    assert [layer["gather"] for layer in gathered][1]
    off = compile_network(module, samples, CONFIG, gather="off")
    assert not any(layer["gather"] for layer in off.layers)
    on = compile_network(module, samples, CONFIG, gather="on")
    assert all(layer["gather"] for layer in on.layers)
    rows = compile_network(module, samples, CONFIG).program
    tensor = compile_network(module, samples, CONFIG, scales="tensor").program
    assert len(set(rows.weights[0].scales)) == 8
    assert len(set(tensor.weights[0].scales)) == 1


def test_sixteen_bits_are_finer(module, samples):
    coarse = compile_network(module, samples, CONFIG).steps[-2].total
    fine = compile_network(module, samples, preset("default", act_bits=16)).steps[-2].total
    assert fine < coarse / 2


def test_a_captured_network_compiles_too(module, samples):
    network = capture(module, samples)
    assert compile_network(network, samples, CONFIG).notes == ()
    only_weights = replace(network, run=None)
    assert compile_network(only_weights, samples, CONFIG).steps[1].change == 0


def test_state_dicts(rng):
    weights = {"a.weight": torch.ones(8, 4), "b.weight": torch.ones(2, 8)}
    samples = rng.normal(size=(9, 4))
    relu, none = (
        compile_network(weights, samples, CONFIG, activation=activation)
        for activation in ("relu", "none")
    )
    assert [layer.relu for layer in relu.program.layers] == [True, False]
    assert [layer.relu for layer in none.program.layers] == [False, False]
    assert "took nothing" in none.notes[0]


def test_what_happened_is_noted(rng):
    module = nn.Linear(64, 4)
    module.weight.data[:] = torch.tensor([1, 1, 1e-3, 1])[:, None]
    module.weight.data[2, 0] = 1
    result = compile_network(module, rng.normal(size=(9, 64)), preset("default", acc_bits=20))
    assert result.steps[2].notes[0] == (
        "linear: weights of 3 rows rescaled to as few as 7 of 8 bits"
    )
    with pytest.raises(UserError, match="layer linear, row 0: its sum can reach .*rescaling is"):
        compile_network(
            module, rng.normal(size=(9, 64)), preset("default", acc_bits=20), rescale=False
        )


def test_an_image_that_computes_other_bits_is_an_internal_error(module, samples, monkeypatch):
    class Wrong(GoldenModel):
        def run_layer(self, number, acts):
            results, counts = super().run_layer(number, acts)
            return results + (number == 2), counts

    monkeypatch.setattr(check, "GoldenModel", Wrong)
    with pytest.raises(RuntimeError, match="internal error: the packed image of layer 7 computes"):
        compile_network(module, samples, CONFIG)


def test_images_are_checked_a_few_at_a_time(module, samples, monkeypatch):
    whole = compile_network(module, samples, CONFIG).steps
    monkeypatch.setattr(check, "MOST_VALUES", 3 * 64 * 44)
    assert compile_network(module, samples, CONFIG).steps == whole


def test_options_and_networks_that_are_refused(module, samples):
    for options, message in (
        ({"check_count": 0}, "check samples = 0, must be at least 1"),
        ({"batch_size": 0}, "batch = 0, at least 1 image must run"),
        ({"gather": "perhaps"}, "gather 'perhaps' is unknown"),
        ({"scales": "column"}, "scales 'column' are unknown"),
        ({"pattern": "2:8"}, "pattern 2:8 is none of this array's"),
    ):
        with pytest.raises(UserError, match=message):
            compile_network(module, samples, CONFIG, **options)
    with pytest.raises(UserError, match="layer lstm: an LSTM, but an N:M array.*--engine eie"):
        compile_network(nn.LSTM(4, 3), np.ones((5, 2, 4), np.float32), CONFIG)
    with pytest.raises(UserError, match="layer 0: a convolution, but an EIE array.*--engine nm"):
        compile_network(module, samples, eie_preset("default"))
    with pytest.raises(UserError, match="a configuration is str, must be EieConfig or NmConfig"):
        compile_network(module, samples, "default")
    with pytest.raises(UserError, match="layer linear: 3000 inputs are .* or more act_lines"):
        compile_network(nn.Linear(3000, 2), np.ones((2, 3000), np.float32), preset("tiny"))


def test_a_pattern_may_fit_where_all_weights_would_not(rng):
    """A bank of two steps holds a line of 2:4, but none of a dense row: no dense layer to name."""
    layer = nn.Linear(30, 8)
    prune(layer, nm_mask, 2, 4)
    samples = rng.standard_normal((4, 30)).astype(np.float32)
    result = compile_network(layer, samples, preset("default", weight_steps=2), pattern="2:4")
    assert result.layers[0]["dense_cycles"] is None
    assert layers_table(result.layers)[1].split()[-1] == "-"
