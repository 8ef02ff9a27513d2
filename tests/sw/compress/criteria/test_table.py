"""The table of criteria and patterns against what the criteria really do."""

import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.criteria.activation import Activation
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.least_squares import LeastSquares
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.criteria.regression import Regression
from sw.compress.criteria.scaling_factor import ScalingFactor
from sw.compress.criteria.second_order import SecondOrder
from sw.compress.criteria.table import EXAMPLES, TABLE, check, goes_with, markdown
from sw.compress.layers import weights
from sw.compress.patterns import parse
from sw.compress.patterns.parse import FORMS
from tests.sw.compress.networks import tensor
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

CRITERIA = [
    Magnitude(),
    SecondOrder(),
    Regression(),
    LeastSquares(),
    ScalingFactor(),
    Activation(),
]


def test_table_has_every_criterion_and_a_pattern_of_every_kind():
    assert [one.name for one in CRITERIA] == list(TABLE)
    assert len({type(parse(one)) for one in EXAMPLES}) == len(EXAMPLES) == len(FORMS)


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda one: one.name)
@pytest.mark.parametrize("text", EXAMPLES)
def test_what_is_in_the_table_works(rng, criterion, text):
    """A layer that all criteria can judge; those that are not in the table are refused."""
    pattern = parse(text)
    if not goes_with(pattern, criterion):
        with pytest.raises(UserError, match=f"layer 0: the criterion {criterion.name} does not go"):
            check(pattern, criterion, layer="0")
        return
    check(pattern, criterion)
    model = nn.Sequential(nn.Linear(24, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
    model[1].weight.data = tensor(rng, 32)
    inputs, labels = tensor(rng, 20, 24), torch.from_numpy(rng.integers(4, size=20))
    both = criterion.name == "least-squares"
    given = Context(model, weights(model, None if both else ["0"]), [(inputs, labels)])
    fixed = pattern.fixed_density
    density = 0.25 if fixed is None else fixed
    kinds = dict.fromkeys(given.weights, pattern)
    mask, weight = criterion.solve(given, kinds, {"0": density, "3": 1.0})["0"]
    assert mask.shape == weight.shape == (32, 24)
    assert torch.equal(weight != 0, mask)
    # Blocks are few, and a tile-vector's tile may lose an input where N:M leaves none of it.
    assert float(mask.double().mean()) == pytest.approx(density, abs=0.09)


def test_sentences_say_why():
    with pytest.raises(UserError, match="activation does not go .* 2:4: it says which outputs are"):
        check("2:4", Activation())
    with pytest.raises(UserError, match="regression does not go .* row: .* least-squares can"):
        check("row", "regression")
    check("2:4", "magnitude:l1")
    assert all(rule.refusal for rule in TABLE.values() if not (rule.parts and rule.whole_outputs))


def test_a_criterion_of_ones_own_goes_with_every_pattern():
    class Own(Criterion):
        name = "own"

        def scores(self, context, patterns):
            return {}

    check("row", Own())


def test_docs_show_the_table():
    assert markdown() in (ROOT / "docs" / "compress" / "criteria.md").read_text()
