"""The nine layers' benchmark: its figures add up, for any selection of layers the same."""

import pytest

from sim.bench import eie
from spec.errors import UserError

pytestmark = pytest.mark.unit


def test_figures_add_up():
    document = eie.run(["NT-LSTM"], pes=16)
    assert [layer["set"] for layer in document["layers"]] == list(eie.SETS)
    for layer in document["layers"]:
        paper = eie.LAYERS["NT-LSTM"]
        density = layer["weights"] / (layer["inputs"] * layer["outputs"])
        assert density == pytest.approx(paper.weights, rel=0.05)
        for figures in layer["presets"].values():
            slots = 16 * figures["cycles"]
            assert figures["utilization"] * slots == pytest.approx(layer["macs"])
            assert figures["utilization"] + sum(figures["lost"].values()) == pytest.approx(1)
            assert figures["cycles"] >= layer["lower_bound"]
    assert "NT-LSTM" in eie.table(document)


def test_a_layer_is_the_same_in_any_selection():
    both = eie.run(["NT-We", "NT-LSTM"])["layers"]
    assert eie.run(["NT-LSTM"])["layers"] == both[1::2]


def test_an_unknown_layer_is_told():
    with pytest.raises(UserError, match="no layer 'Alex-9'; there are Alex-6, Alex-7"):
        eie.run(["Alex-9"])
