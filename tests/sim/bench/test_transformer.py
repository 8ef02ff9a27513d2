"""The transformer in the comparison, on few sentences."""

import numpy as np
import pytest

from sim.bench import transformer
from sim.bench.designs import DESIGNS, NM
from sim.bench.sentences import CALIBRATION, HELD_OUT
from sim.bench.subject import Measured
from sim.bench.transformer import Transformer
from spec.errors import UserError
from sw.compress.layers import density

pytestmark = pytest.mark.flow

FEW = 4


@pytest.fixture(scope="module")
def subject() -> Transformer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "HELD_OUT", HELD_OUT[:FEW])
        return Transformer()


@pytest.fixture(scope="module")
def measured(subject: Transformer) -> dict[str, Measured]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "CALIBRATION", CALIBRATION[:6])
        return {key: subject.measure(DESIGNS[key]) for key in ("dense", "2:4", "tvw-75")}


def test_cycles_and_losses_add_up(subject: Transformer, measured: dict[str, Measured]) -> None:
    assert subject.positions == 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    tokens = subject.about["tokens"]
    for key, one in measured.items():
        figures, asked = one.figures, DESIGNS[key].density
        assert figures["utilization"] + sum(figures["lost"].values()) == pytest.approx(1)
        slots = figures["cycles"] * NM.slots
        assert figures["utilization"] * slots == pytest.approx(subject.positions * asked * tokens)
        assert one.density == pytest.approx(asked, abs=0.001)
    assert measured["dense"].figures["cycles"] > 1.8 * measured["2:4"].figures["cycles"]
    assert measured["2:4"].figures["cycles"] > 1.5 * measured["tvw-75"].figures["cycles"]


def test_outputs_are_those_of_the_pruned_network_but_for_integers(
    subject: Transformer, measured: dict[str, Measured]
) -> None:
    dense = subject.dense()
    assert dense.shape == (FEW, 384)
    assert np.array_equal(measured["dense"].pruned, dense)
    for one in measured.values():
        assert np.linalg.norm(one.outputs, axis=1) == pytest.approx(1)
        assert (one.outputs * one.pruned).sum(1).min() > 0.95
        assert not np.array_equal(one.outputs, one.pruned)
    assert (measured["2:4"].pruned * dense).sum(1).max() < 0.95


def test_partners_are_found(subject: Transformer) -> None:
    assert subject.right(subject.dense()) == 1
    assert subject.right(subject.dense()[[0, 2, 1, 3]]) == 0


def test_the_network_itself_is_not_pruned(
    subject: Transformer, measured: dict[str, Measured]
) -> None:
    assert density(subject.network) > 0.99


def test_eie_refuses_it(subject: Transformer) -> None:
    with pytest.raises(UserError, match="EIE's compiler takes chains of layers"):
        subject.measure(DESIGNS["unstructured-75/256x1"])
