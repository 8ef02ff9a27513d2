"""The command lines: what they print and write, and how they refuse."""

import json
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from spec.errors import UserError, cli
from sw.compress.__main__ import main
from sw.compress.data import Dataset
from sw.compress.models import lenet_300_100
from sw.compress.patterns import parse
from sw.compress.saving import load, save
from sw.compress.scan import propose, read
from sw.compress.share import kmeans
from tests.sw.compress.cli.case import write_case

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    return write_case(tmp_path, rng, monkeypatch)


def told(capsys, *words: str) -> dict:
    main([*words, "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_state_dict_by_itself(folder, capsys, suffix):
    given = load("net.pt")
    save(given, f"given{suffix}")
    main([f"given{suffix}", "--pattern", "2:4", "-o", f"out{suffix}"])
    out = capsys.readouterr().out
    assert "bits per weight" in out
    assert f"out{suffix}: " in out
    found = load(f"out{suffix}")
    assert found.keys() == given.keys()
    for name, value in given.items():
        if name.endswith("weight"):
            value = value * parse("2:4").mask(value.abs())
        assert torch.equal(found[name], value)


def test_layers_may_have_patterns_and_densities_of_their_own(folder, capsys):
    options = "--pattern 1=2:4 --pattern 3=balanced:2 --density 0.25 -o out.pt"
    document = told(capsys, "net.pt", *options.split())
    found = load("out.pt")
    assert [int(found[n].count_nonzero()) for n in ("1.weight", "3.weight")] == [384, 24]
    assert document["report"]["nonzeros"] == 408
    main(["net.pt", "--density", "3=0.5", "-o", "out.pt"])
    found = load("out.pt")
    assert [int(found[n].count_nonzero()) for n in ("1.weight", "3.weight")] == [720, 48]
    main(["net.pt", "--density", "0.1", "--scope", "global", "-o", "out.pt"])
    assert sum(int(v.count_nonzero()) for n, v in load("out.pt").items() if "weight" in n) == 82


def test_masks_in_a_file_are_applied(folder):
    layer = torch_prune.l1_unstructured(nn.Linear(30, 24), "weight", 0.75)
    save({f"fc.{name}": value for name, value in layer.state_dict().items()}, "masked.pt")
    main(["masked.pt", "--density", "1", "-o", "out.pt"])
    assert torch.equal(load("out.pt")["fc.weight"], layer.weight)


def test_a_function_with_a_state(folder, capsys):
    options = "--state net.pt --density 0.2 --data pictures --share 4 --quantize fixed16 -o out.pt"
    document = told(capsys, "made:small", *options.split())
    assert list(document["accuracy"]) == ["given", "pruned", "shared", "quantized"]
    found = load("out.pt")
    assert [int(found[n].count_nonzero()) for n in ("1.weight", "3.weight")] == [144, 19]
    for name in ("1.weight", "3.weight"):
        assert len(found[name].unique()) <= 16
        _, exponents = torch.frexp(found[name].abs().max())
        scaled = found[name] * 2.0 ** (15 - exponents.item())
        assert torch.equal(scaled, scaled.round())


def test_values_without_pruning(folder, capsys):
    main(["net.pt", "--share", "3", "--share", "3=2", "-o", "out.pt"])
    given, found = load("net.pt"), load("out.pt")
    for name, bits in (("1.weight", 3), ("3.weight", 2)):
        assert torch.equal(found[name], kmeans(given[name], bits).expand())
    main(["net.pt", "--quantize", "int8:tensor", "--layers", "3", "-o", "out.pt"])
    found = load("out.pt")
    assert torch.equal(found["1.weight"], given["1.weight"])
    steps = found["3.weight"] / (given["3.weight"].abs().max() / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-4)


def test_removed_channels_make_a_smaller_network(folder, capsys):
    options = "--pattern channel --layers 0 --density 0.5 --data pictures -o out.pt"
    document = told(capsys, "made:convolutional", *options.split())
    found = load("out.pt")
    assert found["0.weight"].shape == (4, 1, 3, 3)
    assert found["3.weight"].shape == (8, 4, 3, 3)
    assert document["report"]["weights"] == 36 + 288 + 384


@pytest.mark.parametrize(
    "words",
    [
        *("--density 2", "--density 1=2", "--pattern x", "--criterion x", "--schedule x"),
        *("--penalty x", "--share 9", "--share 3=0", "--eie x", "--nm x"),
    ],
)
def test_mistakes_are_told_before_training(folder, monkeypatch, words):
    monkeypatch.setattr("sw.compress.cli.run.fit", lambda *_, **__: pytest.fail("trained"))
    options = ["--train", "5", "--data", "pictures"]
    with pytest.raises(UserError):
        main(["made:small", *options, *words.split()])


def test_the_report_is_on_the_arrays_that_are_named(folder, capsys):
    told_of = [
        told(capsys, "net.pt", "--density", "0.5", *options.split())["report"]
        for options in ("", "--eie tiny", "--nm tiny")
    ]
    pes = [one["layers"][0]["eie"]["pes"] for one in told_of]
    assert pes[1] == 4
    assert pes[0] == pes[2] != 4
    configurations = [one["configurations"]["nm"] for one in told_of]
    assert configurations[0] == configurations[1] != configurations[2]


def test_channels_go_wherever_they_can(folder, capsys):
    """Those of the last layer are the network's classes."""
    options = "--pattern channel --density 0.5 --data pictures -o out.pt"
    told(capsys, "made:convolutional", *options.split())
    assert load("out.pt")["0.weight"].shape == (4, 1, 3, 3)
    assert load("out.pt")["3.weight"].shape == (4, 4, 3, 3)


def test_layers_of_a_state_dict_can_be_followed(folder, capsys):
    """By criteria and patterns that ask which layer comes next."""
    options = ["net.pt", "--density", "1=0.5", "--data", "pictures", "-o", "out.pt", "--pattern"]
    main([*options, "1=row", "--criterion", "activation"])
    assert int(load("out.pt")["1.weight"].any(1).sum()) == 12
    main([*options, "1=channel"])
    assert load("out.pt")["1.weight"].shape == (12, 30)


def test_a_scan_and_what_it_proposes(folder, capsys):
    options = "--state net.pt --data pictures --densities 1,0.5,0.1 -o scan.json --csv scan.csv"
    document = told(capsys, "scan", "made:small", *options.split(), "--density", "0.6")
    found = read("scan.json")
    assert document["scan"] == found.to_json()
    assert len(found.points) == 6
    proposal = propose(found, density=0.6)
    assert document["proposal"] == proposal.to_json()
    assert (folder / "scan.csv").read_text().count("\n") == 7
    main(["scan", "made:small", *options.split(), "--loss", "0.3", "--plot", "scan.svg"])
    out = capsys.readouterr().out
    assert "proposed: " in out
    assert (folder / "scan.svg").exists()
    options = "--state net.pt --from-scan scan.json --density 0.6 -o out.pt"
    main(["made:small", *options.split()])
    state = load("out.pt")
    assert sum(int(state[n].count_nonzero()) for n in ("1.weight", "3.weight")) == proposal.kept


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("net.pt", "there is nothing to do"),
        ("nowhere.pt --density 0.5", "cannot read nowhere.pt"),
        ("net.onnx --density 0.5", "net.onnx: the name must end in .pt2, .pt"),
        ("net.pt --density 1.5", "all layers: a density of 1.5 was given, allowed is 0...1"),
        ("net.pt --density much", "--density much: 'much' is no number"),
        ("net.pt --density 0.5 --density 0.6", "--density was given twice for all layers"),
        ("net.pt --density fc9=0.5", "--density fc9=...: no such layer; 1, 3"),
        ("net.pt --density 0.5 --layers fc9", "no layer 'fc9'"),
        ("net.pt --pattern 5:4", "the pattern 5:4"),
        ("net.pt --pattern 2:4 --density 0.3", "the pattern 2:4 has a density of 0.5, 0.3"),
        ("net.pt --pattern tile:8", "the pattern tile:8 needs a density"),
        ("net.pt --density 0.5 --criterion wish", "the criterion 'wish' was given; there are"),
        ("net.pt --density 0.5 --schedule soon", "the schedule 'soon' was given; there are"),
        ("net.pt --density 0.5 --schedule gradual:40", "prunes while the network is trained"),
        ("net.pt --density 0.5 --penalty l3:1", "the penalty 'l3:1' was given"),
        ("net.pt --density 0.5 --criterion second-order", "runs the network on data"),
        ("net.pt --density 0.5 --data pictures --steps 5 --rate -1", "rate = -1.0 was asked for"),
        ("net.pt --density 0.5 --steps 5", "--steps 5: training takes --data"),
        ("net.pt --density 0.5 --cycles eie", "cycles are predicted on pictures: give --data"),
        ("net.pt --density 0.5 --data nowhere", "no folder nowhere"),
        ("net.pt --density 0.5 --data mnist", "no folder build/data/mnist: run `make data`"),
        ("net.pt --density 0.5 -o out.onnx", "out.onnx: the name must end in"),
        ("net.pt --density 0.5 -o no/out.pt", "cannot write no/out.pt: there is no folder no"),
        ("net.pt --density 0.5 -o out.pt2", "exporting takes a picture"),
        ("net.pt --density 0.5 --state net.pt", "--state is for package.module:function"),
        ("net.pt --share 9", "codes of 9 bits was asked for"),
        ("net.pt --share-steps 3 --density 0.5", "give --share, too"),
        ("net.pt --loss 0.1 --density 0.5", "--loss is a budget for --from-scan"),
        ("net.pt --density 0.5 --calibration 0", "--calibration 0: must be at least 1"),
        ("net.pt --density 0.5 --scope global --pattern 2:4", "the pattern 2:4"),
        ("made:nowhere --density 0.5", "made:nowhere: AttributeError"),
        ("nomodule:small --density 0.5", "nomodule:small: ModuleNotFoundError"),
        ("made:nothing --density 0.5", "made:nothing: "),
        ("made:broken --density 0.5", "made:broken: OSError: no such weights"),
        ("made:convolutional --state net.pt --density 0.5", "net.pt misses"),
        ("text.pt2 --density 0.5", "text.pt2: torch.export cannot load it"),
        ("text.pt --density 0.5", "text.pt: truncated, or no file of weights"),
        ("wide.pt --density 0.5 --data pictures", "has 40 inputs, it would get 30"),
        ("conv.pt --density 0.5 --data pictures", "a state dict does not say how"),
        ("sw.compress.models:lenet_300_100 --density 0.5 --data pictures", "does not run on 3"),
        ("scan net.pt", "a scan measures accuracies: give --data"),
        ("scan net.pt --data pictures --densities a,b", "must be numbers with commas"),
        ("scan net.pt --data pictures --plot no/scan.svg", "there is no folder no"),
        ("net.pt --density 0.5 --eie huge", "preset 'huge' does not exist; there are default"),
        ("net.pt --share 4.5", "--share 4.5: '4.5' is no whole number"),
        ("scan net.pt --data pictures -o scan.txt", "scan.txt: the name must end in .json"),
        (
            "scan net.pt --data pictures --densities 1 --density 0.5",
            "a budget of 408 of 816 weights",
        ),
    ],
)
def test_mistakes_are_one_line(folder, rng, capsys, monkeypatch, words, message):
    (folder / "text.pt2").write_text("text")
    (folder / "text.pt").write_text("text")
    save({"1.weight": torch.ones(4, 40)}, "wide.pt")
    save({"1.weight": torch.ones(4, 1, 3, 3)}, "conv.pt")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["sw.compress", *words.split()])
    with pytest.raises(SystemExit) as ended:
        cli(main)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    after.pop("scan.json", None)
    assert after == before


def test_data_by_name(folder, monkeypatch, rng, capsys):
    (folder / "build" / "data").mkdir(parents=True)
    (folder / "pictures").rename(folder / "build" / "data" / "fashion")
    assert "given" in told(capsys, "net.pt", "--density", "0.5", "--data", "fashion")["accuracy"]
    few = Dataset("few", *(2 * [torch.rand(20, 1, 28, 28), torch.arange(20) % 10]))
    monkeypatch.setattr("sw.compress.cli.given.digits", lambda: few)
    save(lenet_300_100(), folder / "lenet.pt")
    words = ("sw.compress.models:lenet_300_100", "--state", "lenet.pt", "--data", "digits")
    assert "pruned" in told(capsys, *words, "--density", "0.5")["accuracy"]
