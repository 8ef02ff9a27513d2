"""Whole outputs by least squares of the layers behind, against brute force."""

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.criteria.base import Context
from sw.compress.criteria.capture import Stage
from sw.compress.criteria.least_squares import LeastSquares
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.criteria.readers import Reader, removal_costs
from sw.compress.criteria.reconstruct import moments_of
from sw.compress.layers import weights
from sw.compress.patterns import parse
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit


def context(model: nn.Module, *inputs: Tensor, layers: list[str] | None = None) -> Context:
    return Context(model, weights(model, layers), [(one, one) for one in inputs])


def solve(criterion, given: Context, density: dict) -> nn.Module:
    """The network after pruning."""
    patterns = {name: parse("row") for name in given.weights}
    model = copy.deepcopy(given.model)
    for name, (mask, weight) in criterion.solve(given, patterns, density).items():
        assert not weight[~mask].any()
        model.get_submodule(name).weight.data = weight
    return model


def convolutional(rng: np.random.Generator) -> nn.Sequential:
    """Two convolutions and a Linear, of random weights."""
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 5, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(5 * 9, 3),
    ).eval()
    for weight in weights(model).values():
        weight.data = tensor(rng, *weight.shape) / weight[0].numel() ** 0.5
    return model


def test_removal_costs_are_those_of_least_squares(rng):
    """Hidden units of a small network, each removed and the layer behind solved anew."""
    model, inputs = two_layers(rng), tensor(rng, 100, 20)
    model[0].weight.data = model[0].weight.data[:7]
    model[0].bias.data = model[0].bias.data[:7]
    model[2].weight.data = model[2].weight.data[:, :7]
    model[0].out_features = model[2].in_features = 7
    hidden = model[:2](inputs).detach().double().numpy()
    wanted = hidden @ model[2].weight.detach().double().numpy().T

    def error(kept: list[int]) -> float:
        found = np.linalg.lstsq(hidden[:, kept], wanted)[0]
        return float(np.square(hidden[:, kept] @ found - wanted).sum())

    given = context(model, inputs)
    found = LeastSquares(damping=1e-12).solve(
        given, dict.fromkeys(given.weights, parse("row")), {"0": 4 / 7, "2": 1.0}
    )
    costs = removal_costs(
        [Reader(Stage(["2"], 1), torch.arange(7))],
        [moments_of(given.weights["2"], torch.from_numpy(hidden.T @ hidden), 1e-12)],
        7,
    )
    stays = found["0"][0].any(1).nonzero().flatten().tolist()
    left = list(range(7))
    for _ in range(3):
        worst = min(left, key=lambda one: error([other for other in left if other != one]))
        left.remove(worst)
        assert float(costs[worst]) == pytest.approx(error(left), rel=1e-5)
    assert stays == left
    assert error(stays) <= sorted(map(error, map(list, combinations(range(7), 4))))[5]
    expected = np.zeros((5, 7))
    expected[:, stays] = np.linalg.lstsq(hidden[:, stays], wanted)[0].T
    np.testing.assert_allclose(found["2"][1].numpy(), expected, atol=1e-4)
    assert found["2"][0].all()


def test_network_of_convolutions_keeps_more_than_by_magnitude(rng):
    model, inputs = convolutional(rng), tensor(rng, 40, 2, 8, 8)
    density = {"0": 0.5, "3": 0.6, "7": 1.0}
    before = copy.deepcopy(model.state_dict())
    given = context(model, inputs[:20], inputs[20:])
    found, other = solve(LeastSquares(), given, density), solve(Magnitude(), given, density)
    error, others = ((one(inputs) - model(inputs)).square().sum() for one in (found, other))
    assert error < 0.5 * others
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())
    # What does not come any more is not read any more: 3 of 6 channels, 3 of 5 of 9 pixels each.
    for reader, writer, places in ((3, 0, 1), (7, 3, 9)):
        gone = ~found[writer].weight.flatten(1).any(1)
        unread = ~found[reader].weight.flatten(2).any(0).any(-1) if reader == 3 else None
        if unread is None:
            unread = ~found[reader].weight.any(0)
        assert torch.equal(unread, gone.repeat_interleave(places))
    assert int((~found[0].weight.flatten(1).any(1)).sum()) == 3


def test_the_last_layer_is_fitted_to_what_the_pruned_ones_give(rng):
    model, inputs = convolutional(rng), tensor(rng, 90, 2, 8, 8)
    density = {"0": 0.5, "3": 0.6, "7": 1.0}
    found = solve(LeastSquares(damping=1e-12), context(model, inputs), density)
    with torch.no_grad():
        given = found[:7](inputs).double().numpy()
        wanted = (model(inputs) - model[7].bias).double().numpy()
    read = found[7].weight.detach().double().numpy()
    columns = np.abs(read).any(0)
    expected = np.linalg.lstsq(given[:, columns], wanted)[0].T
    np.testing.assert_allclose(read[:, columns], expected, atol=1e-3)


class Joined(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.last = nn.Linear(4, 6), nn.Linear(4, 3), nn.Linear(9, 2)

    def forward(self, values: Tensor) -> Tensor:
        return self.last(torch.cat([self.one(values).relu(), self.two(values).relu()], 1))


def test_what_one_of_two_layers_gives_no_more_is_not_read_again(rng):
    density = {"one": 0.5, "two": 1 / 3, "last": 1.0}
    found = solve(LeastSquares(), context(Joined(), tensor(rng, 50, 4)), density)
    left = weights(found)
    gone = [~left[name].any(1) for name in ("one", "two")]
    assert [int(one.sum()) for one in gone] == [3, 2]
    assert torch.equal(~left["last"].any(0), torch.cat(gone))


def test_one_density_for_all_layers_that_can_lose_outputs(rng):
    model, inputs = convolutional(rng), tensor(rng, 20, 2, 8, 8)
    given = context(model, inputs)
    scores = LeastSquares()
    with pytest.raises(UserError, match="layer 7: its outputs cannot go, as one is an output"):
        scores.scores(given, {})


def test_refuses_what_has_no_layer_behind_to_refit(rng):
    model, inputs = convolutional(rng), tensor(rng, 20, 2, 8, 8)
    with pytest.raises(UserError, match="layer 3: .* so name 7 as well, if only with a density"):
        solve(LeastSquares(), context(model, inputs, layers=["0", "3"]), {"0": 0.5, "3": 0.5})
    with pytest.raises(UserError, match="criterion least-squares runs the network on data"):
        solve(LeastSquares(), Context(model, weights(model)), {})
    with pytest.raises(UserError, match="a damping of inf was given"):
        LeastSquares(damping=float("inf"))


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.last = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, values: Tensor) -> Tensor:
        return self.last(self.one(values) + self.two(values))


def test_refuses_outputs_that_are_added_up(rng):
    with pytest.raises(UserError, match="layer one: its outputs go together with those of two"):
        solve(
            LeastSquares(), context(Added(), tensor(rng, 9, 4)), {"one": 0.5, "two": 0.5, "last": 1}
        )
