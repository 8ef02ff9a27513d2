"""The N:M benchmarks: figures add up, and are those of the golden model and the packed words."""

import numpy as np
import pytest

from sim.bench import nm, nm_agreement
from sim.bench.gemms import BERT, PAPER, gemm
from sim.bench.patterns import PATTERNS, in_groups, random_program
from spec.errors import Failure, UserError
from spec.nm.config import DENSE, Mode, preset
from spec.nm.golden import GoldenModel
from spec.nm.groups import storage_bits
from spec.nm.program import useful_slots

pytestmark = pytest.mark.unit

LAYERS = ["5x9x3", "33x70x11", "64x64x64"]


@pytest.fixture(scope="module")
def document() -> dict:
    return nm.run(LAYERS)


def test_slots_add_up_and_nothing_is_lost_twice(document: dict) -> None:
    assert [one["name"] for one in document["layers"]] == LAYERS * len(nm.PRESETS)
    for layer in document["layers"]:
        assert list(layer["patterns"]) == list(nm.COMPARED)
        for figures in layer["patterns"].values():
            assert figures["utilization"] + sum(figures["lost"].values()) == pytest.approx(1)
            assert min(figures["lost"].values()) >= 0
        cycles = {key: one["cycles"] for key, one in layer["patterns"].items()}
        assert layer["patterns"]["2:4"]["ratio"] == cycles["2:4"] / cycles["dense"] < 1


@pytest.mark.parametrize("name", nm.PRESETS)
@pytest.mark.parametrize("key", PATTERNS)
def test_figures_are_those_of_the_golden_model_and_the_words(name: str, key: str) -> None:
    config, layer = preset(name), gemm("33x70x11")
    program = random_program(layer, PATTERNS[key], config)
    figures = nm.predict(config, layer, PATTERNS[key])
    outputs, counts = GoldenModel(program).run_layer(0, nm_agreement.activations(layer, config))
    assert outputs.shape == (11, 33)
    assert figures["cycles"] == counts.of("cycles")
    assert figures["loads"] == counts.of("loads")
    useful = useful_slots(program.layers[0], layer.tokens)
    assert figures["utilization"] == pytest.approx(counts.utilization(config, useful))
    words = program.weights[0].strips
    assert figures["bits"] == words.size * 64
    assert figures["stored"] == words.size * 64 / (33 * 70 * config.weight_bits)


@pytest.mark.parametrize("key", PATTERNS)
def test_programs_have_the_pattern_that_they_are_called_by(key: str) -> None:
    pattern, config = PATTERNS[key], preset("default")
    program = random_program(gemm("64x256x1"), pattern, config)
    (layer,) = program.layers
    assert (layer.pattern, layer.gather) == (pattern.mode, pattern.gather)
    assert layer.weights == pytest.approx(pattern.density * 64 * 256, rel=0.05)
    assert layer.slots == pattern.density * 64 * 256
    # No step has anything but that to do.
    assert program.steps(0).sum() * config.step_weights == layer.slots


@pytest.mark.parametrize("key", PATTERNS)
def test_a_pattern_may_leave_nothing(key: str) -> None:
    figures = nm.predict(preset("default"), gemm("1x1x1"), PATTERNS[key])
    assert figures["cycles"] > 0


def test_a_matrix_of_2_4_takes_five_eighths_where_steps_fill_words() -> None:
    figures = nm.predict(preset("default"), gemm("64x64x1"), PATTERNS["2:4"])
    assert figures["matrix_stored"] == 0.625
    expected = storage_bits(64, 64, Mode(2, 4), 8) / storage_bits(64, 64, DENSE, 8)
    assert figures["matrix_stored"] == expected < figures["stored"]


def test_a_layer_is_the_same_in_any_selection(document: dict) -> None:
    assert nm.run(LAYERS[1:2])["layers"] == document["layers"][1 :: len(LAYERS)]


def test_means_and_targets_are_of_berts_layers() -> None:
    def figures(ratio: float, used: float) -> dict:
        return {
            key: {"ratio": ratio, "utilization": used - 0.001 * at, "matrix_stored": 0.625}
            for at, key in enumerate(nm.COMPARED)
        }

    names = [*BERT, nm.SMALL]
    layers = [
        {"preset": preset, "name": name, "patterns": figures(0.1 * (at + 1), 1 - 0.01 * at)}
        for preset in nm.PRESETS
        for at, name in enumerate(names)
    ]
    mean = nm._means(layers, "default")["2:4"]["ratio"]
    assert mean == pytest.approx((0.1 * 0.2 * 0.3) ** (1 / 3))
    targets = {one["what"]: one for one in nm._targets(layers)}
    found = {what: one["found"]["ecp5"] for what, one in targets.items()}
    assert list(found.values()) == pytest.approx([0.3, 0.3, 0.4, 0.977, 1 / 0.3, 0.625])
    met = [nm.met(one, "ecp5") for one in targets.values()]
    assert met == [True, False, True, True, False, True]


def test_people_get_a_table(document: dict) -> None:
    shown = nm.table(document)
    assert "33x70x11" in shown
    assert str(document["layers"][0]["patterns"]["dense"]["cycles"]) in shown


def test_agreement_runs_every_mode_and_the_gather_stage() -> None:
    found = nm_agreement.run(["5x9x3", "33x20x11"], on="golden")["layers"]
    for name in nm.PRESETS:
        config = preset(name)
        own = [one for one in found if one["preset"] == name]
        titles = {*(in_groups(mode).title for mode in config.modes), PATTERNS["tvw-75"].title}
        assert {one["pattern"] for one in own} == titles
        assert len(own) == 2 * len(titles) == 10
    assert all(one["equal"] and one["outputs"] == 33 * 11 for one in found[1::2])
    # Results are not all saturated, nor all zero.
    assert all(one["distinct"] > 100 for one in found[1::2])
    assert "33x20x11" in nm_agreement.table({"layers": found})


@pytest.mark.parametrize("what", ["output", "counter"])
def test_a_difference_is_a_failure_that_says_where(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: object) -> object:
        found = run_on(*arguments)
        calls.append(found)
        if len(calls) == 4 and what == "output":
            found.outputs[1, 2] += 1
        if len(calls) == 4 and what == "counter":
            values = found.counts[0].values
            object.__setattr__(found.counts[0], "values", (*values[:3], values[3] + 1, *values[4:]))
        return found

    run_on, calls = nm_agreement.run_on, []
    monkeypatch.setattr(nm_agreement, "run_on", wrong)
    where = {"output": "image 1, output 2", "counter": "layer 0 (33x20x11), weight_wait"}[what]
    with pytest.raises(Failure) as failure:
        nm_agreement.run(["5x9x3", "33x20x11"], on="golden")
    assert str(failure.value).startswith(f"33x20x11, dense: {where}: golden ")


def test_names() -> None:
    assert gemm("bert-3072x768").outputs == 3072
    assert (gemm("Alex-7").inputs, gemm("Alex-7").tokens) == (4096, 1)
    one = gemm("5x7x9")
    assert (one.name, one.outputs, one.inputs, one.tokens) == ("5x7x9", 5, 7, 9)
    assert one.weight().shape == (5, 7)
    assert np.array_equal(one.weight(), gemm("5x7x2").weight())
    assert set(BERT) & set(PAPER) == set()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bert", "there is no layer 'bert'; there are bert-768x768, .* OUTPUTSxINPUTSxTOKENS"),
        ("5x7", "there is no layer '5x7'"),
        ("5x-7x1", "there is no layer '5x-7x1'"),
        ("0x7x9", "layer 0x7x9: OUTPUTSxINPUTSxTOKENS must each be at least 1"),
        ("5x0x9", "must each be at least 1"),
        ("5x7x0", "must each be at least 1"),
        ("99999x99999x1", "at most 134217728"),
        ("1x99999x99999", "at most 134217728"),
    ],
)
def test_mistakes_are_told(name: str, message: str) -> None:
    for bench in (nm, nm_agreement):
        with pytest.raises(UserError, match=message):
            bench.run([name])
