"""The nine layers' benchmark: its figures add up, for any selection of layers the same."""

import json

import numpy as np
import pytest

from sim.bench import eie, page
from sim.bench.__main__ import PAGE
from sim.bench.layers import LAYERS, SETS, draw
from spec.errors import UserError
from tests.tiers import ROOT

pytestmark = pytest.mark.unit


def test_figures_add_up():
    document = eie.run(["NT-LSTM"], pes=16)
    assert [layer["set"] for layer in document["layers"]] == list(SETS)
    for layer in document["layers"]:
        paper = LAYERS["NT-LSTM"]
        density = layer["weights"] / (layer["inputs"] * layer["outputs"])
        assert density == pytest.approx(paper.weights, rel=0.05)
        for figures in layer["machines"].values():
            slots = 16 * figures["cycles"]
            assert figures["utilization"] * slots == pytest.approx(layer["macs"])
            assert figures["utilization"] + sum(figures["lost"].values()) == pytest.approx(1)
            assert figures["cycles"] >= layer["lower_bound"]
    assert "NT-LSTM" in eie.table(document)


def test_a_layer_is_the_same_in_any_selection():
    both = eie.run(["NT-We", "NT-LSTM"], pes=16)["layers"]
    assert eie.run(["NT-LSTM"], pes=16)["layers"] == both[1::2]


def test_uneven_layers_are_uneven():
    spread = {
        kind: float(np.count_nonzero(draw(kind, "NT-LSTM").codes, axis=1).std()) for kind in SETS
    }
    assert spread["uneven"] > 3 * spread["random"]


def test_lanes_count_the_same_work():
    machines = [eie.Machine("default", eie.preset("default", lanes=lanes)) for lanes in (1, 4)]
    found = eie._compare_lanes(*machines, draw("random", "NT-LSTM", 4))
    # All activations are non-zero: nothing is gated, and four images take the time of one.
    assert found["gated"] == 0
    assert found["speedup"] == pytest.approx(found["expected"]) == 4


def test_an_unknown_layer_is_told():
    with pytest.raises(UserError, match="no layer 'Alex-9'; there are Alex-6, Alex-7"):
        eie.run(["Alex-9"])


def test_the_page_is_made_from_the_results():
    document = json.loads((ROOT / "results" / "eie_layers.json").read_text())
    assert (ROOT / "docs" / PAGE).read_text() == page.page(document)


def test_the_plot_shows_both_machines():
    pytest.importorskip("matplotlib")
    document = json.loads((ROOT / "results" / "eie_layers.json").read_text())
    plot = page.plot(document)
    assert plot == page.plot(document)
    assert b"isca16" in plot
