"""Regression on layers and networks, against magnitude and against the layers' own outputs."""

import copy

import pytest
import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.criteria.base import Context
from sw.compress.criteria.capture import grams, inputs_of, samples, stages
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.criteria.matrix import Matrix, solve_matrix
from sw.compress.criteria.regression import Regression, same
from sw.compress.data import digits
from sw.compress.layers import weights
from sw.compress.models import lenet_300_100
from sw.compress.patterns import parse
from sw.compress.train import Training, fit
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit

PATTERNS = [
    ("unstructured", 0.3),
    ("2:4", None),
    ("1:4", None),
    ("3:7", None),
    ("8:16", None),
    ("balanced:3", 0.4),
    ("tile:8", 0.5),
    ("tile-vector:8:2:4", 0.25),
    ("block:3x5", 0.4),
]

CONVOLUTIONS = [
    nn.Conv1d(6, 8, 3, padding=1),
    nn.Conv1d(6, 9, 2, groups=3, stride=2),
    nn.Conv2d(4, 6, 3, padding="same", dilation=2),
    nn.Conv2d(4, 8, (3, 2), stride=(2, 1), padding=(1, 0), padding_mode="circular"),
    nn.Conv2d(4, 8, 3, groups=4),
    nn.Conv3d(2, 4, (2, 1, 3), padding=1),
]


@torch.no_grad()
def layer_error(layer: nn.Module, weight: Tensor, inputs: Tensor) -> float:
    """How far a layer's outputs on these inputs are from what they were, by running it."""
    other = copy.deepcopy(layer).double()
    wanted = other(inputs.double())
    other.weight.data = weight.double()
    return float((wanted - other(inputs.double())).square().sum())


def context(model: nn.Module, *inputs: Tensor) -> Context:
    return Context(model, weights(model), [(one, one) for one in inputs])


def solve(criterion, given: Context, pattern: str, density) -> dict:
    patterns = {name: parse(pattern) for name in given.weights}
    share = None if density is None else dict.fromkeys(patterns, density)
    return criterion.solve(given, patterns, share)


@pytest.mark.parametrize(("pattern", "density"), PATTERNS)
@pytest.mark.parametrize("dependent", [False, True])
def test_is_never_worse_than_magnitude(rng, pattern, density, dependent):
    layer = nn.Linear(30, 24)
    layer.weight.data = tensor(rng, 24, 30)
    inputs = tensor(rng, 90, 30) @ (tensor(rng, 30, 30) if dependent else torch.eye(30))
    given = context(nn.Sequential(layer), inputs)
    mask, weight = solve(Regression(), given, pattern, density)["0"]
    other_mask, other = solve(Magnitude(), given, pattern, density)["0"]
    assert not weight[~mask].any()
    # A tile-vector's tile may keep an input less, where N:M leaves none of it.
    if "vector" not in pattern:
        assert mask.sum() == other_mask.sum()
    error, others = layer_error(layer, weight, inputs), layer_error(layer, other, inputs)
    assert error <= others * (1 + 1e-6)
    if dependent:
        assert error < 0.7 * others
    again = parse(pattern).mask(weight.abs() + mask, density)
    assert torch.equal(again, mask)


@pytest.mark.parametrize(("pattern", "density"), [("2:4", None), ("unstructured", 0.1)])
def test_layers_of_a_trained_network_are_never_worse(pattern, density):
    data = digits()
    torch.manual_seed(1)
    model = lenet_300_100()
    fit(model, data.train_images, data.train_labels, Training(150), seed=1)
    pictures = data.train_images[::10]
    given = context(model, pictures)
    found = solve(Regression(), given, pattern, density)
    plain = solve(Magnitude(), given, pattern, density)
    seen = pictures
    for name, layer in model.named_children():
        if name in found:
            error = layer_error(layer, found[name][1], seen)
            others = layer_error(layer, plain[name][1], seen)
            assert error < 0.7 * others, name
        seen = layer(seen).detach()
    assert list(found) == ["fc1", "fc2", "fc3"]


def test_what_a_search_makes_worse_is_not_taken(rng, monkeypatch):
    given = context(nn.Sequential(nn.Linear(12, 8)), tensor(rng, 40, 12))
    monkeypatch.setattr(Matrix, "refit", lambda matrix, mask, start=None: 9 * mask.double())
    for pattern, density in (("2:4", None), ("unstructured", 0.4)):
        found = solve(Regression(), given, pattern, density)["0"]
        plain = solve(Magnitude(), given, pattern, density)["0"]
        assert all(torch.equal(*pair) for pair in zip(found, plain, strict=True))


def test_exchanges_find_more_than_any_start(rng):
    data = (tensor(rng, 200, 30) @ tensor(rng, 30, 30)).double()
    matrix = Matrix(tensor(rng, 24, 30), same((data.T @ data)[None]), 0.01)
    pattern = parse("unstructured")
    masks = [pattern.choose(one, 0.4) for one in (matrix.weight.square(), matrix.saliency())]
    masks.append(matrix.by_columns(masks[1], pattern))
    starts = [matrix.error(matrix.refit(mask)) for mask in masks]
    _, weight = solve_matrix(matrix, pattern, 0.4)
    assert matrix.error(weight) < 0.99 * min(starts)


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(("pattern", "density"), [("2:4", None), ("unstructured", 0.4)])
def test_convolutions_see_their_own_windows(rng, layer, pattern, density):
    layer.weight.data = tensor(rng, *layer.weight.shape)
    axes = len(layer.kernel_size)
    shape = (5, layer.in_channels, *[7] * axes)
    # Neighbours depend on each other, as in pictures: that is what regression lives on.
    inputs = tensor(rng, *shape).cumsum(-1) + tensor(rng, *shape[:1], 1, *shape[2:])
    given = context(nn.Sequential(layer), inputs)
    matrix = layer.weight.detach().movedim(1, -1).flatten(1).chunk(layer.groups)
    seen = samples(layer, inputs)
    outputs = torch.stack([x @ w.T for x, w in zip(seen, matrix, strict=True)]).transpose(0, 1)
    wanted = (layer(inputs) - layer.bias.view(-1, *[1] * axes)).detach()
    expected = wanted.movedim(1, -1).flatten(0, -2)
    assert torch.allclose(outputs.flatten(1), expected, atol=1e-4)
    mask, weight = solve(Regression(), given, pattern, density)["0"]
    _, other = solve(Magnitude(), given, pattern, density)["0"]
    assert torch.equal(parse(pattern).mask(weight.abs() + mask, density), mask)
    error, others = layer_error(layer, weight, inputs), layer_error(layer, other, inputs)
    assert error <= others * (1 + 1e-6)
    if layer.groups == 1:
        assert error < 0.9 * others


def test_layers_may_share_one_density(rng):
    model = two_layers(rng)
    given = context(model, tensor(rng, 50, 20))
    found = Regression().solve(given, dict.fromkeys(given.weights, parse("unstructured")), 0.4)
    kept = {name: int(mask.sum()) for name, (mask, _) in found.items()}
    assert sum(kept.values()) == 300
    assert kept["0"] != 240
    assert all(not weight[~mask].any() for mask, weight in found.values())


def test_scores_say_what_a_removal_costs_the_outputs(rng):
    layer, inputs = nn.Linear(6, 3), tensor(rng, 40, 6)
    layer.weight.data = tensor(rng, 3, 6)
    given = context(nn.Sequential(layer), inputs)
    score = Regression(damping=1e-9).scores(given, {"0": parse("unstructured")})["0"][1, 4]
    others = [0, 1, 2, 3, 5]
    wanted = inputs.double() @ layer.weight[1].detach().double()
    left = torch.linalg.lstsq(inputs[:, others].double(), wanted[:, None])
    error = inputs[:, others].double() @ left.solution[:, 0] - wanted
    assert float(score) == pytest.approx(float(error.square().sum()), rel=1e-4)


class Branches(nn.Module):
    """Layers that share an input, and one that is called twice."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(12, 3)
        self.left, self.right = nn.Linear(8, 12), nn.Linear(8, 12)
        self.twice = nn.Linear(12, 12)

    def forward(self, values: Tensor, factor: Tensor) -> Tensor:
        both = self.left(values).relu() + self.right(values) * factor
        return self.last(self.twice(self.twice(both).relu()))


def test_one_layer_after_the_other_makes_up_for_those_before(rng):
    model = Branches()
    for weight in weights(model).values():
        weight.data = tensor(rng, *weight.shape) / weight.shape[1] ** 0.5
    inputs = [(tensor(rng, 60, 8) @ tensor(rng, 8, 8), torch.tensor(0.5)) for _ in range(3)]
    given = Context(model, weights(model), [(one, torch.zeros(())) for one in inputs])
    order = stages(model, given.weights, inputs[0], "regression")
    found = [(stage.layers, stage.calls) for stage in order]
    assert found == [(["left", "right"], 1), (["twice"], 2), (["last"], 1)]

    both = inputs_of(model, order[1], inputs[0])
    assert torch.allclose(both[1], model.twice(both[0]).relu())

    @torch.no_grad()
    def end_error(found: dict) -> float:
        other = copy.deepcopy(model)
        for name, (_, weight) in found.items():
            other.get_submodule(name).weight.data = weight
        return sum(float((other(*one) - model(*one)).square().sum()) for one in inputs)

    model.train()
    before = copy.deepcopy(model.state_dict())
    found = solve(Regression(sequential=True), given, "2:4", None)
    assert list(found) == list(given.weights)
    apart = end_error(solve(Regression(), given, "2:4", None))
    assert end_error(found) < apart < end_error(solve(Magnitude(), given, "2:4", None))
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_moments_of_all_batches_add_up(rng):
    model, one, two = two_layers(rng), tensor(rng, 30, 20), tensor(rng, 7, 20)
    found = grams(model, ["2", "0"], [(one, one), (two, two)], "regression")
    data = torch.cat([one, two]).double()
    assert torch.allclose(found["0"][0], data.T @ data, rtol=1e-4, atol=1e-3)
    hidden = model[1](model[0](data.float())).detach().double()
    assert torch.allclose(found["2"][0], hidden.T @ hidden, rtol=1e-4, atol=1e-2)


def test_refuses_what_it_cannot_do(rng):
    model = two_layers(rng)
    given = context(model, tensor(rng, 9, 20))
    with pytest.raises(UserError, match="criterion regression runs the network on data"):
        solve(Regression(), Context(model, given.weights), "2:4", None)
    with pytest.raises(UserError, match="a damping of 0 was given, it must be above 0"):
        Regression(damping=0)
    with pytest.raises(UserError, match="layer 0: its inputs are NaN or infinite"):
        solve(Regression(), context(model, tensor(rng, 9, 20) * torch.nan), "2:4", None)
    idle = nn.Sequential(nn.Linear(20, 4))
    idle[0].spare = nn.Linear(4, 4)
    for sequential in (False, True):
        with pytest.raises(UserError, match=r"layer 0.spare: .* data do not reach it"):
            solve(Regression(sequential=sequential), context(idle, tensor(rng, 9, 20)), "2:4", None)
    recurrent = nn.Sequential(nn.LSTM(4, 5))
    with pytest.raises(UserError, match=r"convolutions, layer 0.weight_ih_l0 is none"):
        solve(Regression(), context(recurrent, tensor(rng, 9, 4)), "2:4", None)
