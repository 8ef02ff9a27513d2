"""From compression to cycles: what comes out compiles, and runs on the engines' golden devices."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import preset as nm_preset
from spec.numbers import quantize
from sw.compile import compile_mixed, compile_network
from sw.compress import stored
from sw.compress.patterns import nm_mask
from sw.compress.predict import LayerCycles, Prediction, predict_cycles
from sw.compress.prune import magnitude
from sw.compress.quantize import rounded
from sw.compress.quantize.fixed16 import fixed_weights
from sw.compress.quantize.int8 import int8_weights
from sw.compress.report import report
from sw.compress.share import SharedWeights, share
from sw.host.eie.golden import GoldenDevice as EieDevice
from sw.host.nm.golden import GoldenDevice as NmDevice
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.flow


def shared(rng, density: float = 0.2) -> nn.Sequential:
    model = two_layers(rng)
    magnitude(model, density).apply(model)
    SharedWeights(share(model)).apply(model)
    return model


def halved(rng) -> nn.Sequential:
    model = two_layers(rng)
    for layer in (model[0], model[2]):
        width = layer.weight.shape[1] // 4 * 4
        layer.weight.data[:, :width] *= nm_mask(layer.weight.data[:, :width], 2, 4)
    return model


def samples(rng, count: int = 40) -> torch.Tensor:
    return torch.relu(tensor(rng, count, 20))


def faster(found: Prediction | LayerCycles) -> float:
    assert found.ratio is not None
    return found.ratio


def dense(found: Prediction | LayerCycles) -> float:
    assert found.dense_cycles is not None
    return found.dense_cycles


def test_a_shared_network_from_a_file_runs_on_eie_as_predicted(rng, tmp_path):
    model, x, config = shared(rng), samples(rng), eie_preset("tiny")
    fixed = rounded(model, fixed_weights(model))
    stored.write(fixed, tmp_path / "net.skw")
    read = two_layers(rng)
    read.load_state_dict(stored.read(tmp_path / "net.skw"))
    result = compile_network(read, x[:32].numpy(), config)
    device = EieDevice(config)
    device.load(result.program)
    batch = quantize(x[:32].numpy(), result.program.layers[0].input_scale, config.act_bits)
    outputs = device.run(batch) * result.program.layers[-1].output_scale
    wanted = model(x[:32]).detach().numpy()
    assert np.abs(outputs - wanted).max() < 2e-3 * np.abs(wanted).max()

    found = predict_cycles(read, x[:32], "eie", "tiny")
    cycles = sum(int(one.of("cycles").sum()) for one in device.counters())
    assert found.cycles == pytest.approx(cycles / 32)
    # Dense, every one of the four PEs has a weight in every cycle but those of control and drain.
    assert dense(found) > (20 * 30 + 30 * 5) / 4
    assert 1 < faster(found) < (20 * 30 + 30 * 5) / 150


def test_sequences_count_every_step(rng):
    model = nn.LSTM(6, 4, batch_first=True)
    SharedWeights(share(model)).apply(model)
    x = tensor(rng, 5, 7, 6)
    short, long = (predict_cycles(model, x[:, :steps], "eie", "tiny").layers[0] for steps in (3, 6))
    assert dense(long) == pytest.approx(2 * dense(short))
    # The state is zero in the first step, which so takes fewer cycles than the others.
    assert 2 <= long.cycles / short.cycles < 2.2


def test_a_2_4_network_of_int8_runs_on_nm_as_predicted(rng):
    model, x, config = halved(rng), samples(rng), nm_preset("tiny")
    model[2].weight.data[:, 28:] = 0
    coarse = rounded(model, int8_weights(model))
    result = compile_network(coarse, x.numpy(), config, pattern="2:4", batch_size=8)
    # The compiler finds the very same integers.
    change = next(step for step in result.steps if step.name == "integer weights").relative
    assert change < 1e-2  # biases are rounded there
    device = NmDevice(config)
    device.load(result.program)
    batch = quantize(x[:8].numpy(), result.program.input_scale, config.act_bits)
    outputs = device.run(batch) * result.program.output_scale
    wanted = model(x[:8]).detach().numpy()
    assert np.abs(outputs - wanted).max() < 0.05 * np.abs(wanted).max()

    found = predict_cycles(coarse, x, "nm", config, pattern="2:4", batch_size=8)
    assert found.cycles * 8 == sum(one.of("cycles") for one in device.counters())
    assert found.batch_size == 8
    assert dense(found) > found.cycles
    assert [layer.engine for layer in found.layers] == ["nm", "nm"]


def test_auto_tells_what_the_compiler_chooses(rng):
    model, x = shared(rng, 0.1), samples(rng)
    configs = eie_preset("tiny"), nm_preset("tiny")
    found = predict_cycles(model, x, "auto", configs)
    choices = compile_mixed(model, x.numpy(), *configs).choices
    assert [layer.engine for layer in found.layers] == [choice.engine for choice in choices]
    for layer, choice in zip(found.layers, choices, strict=True):
        assert layer.cycles == choice.candidates[choice.engine].cycles
        assert faster(layer) > 1
    assert predict_cycles(model, x, "auto", "tiny").to_json() == found.to_json()
    unshared = copy.deepcopy(model)
    unshared[0].weight.data.copy_(tensor(rng, 30, 20))  # no codebook: only the N:M array takes it
    mixed = predict_cycles(unshared, x, "auto", "tiny").layers
    assert (mixed[0].engine, mixed[0].ratio) == ("nm", 1)


def test_the_report_tells_cycles_and_where_they_go(rng):
    model, x = shared(rng, 0.05), samples(rng)
    for engine in ("eie", "nm", "auto"):
        found = report(model, eie="tiny", nm="tiny", samples=x, engine=engine)
        assert found.prediction.to_json() == predict_cycles(model, x, engine, "tiny").to_json()
        assert "predicted cycles for an image" in found.table()
        assert any("times faster than dense, not 19.7" in reason for reason in found.reasons)
        assert json.loads(json.dumps(found.to_json()))["prediction"]["engine"] == engine
    unshared = report(two_layers(rng), eie="tiny", nm="tiny", samples=x, engine="eie")
    assert unshared.prediction is None
    assert "no cycles are predicted: layer 0: its weights take 600 distinct" in unshared.reasons[-1]
    with pytest.raises(UserError, match="engine 'tpu' is unknown, there are eie, nm, auto"):
        report(model, samples=x, engine="tpu")


def test_bad_input(rng):
    model, x = shared(rng), samples(rng)
    with pytest.raises(UserError, match="engine 'tpu' is unknown, there are eie, nm, auto"):
        predict_cycles(model, x, "tpu")
    with pytest.raises(UserError, match="preset 'x' does not exist"):
        predict_cycles(model, x, "eie", "x")
    with pytest.raises(UserError, match="engine eie needs EieConfig, not NmConfig"):
        predict_cycles(model, x, "eie", nm_preset("tiny"))
    with pytest.raises(UserError, match="engine auto needs EieConfig and NmConfig, not EieConfig"):
        predict_cycles(model, x, "auto", eie_preset("tiny"))
    with pytest.raises(UserError, match="distinct values besides zero"):
        predict_cycles(two_layers(rng), x)
