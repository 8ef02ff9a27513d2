"""Command lines that train or export: their parts of torch take seconds to import."""

import json

import pytest
import torch

from sw.compress.__main__ import main
from sw.compress.cli import exported
from tests.sw.compress.cli.case import write_case
from tests.sw.compress.networks import tensor

pytestmark = pytest.mark.flow


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    return write_case(tmp_path, rng, monkeypatch)


def told(capsys, *words: str) -> dict:
    main([*words, "--json"])
    return json.loads(capsys.readouterr().out)


def test_training_while_pruning_and_sharing(folder, capsys):
    options = "--state net.pt --density 0.2 --data pictures --steps 60 --batch 32 --rate 0.01"
    options += " --schedule gradual:30 --share 4 --share-steps 20 --quantize fixed16"
    document = told(capsys, "made:small", *options.split())
    assert list(document["accuracy"]) == ["given", "pruned", "shared", "quantized"]
    assert document["accuracy"]["shared"] > document["accuracy"]["given"] + 0.2
    again = told(capsys, "made:small", *options.split())
    assert again["accuracy"] == document["accuracy"]


def test_training_before_pruning(folder, capsys):
    options = "--data pictures --train 60 --rate 0.01 --criterion second-order --density 0.3"
    document = told(capsys, "made:small", *options.split())
    assert list(document["accuracy"]) == ["given", "trained", "pruned"]
    assert document["accuracy"]["trained"] > document["accuracy"]["given"]
    assert document["output"] is None


def export(path, rng):
    import made  # type: ignore[import-not-found] -- of the folder

    model = made.convolutional().eval()
    exported.write_new(model, tensor(rng, 2, 1, 6, 5), path)
    return model


def test_an_exported_program_stays_one(folder, rng, capsys):
    model = export(folder / "net.pt2", rng)
    options = "--density 0.3 --data pictures --steps 30 --batch 32 --share 4 -o out.pt2"
    document = told(capsys, "net.pt2", *options.split())
    assert [layer["name"] for layer in document["report"]["layers"]] == ["0", "3", "5"]
    program = torch.export.load("out.pt2")
    for name in ("0", "3", "5"):
        weight = program.state_dict[f"{name}.weight"]
        assert int(weight.count_nonzero()) == round(0.3 * weight.numel())
        assert len(weight.unique()) <= 16
    inputs = tensor(rng, 7, 1, 6, 5)
    network = exported.network(program)
    with torch.no_grad():
        assert torch.allclose(program.module()(inputs), network.eval()(inputs))
        assert not torch.allclose(program.module()(inputs), model(inputs))
    main(["net.pt2", "--density", "1", "-o", "same.pt2"])
    with torch.no_grad():
        same = torch.export.load("same.pt2").module()(inputs)
        assert torch.allclose(same, model(inputs), atol=1e-6)


def test_pictures_take_the_shape_of_an_exported_program(folder, rng, capsys):
    model = torch.nn.Sequential(torch.nn.Linear(30, 4))
    exported.write_new(model, tensor(rng, 2, 30), folder / "flat.pt2")
    document = told(capsys, "flat.pt2", "--density", "0.5", "--data", "pictures")
    assert "pruned" in document["accuracy"]


def test_a_function_becomes_an_exported_program(folder, rng):
    main(["made:ready", "--density", "0.5", "--data", "pictures", "-o", "out.pt2"])
    program = torch.export.load("out.pt2")
    assert program.module()(tensor(rng, 9, 1, 6, 5)).shape == (9, 4)
