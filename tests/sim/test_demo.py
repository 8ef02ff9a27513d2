"""The main job, with a network that is hardly trained and an array that is soon built."""

import json
from dataclasses import replace

import pytest

from sim import demo
from spec.eie.config import preset
from sw.compress.data import digits

pytestmark = pytest.mark.verilator


def test_the_whole_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = digits()
    data = replace(data, test_images=data.test_images[:40], test_labels=data.test_labels[:40])
    config = preset("default", pes=4, rows=128, lines=2048, columns=2048)
    figures = json.loads(json.dumps(demo.run_demo(data, config, seed=1, rtl=6, effort=0.02)))
    assert figures["agree"]
    assert figures["accuracy"]["first digits"] == 6
    assert (
        figures["cycles"]["predicted"] == figures["cycles"]["counted"] < figures["cycles"]["dense"]
    )
    slots = figures["pes"] * sum(layer["cycles"] for layer in figures["layers"])
    lost = sum(sum(layer["lost"].values()) for layer in figures["layers"])
    assert lost + sum(layer["busy"] for layer in figures["layers"]) == slots
    assert "outputs, cycles and counters equal" in demo.table(figures)
    left = {path.name for path in (tmp_path / "build" / "demo").iterdir()}
    assert left == {"net.pt", "net.skip", "calibrate.npy", "digits.npy"}
