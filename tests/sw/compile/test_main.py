"""The command line: what it prints and writes, and how it refuses."""

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

from spec import image
from spec.eie.config import preset
from spec.errors import cli
from sw.compile.__main__ import main
from tests.sw.compile.networks import save_exported, set_weights

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    """A folder to work in, with a model in two forms and samples."""
    module = set_weights(nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 6)), rng)
    save_exported(module, tmp_path / "m.pt2", 2, 20)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    np.save(tmp_path / "x.npy", rng.normal(size=(40, 4, 5)).astype(np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """Runs the command; returns its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sw.compile", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli(main)
        return int(ended.value.code or 0)

    return run


def test_an_exported_program(folder, run, capsys):
    assert run("m.pt2", "--calibrate", "x.npy", "--pes", "8", "-o", "net.skip") == 0
    program = image.read("net.skip")
    assert program.config == preset("default", pes=8)
    assert [layer.name for layer in program.layers] == ["0", "2"]
    out, err = capsys.readouterr()
    assert err == ""
    for text in ("integer activations", "packed image", "20x12", "net.skip: 8 PEs", "/40"):
        assert text in out
    table = [line for line in out.splitlines() if "net.skip:" not in line]
    assert max(map(len, table)) <= 110


def test_json(folder, capsys):
    options = "--json --preset tiny --set rows=2 --set queue_spare=true --check-samples 5"
    main(["m.pt", "--calibrate", "x.npy", "-o", "net.skip", *options.split()])
    document = json.loads(capsys.readouterr().out)
    program = image.read(document["image"])
    config = preset("tiny", rows=2, queue_spare=True)
    assert document["config"] == config.to_json()
    assert document["config_digest"] == program.config.digest == config.digest
    assert document["segments"] == len(program.segments)
    assert document["seconds"] > 0
    assert [layer["name"] for layer in document["layers"]] == ["0", "2"]
    assert document["steps"][-1]["samples"] == 5
    assert "took a ReLU" in document["notes"][0]


def test_the_assumed_activation_is_printed(folder, capsys):
    main(["m.pt", "--calibrate", "x.npy", "-o", "a.skip", "--activation", "none"])
    assert "note: a state dict does not say" in capsys.readouterr().out
    assert not image.read("a.skip").layers[0].relu


def test_how_rows_and_clusters_are_chosen(folder, capsys):
    options = ["m.pt", "--calibrate", "x.npy", "-o", "net.skip", "--pes", "8", "--json"]

    def layers(*more: str) -> list[dict]:
        main([*options, *more])
        return json.loads(capsys.readouterr().out)["layers"]

    chosen = layers()
    moved = [layer["work_after"] < layer["work_before"] for layer in chosen]
    assert bool(image.read("net.skip").orders) == any(moved)
    plain = layers("--no-balance", "--clusters", "4")
    assert not image.read("net.skip").orders
    assert [layer["clusters"] for layer in plain] == [[4], [4]]
    assert all(layer["work_after"] == layer["work_before"] for layer in plain)
    assert layers("--clusters", "auto") == chosen


WRONG = {
    "missing model": (["no.pt2"], "cannot read no.pt2: no such file"),
    "unknown ending": (["x.npy"], "must end in"),
    "no PEs": (["m.pt", "--pes", "0"], "pes = 0, must be an integer from 1 to 256"),
    "preset": (["m.pt", "--preset", "huge"], "preset 'huge' does not exist; there are default"),
    "field": (["m.pt", "--set", "rowz=3"], "has no field 'rowz'"),
    "value": (["m.pt", "--set", "rows=many"], "--set rows=many: the value must be a whole number"),
    "no value": (["m.pt", "--set", "rows"], "--set rows: must be FIELD=VALUE"),
    "samples": (["m.pt", "--calibrate", "no.npy"], "cannot read no.npy"),
    "other samples": (["m.pt", "--calibrate", "y.npy"], "samples have 9 values each"),
    "headroom": (["m.pt", "--headroom", "-1"], "headroom -1.0"),
    "check samples": (["m.pt", "--check-samples", "0"], "check samples = 0"),
    "overflow": (["m.pt", "--set", "acc_bits=32", "--no-rescale"], "an accumulator of 32 bits"),
    "tiling": (["m.pt", "--set", "lines=1", "--set", "line_bits=10"], "layer 0 cannot be tiled"),
    "clusters": (["m.pt", "--clusters", "8"], "clusters = 8: 64 PEs divide into 1, 2, 4 (clus"),
    "clusters in words": (["m.pt", "--clusters", "many"], "--clusters many: must be auto or a"),
    "weights": (["many.pt"], "layer 0: its weights take"),
    "not finite": (["nan.pt"], "0.weight: 1 of 240 values are not finite"),
    "folder": (["m.pt", "-o", "none/net.skip"], "none/net.skip: No such file or directory"),
    "a folder": (["m.pt", "-o", "sub"], "sub: it is there already and is no file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes(folder, run, capsys, case):
    arguments, message = WRONG[case]
    np.save("y.npy", np.ones((3, 9)))
    (folder / "sub").mkdir()
    weights = torch.load("m.pt", weights_only=True)
    torch.save(weights | {"0.weight": torch.randn(12, 20)}, "many.pt")
    weights["0.weight"][0, 0] = torch.nan
    torch.save(weights, "nan.pt")
    before = sorted(folder.iterdir())
    for option, value in {"--calibrate": "x.npy", "-o": "net.skip"}.items():
        arguments = arguments if option in arguments else [*arguments, option, value]
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(folder.iterdir()) == before, "something half-written was left behind"


def test_an_old_image_survives_a_mistake(folder, run, capsys):
    main(["m.pt", "--calibrate", "x.npy", "-o", "net.skip"])
    before = (folder / "net.skip").read_bytes()
    assert run("m.pt", "--calibrate", "x.npy", "-o", "net.skip", "--set", "acc_bits=32") == 0
    assert run("m.pt", "--calibrate", "x.npy", "-o", "net.skip", "--set", "line_bits=8") == 2
    after = (folder / "net.skip").read_bytes()
    assert after != before
    assert image.read("net.skip").config.acc_bits == 32
    capsys.readouterr()
