"""The nine layers' benchmark: its figures add up, for any selection of layers the same."""

import numpy as np
import pytest

from sim.bench import eie
from sim.bench.layers import LAYERS, SETS, draw
from spec.errors import UserError

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
