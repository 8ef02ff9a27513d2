"""The comparison of patterns: its figures are those of the programs it makes, and its errors those
of their outputs; what cannot be compared is told."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sim.bench import compare, subjects
from sim.bench.__main__ import main
from sim.bench.designs import DESIGNS, MULTIPLIERS, NM, Design, OnEie, OnNm
from sim.bench.gemms import gemm
from sim.bench.subject import Chain, Measured
from sim.bench.subjects import NONZERO, layer
from spec.eie.golden import GoldenModel as EieModel
from spec.errors import UserError
from spec.image import inspect
from spec.nm.golden import GoldenModel
from spec.numbers import quantize
from sw.compile.capture import capture
from sw.compile.network import FloatLayer
from sw.compile.original import quiet
from sw.compress.data import Dataset
from sw.compress.models import lenet_300_100

pytestmark = pytest.mark.unit

SIZE = "48x64x9"


@pytest.fixture(scope="module")
def document() -> dict:
    return compare.run_one(SIZE)


def drawn(rng: np.random.Generator, *modules: nn.Module) -> nn.Sequential:
    """A network whose weights are ours, not torch's."""
    network = nn.Sequential(*modules)
    for weight in network.parameters():
        values = rng.normal(size=tuple(weight.shape)) / weight.shape[-1] ** 0.5
        weight.data = torch.from_numpy(values.astype(np.float32))
    return network


@pytest.fixture
def folder(rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network in a file, samples and labels."""
    monkeypatch.chdir(tmp_path)
    network = drawn(rng, nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 5))
    torch.save(network.state_dict(), "net.pt")
    for name, count in (("x", 20), ("more", 30)):
        np.save(f"{name}.npy", rng.normal(size=(count, 24)).astype(np.float32))
    np.save("classes.npy", rng.integers(0, 5, 30))
    # Mistakes.
    np.save("six.npy", np.arange(30) % 6)
    np.save("below.npy", np.arange(30) % 5 - 1)
    np.save("narrow.npy", rng.normal(size=(30, 23)))
    np.save("nan.npy", np.where(np.arange(30)[:, None] == 3, np.nan, rng.normal(size=(30, 24))))
    return tmp_path


def test_every_machine_has_as_many_multipliers() -> None:
    assert NM.slots == MULTIPLIERS
    for design in DESIGNS.values():
        if isinstance(design, OnEie):
            assert design.config.pes * design.config.lanes == MULTIPLIERS


def test_both_kinds_of_activations_and_all_designs(document: dict) -> None:
    assert [one["acts"] for one in document["subjects"]] == ["relu", "full"]
    for one in document["subjects"]:
        assert one["nonzero"] == pytest.approx(NONZERO[one["acts"]], abs=0.08)
        assert list(one["designs"]) == list(DESIGNS)
        assert not any("refused" in each for each in one["designs"].values())
    assert document["note"] in compare.table(document)


def test_slots_add_up_and_all_is_against_dense(document: dict) -> None:
    for one in document["subjects"]:
        dense = one["designs"]["dense"]
        for figures in one["designs"].values():
            assert figures["utilization"] + sum(figures["lost"].values()) == pytest.approx(1)
            assert figures["speedup"] == dense["cycles"] / figures["cycles"]
            assert figures["loaded_speedup"] == dense["loaded_cycles"] / figures["loaded_cycles"]
            assert figures["bits_per_position"] == figures["bits"] / (48 * 64)
            assert figures["loaded_cycles"] >= figures["cycles"]


def test_densities_are_those_asked_for(document: dict) -> None:
    for key, figures in document["subjects"][0]["designs"].items():
        assert figures["density"] == pytest.approx(DESIGNS[key].density, abs=0.02), key


@pytest.mark.parametrize("key", [key for key, one in DESIGNS.items() if isinstance(one, OnNm)])
def test_figures_are_those_of_the_golden_model_and_the_words(document: dict, key: str) -> None:
    for told, acts in zip(document["subjects"], NONZERO, strict=True):
        subject, design = layer(gemm(SIZE), acts), DESIGNS[key]
        assert isinstance(design, OnNm)
        program = design.compile(design.prune(subject.network), subject.calibration, 9)
        (packed,), (weights,) = program.layers, program.weights
        assert (packed.pattern, packed.gather) == (design.pattern.mode, design.pattern.gather)
        batch = quantize(subject.batch, program.input_scale, NM.act_bits)
        outputs, (counts,) = GoldenModel(program).run(batch)
        figures = told["designs"][key]
        assert figures["cycles"] == figures["loaded_cycles"] == counts.of("cycles")
        assert figures["loads"] == counts.of("loads")
        assert figures["bits"] == weights.strips.size * 64
        dense = subject.dense()
        assert dense == pytest.approx(subject.batch @ gemm(SIZE).weight().T)
        error = np.linalg.norm(outputs * program.output_scale - dense) / np.linalg.norm(dense)
        assert figures["error"] == pytest.approx(error)


@pytest.mark.parametrize("key", [key for key, one in DESIGNS.items() if isinstance(one, OnEie)])
def test_eies_figures_are_those_of_its_counters_and_memories(document: dict, key: str) -> None:
    for told, acts in zip(document["subjects"], NONZERO, strict=True):
        subject, design = layer(gemm(SIZE), acts), DESIGNS[key]
        assert isinstance(design, OnEie)
        program = design.compile(design.prune(subject.network), subject.calibration, 9)
        batch = quantize(subject.batch, program.input_scale, design.config.act_bits)
        _, counts = EieModel(program).run(batch)
        figures = told["designs"][key]
        assert figures["cycles"] == sum(int(one.of("cycles").sum()) for one in counts)
        # One segment, nothing runs before it: no word of it is hidden.
        assert figures["loads"] == sum(int(one.of("loads").sum()) for one in counts)
        assert figures["loaded_cycles"] == figures["cycles"] + figures["loads"]
        (one,) = inspect(program)["layers"]
        width = design.config.code_bits + one["run_bits"][0]
        entries = one["entries"] * width
        assert entries == pytest.approx(one["entry_bits_per_weight"] * one["weights"])
        pointers = one["pointer_bits_per_weight"] * one["weights"]
        assert figures["bits"] == round(entries + pointers)


def test_a_kernels_neighbours_are_channels(rng: np.random.Generator) -> None:
    module = drawn(rng, nn.Conv2d(8, 20, 3), nn.Flatten())
    network = capture(module, rng.random((2, 8, 5, 5)))
    (pruned,) = DESIGNS["2:4"].prune(network).layers
    assert isinstance(pruned, FloatLayer)
    groups = pruned.weight.reshape(20, 2, 4, 9)
    assert (np.count_nonzero(groups, axis=2) == 2).all()


def test_errors_rank_as_they_must(document: dict) -> None:
    """The freer the pattern, the less is lost; integers add little to it."""
    for one in document["subjects"]:
        told = one["designs"]
        assert told["dense"]["pruned_error"] == pytest.approx(0, abs=1e-12)
        assert 0.001 < told["dense"]["error"] < 0.05
        errors = [told[key]["pruned_error"] for key in ("unstructured-75/32x8", "1:4", "tile-75")]
        assert errors == sorted(errors)
        for key, each in told.items():
            assert each["error"] == pytest.approx(each["pruned_error"], abs=0.12), key
        assert told["tvw-75"]["error"] < told["tvw-87.5"]["error"]


def test_zero_activations_cost_time_only_where_nothing_skips_them(document: dict) -> None:
    relu, full = (one["designs"] for one in document["subjects"])
    for key, design in DESIGNS.items():
        if isinstance(design, OnNm):
            assert relu[key]["cycles"] == full[key]["cycles"]
        elif isinstance(design, OnEie) and design.config.lanes == 1:
            assert relu[key]["cycles"] < full[key]["cycles"]


def test_tvw_against_its_rivals(document: dict) -> None:
    names = ["bert-768x768", "bert-768x3072", SIZE]
    measured = [
        {
            "name": name,
            "acts": "full",
            "designs": {"tvw-75": {"cycles": 10}}
            | {rival: {"cycles": 10 * (at + factor)} for at, rival in enumerate(compare.RIVALS)},
        }
        for name, factor in zip(names, (1, 4, 9), strict=True)
    ]
    measured[2]["designs"]["block-75"] = {"refused": "no"}
    told = compare.tvw(measured)
    assert list(told["rows"][0]["times"].values()) == [1, 2, 3, 4]
    assert list(told["rows"][2]["times"].values()) == [9, None, 11, 12]
    assert told["bert_geomean"]["full"]["dense"] == pytest.approx(2)


def test_a_network_in_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--calibrate", "x.npy", "--input", "more.npy", "--labels", "classes.npy", "--json"]
    main(["compare", "net.pt", *options])
    (one,) = json.loads(capsys.readouterr().out)["subjects"]
    assert (one["name"], one["samples"]) == ("net.pt", 30)
    assert one["positions"] == 24 * 32 + 32 * 5
    state = torch.load("net.pt")
    network = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 5))
    network.load_state_dict(state)
    with torch.no_grad():
        classes = network(torch.from_numpy(np.load("more.npy"))).argmax(1).numpy()
    assert one["right_in_float"] == float((classes == np.load("classes.npy")).mean())
    assert all(0 <= each["right"] <= 1 for each in one["designs"].values())
    assert one["designs"]["dense"]["right"] >= one["right_in_float"] - 0.1
    assert one["designs"]["dense"]["error"] < 0.05
    # Nothing is written of a single one.
    assert not list(Path("results").iterdir())


def test_what_an_engine_does_not_take_is_told_in_its_row(
    folder: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    network = drawn(
        rng, nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 16)
    )
    images = rng.normal(size=(6, 8, 4, 4)).astype(np.float32)
    program = torch.export.export(network, (torch.from_numpy(images),))
    torch.export.save(program, "net.pt2")
    np.save("images.npy", images)
    document = compare.run_one("net.pt2", "images.npy")
    (one,) = document["subjects"]
    for key, figures in one["designs"].items():
        if isinstance(DESIGNS[key], OnEie):
            assert "0" in figures["refused"]
            assert "cycles" not in figures
        else:
            assert figures["density"] == pytest.approx(DESIGNS[key].density, abs=0.05), key
    assert one["right_in_float"] is one["designs"]["dense"]["right"] is None
    assert "refused: " in compare.table(document)


def test_our_own_network(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    def some(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(rng.random((count, 1, 28, 28), np.float32))
        return images, torch.from_numpy(rng.integers(0, 10, count))

    monkeypatch.setattr(subjects, "digits", lambda: Dataset("some", *some(20), *some(9)))
    monkeypatch.setattr(subjects, "trained_lenet", lambda data, seed: lenet_300_100())
    (subject,) = subjects.subjects("lenet-300-100")
    assert isinstance(subject, Chain)
    assert subject.network.inputs == 784
    assert (subject.batch.shape, len(subject.labels)) == ((9, 784), 9)
    assert subject.dense().shape == (9, 10)
    assert "some" in subject.about["weights"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LeNet"], "there is no layer or network 'LeNet'; there are bert-768x768, .*lenet-300-"),
        (["net.pt"], "net.pt: needs sample inputs, --calibrate X.npy"),
        (["net.onnx"], "there is no layer or network 'net.onnx'"),
        (["none.pt", "x.npy"], "cannot read none.pt: no such file"),
        (["net.pt", "none.npy"], "cannot read none.npy: No such file"),
        (["net.pt", "classes.npy"], "calibration samples are int64, must be floats or uint8"),
        (["net.pt", "x.npy", None, "classes.npy"], "net.pt: labels are int64 of shape \\(30,\\), "),
        (["net.pt", "x.npy", "more.npy", "x.npy"], "net.pt: labels are float32 of shape"),
        (["net.pt", "x.npy", "more.npy", "six.npy"], "labels hold 5, .* 5 outputs .* 0 to 4$"),
        (["net.pt", "x.npy", "more.npy", "below.npy"], "net.pt: labels hold -1, the network's 5"),
        (["net.pt", "x.npy", "nan.npy"], "^input sample 3 holds a value that is not finite"),
        (["net.pt", "x.npy", "narrow.npy"], "^input samples have 23 values each"),
        ([SIZE, "x.npy"], f"x.npy: samples and labels are for a network in a file, not {SIZE}"),
        (["lenet-300-100", None, None, "y.npy"], "y.npy: samples and labels are for a network"),
    ],
)
def test_mistakes_are_told(folder: Path, arguments: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare.run_one(*arguments)


def test_an_lstm_is_refused(folder: Path, rng: np.random.Generator) -> None:
    steps = torch.from_numpy(rng.normal(size=(2, 3, 8)).astype(np.float32))
    with quiet():
        torch.export.save(
            torch.export.export(nn.LSTM(8, 4, batch_first=True), (steps,)), "lstm.pt2"
        )
    np.save("steps.npy", steps.numpy())
    with pytest.raises(UserError, match="lstm.pt2: has an LSTM, which the N:M array does not take"):
        compare.run_one("lstm.pt2", "steps.npy")


def test_a_dense_layer_that_does_not_fit_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(subject: Chain, design: Design) -> Measured:
        asked.append(design.title)
        raise UserError("too large")

    asked: list[str] = []
    monkeypatch.setattr(Chain, "measure", measure)
    with pytest.raises(UserError, match="^too large$"):
        compare.run_one(SIZE)
    assert asked == ["dense"]


def test_files_go_with_a_name(folder: Path) -> None:
    with pytest.raises(UserError, match="--labels go with a network in a file"):
        main(["compare", "--labels", "classes.npy"])
