"""The command line with the N:M engine, and with both."""

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

from spec import image
from spec.eie.config import preset as eie_preset
from spec.errors import cli
from spec.mixed import Mixed
from spec.nm.config import preset
from sw.compile.__main__ import main
from sw.compress.patterns import nm_mask
from tests.sw.compile.images import prune
from tests.sw.compile.networks import save_exported, shared_weight

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    """A folder to work in, with convolutional and linear models and samples."""
    conv = nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 6)
    )
    linear = nn.Sequential(nn.Linear(72, 40), nn.ReLU(), nn.Linear(40, 6))
    with torch.no_grad():
        linear[0].weight[:] = torch.from_numpy(shared_weight(rng, 40, 72, density=0.05, values=7))
    prune(conv[4], nm_mask, 2, 4)
    prune(linear[2], nm_mask, 2, 4)
    save_exported(conv.eval(), tmp_path / "conv.pt2", 2, 2, 6, 6)
    torch.save(linear.state_dict(), tmp_path / "m.pt")
    np.save(tmp_path / "x.npy", rng.normal(size=(20, 2, 6, 6)).astype(np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """Runs the command; returns its exit code."""

    def run(*arguments: str) -> int:
        given = list(arguments)
        for option, value in {"--calibrate": "x.npy", "-o": "net.skip"}.items():
            given += [] if option in given else [option, value]
        monkeypatch.setattr(sys, "argv", ["sw.compile", *given])
        with pytest.raises(SystemExit) as ended:
            cli(main)
        return int(ended.value.code or 0)

    return run


def test_a_convolutional_network(folder, run, capsys):
    assert run("conv.pt2", "--engine", "nm", "--rows", "8", "--batch", "4") == 0
    program = image.read("net.skip")
    assert program.config == preset("default", rows=8)
    assert [layer.name for layer in program.layers] == ["0", "4"]
    out, err = capsys.readouterr()
    assert err == ""
    for text in ("integer activations", "packed image", "18x8", "2:4", "window", "8 x 8 MAC units"):
        assert text in out
    assert max(map(len, out.splitlines()[:-1])) <= 110


def test_json(folder, run, capsys):
    options = "--engine nm --json --preset tiny --set act_bits=16 --check-samples 5 --scales tensor"
    assert run("conv.pt2", *options.split(), "--pattern", "dense", "--pattern", "4=2:4") == 0
    document = json.loads(capsys.readouterr().out)
    config = preset("tiny", act_bits=16)
    assert document["engine"] == "nm"
    assert document["config"] == config.to_json()
    assert document["config_digest"] == config.digest
    assert [layer["mode"] for layer in document["layers"]] == ["1:1", "2:4"]
    assert document["steps"][-1]["samples"] == 5
    assert image.read(document["image"]).config == config
    assert run("m.pt", "--json", "--set", "code_bits=7") == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "eie"


def test_both_engines(folder, run, capsys):
    assert run("m.pt", "--engine", "auto", "--set", "eie.pes=32", "--nm-preset", "tiny") == 0
    program = image.read("net.skip")
    assert isinstance(program, Mixed)
    configs = [stage.config for stage in program.stages]
    assert configs == [eie_preset("default", pes=32), preset("tiny")]
    out = capsys.readouterr().out
    for text in (
        "cycles instead of",
        "eie does not take it: its weights take",
        "stage 1, engine nm",
    ):
        assert text in out
    assert "net.skip: 2 stages: 32 PEs, " in out
    assert (
        run("m.pt", "--engine", "auto", "--json", "--pes", "32", "--rows", "4", "--cols", "2") == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["engine"] == "mixed"
    assert [stage["engine"] for stage in document["stages"]] == ["eie", "nm"]
    assert document["stages"][1]["config"] == preset("default", rows=4, columns=2).to_json()
    assert [choice["engine"] for choice in document["choices"]] == ["eie", "nm"]


def test_the_same_bytes_twice(folder, run, capsys):
    for engine in ("nm", "auto"):
        assert run("m.pt", "--engine", engine, "-o", "a.skip") == 0
        assert run("m.pt", "--engine", engine, "-o", "b.skip") == 0
        assert (folder / "a.skip").read_bytes() == (folder / "b.skip").read_bytes()
    capsys.readouterr()


NM, AUTO = ["--engine", "nm"], ["--engine", "auto"]

WRONG = {
    "engine": (["m.pt", "--engine", "gpu"], "engine 'gpu' does not exist; there are eie, nm"),
    "convolution on EIE": (["conv.pt2"], "layer 0: a convolution, but an EIE array computes"),
    "pattern of EIE": (["m.pt", "--pattern", "2:4"], "--pattern is an option of the engine nm, no"),
    "gather of EIE": (["m.pt", "--gather", "on"], "--gather is an option of the engine nm"),
    "scales of EIE": (["m.pt", "--scales", "row"], "--scales is an option of the engine nm"),
    "batch of EIE": (["m.pt", "--batch", "2"], "--batch is an option of the engine nm"),
    "rows of EIE": (["m.pt", "--rows", "8"], "--rows is an option of the engine nm; eie has --pes"),
    "PEs of N:M": (["m.pt", *NM, "--pes", "8"], "--pes is an option of the engine eie; nm has"),
    "clusters of N:M": (["m.pt", *NM, "--clusters", "2"], "--clusters is an option of the engine"),
    "balance of N:M": (["m.pt", *NM, "--no-balance"], "--no-balance is an option of the engine ei"),
    "preset of both": (
        ["m.pt", *NM, "--nm-preset", "tiny"],
        "--nm-preset is for --engine auto",
    ),
    "one preset": (
        ["m.pt", *AUTO, "--preset", "tiny"],
        "--preset tiny: of two engines; use --ei",
    ),
    "one field": (
        ["m.pt", *AUTO, "--set", "rows=8"],
        "--set rows=8: of two engines; say which",
    ),
    "field of none": (["m.pt", *AUTO, "--set", "gpu.rows=8"], "--set gpu.rows=8: of two engines"),
    "field": (["m.pt", *AUTO, "--set", "nm.rowz=8"], "N:M configuration has no field 'rowz'"),
    "value": (["m.pt", *NM, "--rows", "7"], "rows = 7, must be a power of two"),
    "preset": (
        ["m.pt", *AUTO, "--eie-preset", "ecp5"],
        "preset 'ecp5' does not exist; there ar",
    ),
    "N above M": (["m.pt", *NM, "--pattern", "4:2"], "pattern 4:2: N must be from 1 to M"),
    "M unknown": (
        ["m.pt", *NM, "--pattern", "2:8"],
        "pattern 2:8 is none of this array's: 1:1",
    ),
    "no pattern": (["m.pt", *NM, "--pattern", "half"], "pattern 'half' must be N:M, such as 2:4"),
    "no layer": (["m.pt", *NM, "--pattern", "fc=2:4"], "a pattern is declared for layer 'fc', but"),
    "broken": (["m.pt", *NM, "--pattern", "1:4"], "layer 0: row "),
    "gather": (["m.pt", *NM, "--gather", "so"], "gather 'so' is unknown, there are auto, on, off"),
    "scales": (["m.pt", *NM, "--scales", "all"], "scales 'all' are unknown, there are row, tensor"),
    "batch": (["m.pt", *NM, "--batch", "0"], "batch = 0, at least 1 image must run"),
    "n above m": (
        ["m.pt", *NM, "--set", "n=8"],
        "N:M configuration: n = 8 of m = 4, n must no",
    ),
    "too many inputs": (
        ["m.pt", *NM, "--preset", "tiny", "--set", "act_lines=1"],
        "layer 0: 72 inputs are 9 lines, the activation buffer holds 1: at most 8 inputs, or more",
    ),
    "type": (["half.pt", *NM], "0.weight: holds torch.int8, a parameter must be a floating-point"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes(folder, run, capsys, case):
    arguments, message = WRONG[case]
    weights = torch.load("m.pt", weights_only=True)
    torch.save(weights | {"0.weight": torch.ones(40, 72, dtype=torch.int8)}, "half.pt")
    before = sorted(folder.iterdir())
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(folder.iterdir()) == before, "something half-written was left behind"
