"""Criteria that judge whole outputs: BatchNorm's factors, and zeros behind a ReLU."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spec.errors import UserError
from sw.compress.criteria.activation import Activation
from sw.compress.criteria.base import Context
from sw.compress.criteria.scaling_factor import ScalingFactor, scaling_penalty
from sw.compress.layers import weights
from sw.compress.patterns import parse
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit


class Crossed(nn.Module):
    """What follows what is not the order in which modules are made."""

    def __init__(self):
        super().__init__()
        self.norm_b, self.norm_a = nn.BatchNorm2d(4), nn.BatchNorm2d(6)
        self.conv_a, self.conv_b = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 4, 3, groups=2)
        self.drop, self.last = nn.Dropout(0.9), nn.Linear(4, 3)

    def forward(self, values: Tensor) -> Tensor:
        hidden = self.norm_a(self.drop(self.conv_a(values))).relu()
        hidden = F.relu(self.norm_b(self.conv_b(hidden)))
        return self.last(hidden.mean((2, 3)))


def crossed(rng) -> Crossed:
    model = Crossed()
    for norm in (model.norm_a, model.norm_b):
        norm.weight.data = tensor(rng, *norm.weight.shape)
        norm.bias.data = tensor(rng, *norm.bias.shape)
    return model


def test_each_output_has_the_factor_that_multiplies_it(rng):
    model = crossed(rng)
    given = Context(model, weights(model, ["conv_a", "conv_b"]))
    found = ScalingFactor().scores(given, {})
    for name, norm in (("conv_a", model.norm_a), ("conv_b", model.norm_b)):
        assert found[name].shape == given.weights[name].shape
        for output, gamma in enumerate(norm.weight.tolist()):
            assert (found[name][output] == abs(gamma)).all()
    kept = parse("channel").mask(found["conv_a"], 0.5).flatten(1)
    best = model.norm_a.weight.abs().topk(3).indices
    assert kept.all(1).nonzero().flatten().tolist() == sorted(best.tolist())
    assert kept.sum() == 3 * kept.shape[1]


def test_penalty_is_the_sum_of_all_factors_and_trains_them(rng):
    model = crossed(rng)
    penalty = scaling_penalty(model)
    factors = torch.cat([model.norm_a.weight, model.norm_b.weight])
    assert penalty.item() == pytest.approx(sum(abs(one) for one in factors.tolist()), rel=1e-5)
    penalty.backward()
    assert torch.equal(model.norm_a.weight.grad, model.norm_a.weight.sign())
    assert model.conv_a.weight.grad is None


def test_nonzero_shares_are_counted_behind_the_relu(rng):
    model = crossed(rng)
    batches = [(tensor(rng, count, 2, 8, 8), torch.zeros(count)) for count in (5, 3)]
    given = Context(model, weights(model, ["conv_b", "conv_a"]), batches)
    before = copy.deepcopy(model.state_dict())
    found = Activation().scores(given, {})
    with torch.no_grad():
        quiet = copy.deepcopy(model).eval()
        data = torch.cat([inputs for inputs, _ in batches])
        first = quiet.norm_a(quiet.conv_a(data)).clamp(min=0)
        second = quiet.norm_b(quiet.conv_b(first)).clamp(min=0)
    for name, values in (("conv_a", first), ("conv_b", second)):
        for output in range(values.shape[1]):
            one = values[:, output]
            zeros = int((one == 0).sum()) / one.numel()
            assert torch.allclose(found[name][output], torch.tensor(1 - zeros))
    assert model.training
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


def test_linear_layers_have_their_outputs_last(rng):
    model, data = two_layers(rng), tensor(rng, 6, 7, 20)
    given = Context(model, weights(model, ["0"]), [(data, data)])
    found = Activation().scores(given, {})["0"]
    shares = (model[0](data) > 0).float().mean((0, 1))
    assert torch.allclose(found, shares[:, None].expand(30, 20))


class Several(nn.Module):
    """Layers whose outputs go to more than a BatchNorm or a ReLU, or come in two calls."""

    def __init__(self):
        super().__init__()
        self.split, self.twice = nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm, self.other = nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False)
        self.plain = nn.Linear(4, 4)

    def forward(self, values: Tensor) -> Tensor:
        split = self.split(values)
        first = self.norm(split).relu() + split
        return self.other(self.plain(self.norm(self.twice(self.twice(first))).relu()))


@pytest.mark.parametrize("name", ["split", "twice", "plain"])
def test_refuses_layers_with_nothing_to_judge_by(rng, name):
    model = Several()
    data = tensor(rng, 9, 4)
    given = Context(model, weights(model, [name]), [(data, data)])
    with pytest.raises(UserError, match=f"layer {name}: no BatchNorm with a scaling factor"):
        ScalingFactor().scores(given, {})
    with pytest.raises(UserError, match=f"layer {name}: no ReLU follows it"):
        Activation().scores(given, {})


class Fork(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values if values.sum() > 0 else -values


def test_refuses_networks_without_data_norms_or_a_graph(rng):
    model = two_layers(rng)
    with pytest.raises(UserError, match="criterion activation runs the network on data"):
        Activation().scores(Context(model, weights(model)), {})
    with pytest.raises(UserError, match="the network has no BatchNorm"):
        scaling_penalty(model)
    model.append(Fork())
    for criterion in (ScalingFactor(), Activation()):
        data = tensor(rng, 9, 20)
        with pytest.raises(UserError, match="the network cannot be traced: symbolically traced"):
            criterion.scores(Context(model, weights(model), [(data, data)]), {})
