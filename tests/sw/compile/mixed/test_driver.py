"""Networks on both engines: every layer where it is faster, and stages that fit each other."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from spec import image
from spec.eie.config import preset as eie_preset
from spec.eie.program import Program as EieProgram
from spec.errors import UserError
from spec.mixed import Mixed
from spec.nm.config import preset as nm_preset
from spec.nm.program import Program as NmProgram
from spec.numbers import quantize
from sw.compile import compile_mixed, compile_network
from sw.compile.mixed.report import table
from sw.compress.patterns import nm_mask
from sw.host.eie.golden import GoldenDevice as EieGolden
from sw.host.mixed import MixedDevice
from sw.host.nm.golden import GoldenDevice as NmGolden
from tests.sw.compile.images import prune, run_torch
from tests.sw.compile.networks import set_weights, shared_weight

pytestmark = pytest.mark.unit

EIE, NM = eie_preset("default", pes=16), nm_preset("default")


@pytest.fixture
def module(rng) -> nn.Sequential:
    """A convolution, a very sparse layer with few values, one pruned 2:4, and a small one."""
    parts = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    parts += [nn.Linear(144, 200), nn.ReLU(), nn.Linear(200, 64), nn.ReLU(), nn.Linear(64, 10)]
    module = nn.Sequential(*parts).eval()
    with torch.no_grad():
        sparse = shared_weight(rng, 200, 144, density=0.02, values=7)
        module[4].weight[:] = torch.from_numpy(sparse)
        prune(module[6], nm_mask, 2, 4)
    return module


@pytest.fixture
def samples(rng) -> np.ndarray:
    return rng.normal(size=(40, 1, 12, 12)).astype(np.float32)


@pytest.fixture
def result(module, samples):
    return compile_mixed(module, samples, EIE, NM)


def test_each_engine_wins_a_layer(result):
    assert [choice.engine for choice in result.choices] == ["nm", "eie", "nm", "nm"]
    assert [stage.engine for stage in result.stages] == ["nm", "eie", "nm"]
    assert [[layer["name"] for layer in stage.layers] for stage in result.stages] == [
        ["0"],
        ["4"],
        ["6", "8"],
    ]
    program = result.program
    assert isinstance(program, Mixed)
    assert [type(stage) for stage in program.stages] == [NmProgram, EieProgram, NmProgram]
    reasons = [choice.why for choice in result.choices]
    assert reasons[0].startswith("eie does not take it: a convolution")
    assert "cycles instead of" in reasons[1]
    assert reasons[2].startswith("eie does not take it: its weights take")


def test_it_computes_on_a_device_what_the_network_does(result, module, samples):
    program = image.from_bytes(image.to_bytes(result.program))
    device = MixedDevice([EieGolden(EIE), NmGolden(NM)], "golden")
    device.load(program)
    integers = quantize(samples.reshape(40, -1), program.input_scale, program.act_bits)
    outputs = device.run(integers) * program.output_scale
    wanted = run_torch(module, samples)
    assert np.abs(outputs - wanted).max() < 0.1 * np.abs(wanted).max()
    largest = np.abs(wanted[:32]).max()
    error = np.abs(outputs[:32] - wanted[:32]).max() / largest
    assert result.steps[-1].total == pytest.approx(error, abs=1e-4)
    assert [step.name for step in result.steps] == ["network", "folded", "packed image"]
    # Cycles of the N:M layers are as predicted, if as many images run together.
    device.run(integers[:1])
    counted = [one.of("cycles") for stage in (0, 2) for one in device.counters()[stage]]
    told = [choice.candidates["nm"].cycles for choice in result.choices if choice.engine == "nm"]
    assert counted == told


def test_both_sides_of_a_boundary_have_the_scales_of_one_range(result):
    before, middle, behind = result.program.stages
    reach = np.asarray(before.output_scale) * 127
    assert np.allclose(reach, middle.input_scale * 32767, rtol=1e-4)
    assert np.allclose(middle.output_scale * 32767, np.asarray(behind.input_scale) * 127, rtol=1e-3)


def test_stages_are_checked_by_themselves(result):
    for stage in result.stages:
        assert stage.steps[0].name == "folded"
        assert stage.steps[-1].change == 0
        assert stage.steps[-1].notes == ("equal to the integers before, bit for bit",)


def test_reports(result):
    document = json.loads(json.dumps(result.to_json()))
    assert [stage["engine"] for stage in document["stages"]] == ["nm", "eie", "nm"]
    assert [layer["engine"] for layer in document["layers"]] == ["nm", "eie", "nm", "nm"]
    assert document["choices"][1]["candidates"]["eie"]["cycles"] > 0
    text = table(result)
    for part in ("stage 1, engine eie: 4", "cycles eie", "a convolution", "packed image"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 110


def test_equal_input_gives_equal_images(result, module, samples):
    again = compile_mixed(module, samples, EIE, NM)
    assert image.to_bytes(again.program) == image.to_bytes(result.program)


def test_networks_that_one_engine_takes_alone(rng, samples):
    sparse = set_weights(nn.Sequential(nn.Flatten(), nn.Linear(144, 99), nn.Linear(99, 8)), rng)
    for layer in (sparse[1], sparse[2]):
        prune(layer, lambda weight: torch.from_numpy(rng.random(tuple(weight.shape)) < 0.02))
    only_eie = compile_mixed(sparse, samples, EIE, nm_preset("tiny"))
    assert isinstance(only_eie.program, EieProgram)
    alone = compile_network(sparse, samples, EIE).program
    assert image.to_bytes(only_eie.program) == image.to_bytes(alone)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(144, 10))
    only_nm = compile_mixed(dense, samples, EIE, NM)
    assert isinstance(only_nm.program, NmProgram)
    alone = compile_network(dense, samples, NM).program
    assert image.to_bytes(only_nm.program) == image.to_bytes(alone)


def test_images_that_run_together_change_the_choice(rng):
    """A single image leaves most columns of an N:M array empty."""
    module = nn.Linear(64, 64)
    module.weight.data[:] = torch.from_numpy(shared_weight(rng, 64, 64, density=0.3, values=7))
    samples = rng.normal(size=(40, 64)).clip(0)
    engines = [
        compile_mixed(module, samples, EIE, NM, batch_size=images).choices[0].engine
        for images in (1, 64)
    ]
    assert engines == ["eie", "nm"]


def test_options_reach_their_engine(module, samples):
    result = compile_mixed(
        module,
        samples,
        EIE,
        NM,
        pattern={"6": "dense"},
        gather="off",
        scales="tensor",
        balance=False,
        clusters=1,
        check_count=5,
    )
    _, middle, last = result.stages
    assert last.layers[0]["mode"] == "1:1"
    assert isinstance(last.program, NmProgram)
    assert len(set(last.program.weights[0].scales)) == 1
    assert middle.layers[0]["clusters"] == [1]
    assert middle.layers[0]["work_after"] == middle.layers[0]["work_before"]
    assert result.steps[-1].samples == 5


def test_a_layer_that_breaks_its_pattern_goes_to_the_other_engine(module, samples):
    with torch.no_grad():
        weight = module[4].weight
        weight[3, 8:12] = weight[weight != 0][0]
    result = compile_mixed(module, samples, EIE, NM, pattern={"4": "2:4"})
    assert result.choices[1].engine == "eie"
    assert result.choices[1].why.startswith("nm does not take it: row 3, group 2: 4 non-zeros")
    with pytest.raises(UserError, match=r"layer 8: no engine takes it \(eie: its .*; nm: row 0"):
        compile_mixed(module, samples, EIE, NM, pattern={"8": "2:4"})


def test_sequences_run_on_one_engine(rng):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.last = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x):
            return self.last(self.lstm(x)[0][:, -1])

    module = set_weights(Recurrent(), rng)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        weight = getattr(module.lstm, name)
        weight.data[:] = torch.from_numpy(shared_weight(rng, *weight.shape))
    samples = rng.normal(size=(8, 4, 6)).astype(np.float32)
    result = compile_mixed(module, samples, EIE, NM)
    assert isinstance(result.program, EieProgram)
    assert [choice.engine for choice in result.choices] == ["eie", "eie"]
    assert [choice.candidates["nm"].reason.split(",")[0] for choice in result.choices] == [
        "an LSTM",
        "a network of sequences runs on one engine",
    ]
    assert all(choice.candidates["eie"].cycles for choice in result.choices)


def test_options_that_are_refused(module, samples):
    for options, message in (
        ({"clusters": 3}, "clusters = 3: 16 PEs divide into"),
        ({"check_count": 0}, "check samples = 0"),
        ({"gather": "so"}, "gather 'so' is unknown"),
        ({"batch_size": 0}, "batch = 0"),
        ({"pattern": "4:2"}, "pattern 4:2: N must"),
        ({"pattern": {"fc": "2:4"}}, "a pattern is declared for layer 'fc'"),
    ):
        with pytest.raises(UserError, match=message):
            compile_mixed(module, samples, EIE, NM, **options)
