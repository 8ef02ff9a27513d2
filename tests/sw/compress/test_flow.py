import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from spec.errors import UserError
from sw.compress.channels import shrink
from sw.compress.flow import follow
from tests.sw.compress.flow_networks import (
    NETWORKS,
    Block,
    Flat,
    assert_same,
    fill,
    outputs,
    sample,
)
from tests.sw.compress.networks import tensor

pytestmark = pytest.mark.unit


class Call(nn.Module):
    """Two convolutions with something between them."""

    def __init__(self, between, layer=None):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3)
        self.layer = layer
        self.between = between

    def forward(self, x):
        return self.second(self.between(self, self.first(x)))


def tied(flow):
    """Outputs and inputs of layers that stand for the same channels, as numbers."""
    return {
        n: (flow.roots(p.writes).tolist(), flow.roots(p.reads).tolist())
        for n, p in flow.places.items()
    }


def test_ties():
    flow = follow(Block(4, 8))
    found = tied(flow)
    assert found["conv2"][0] == found["project.0"][0] == found["bn2"][0]
    assert found["conv2"][1] == found["conv1"][0] == found["bn1"][1]
    assert not set(found["conv1"][0]) & set(found["conv2"][0])
    fixed = flow.fixed_roots(removal=False)
    assert fixed == {*found["conv2"][0], *found["conv1"][1], *found["project.0"][1]}


def test_flatten_makes_blocks():
    found = tied(follow(Flat()))
    assert found["5"][1] == [root for root in found["0"][0] for _ in range(16)]
    assert found["4"] == (found["5"][1], found["5"][1])


def _noting(seen):
    def hook(_, given):
        seen.append(given[0].detach())

    return hook


def test_constants_of_activations(rng):
    """Independently: run the network on two inputs; what is constant is the same for both."""
    for network in NETWORKS:
        model = fill(network(), rng)
        with torch.no_grad():
            for layer in model.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    layer.weight[: len(layer.weight) // 2] = 0
        known = 0
        places = follow(model).places
        hooks: dict[str, list[torch.Tensor]] = {name: [] for name in places}
        for name, place in places.items():
            place.layer.register_forward_pre_hook(_noting(hooks[name]))
        outputs(model, sample(model, rng))
        outputs(model, sample(model, rng))
        for name, place in places.items():
            norm = isinstance(place.layer, nn.BatchNorm1d | nn.BatchNorm2d)
            convolution = isinstance(place.layer, nn.Conv2d)
            spatial = hooks[name][0].ndim - 2 if norm else 2 * convolution
            for values in hooks[name]:
                rows = values.movedim(values.ndim - 1 - spatial, 0).flatten(1).double()
                constant = ~place.constants.isnan()
                expected = place.constants[constant][:, None].expand_as(rows[constant])
                torch.testing.assert_close(rows[constant], expected, rtol=1e-4, atol=1e-5)
                known += int(constant.sum())
        assert known > 0


@pytest.mark.parametrize(
    "between",
    [
        lambda m, x: F.elu(x + 1),
        lambda m, x: 3 - x * 2,
        lambda m, x: x / 2,
        lambda m, x: x.clamp(-1, 1),
        lambda m, x: torch.add(x, x, alpha=2),
        lambda m, x: x * torch.sigmoid(x),
        lambda m, x: F.max_pool2d(x, 2),
        lambda m, x: F.avg_pool2d(x, 3, 1, 1),
        lambda m, x: F.avg_pool2d(x, 3, stride=1, padding=1),
        lambda m, x: F.adaptive_avg_pool2d(x, 4),
        lambda m, x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2),
        lambda m, x: x.transpose(1, 3).transpose(3, 1),
        lambda m, x: x.flatten(2).unsqueeze(3).view(x.size(0), -1, 9, 4),
        lambda m, x: x.reshape(x.shape[0], x.shape[1], -1, 3),
        lambda m, x: x + x.mean((2, 3), keepdim=True),
        lambda m, x: x * x.amax((2, 3))[:, :, None, None],
        lambda m, x: x.contiguous().clone(),
    ],
)
def test_operations_are_followed(rng, between):
    model = fill(Call(between), rng)
    model.first.weight.data[[1, 3]] = 0
    result = shrink(model, tensor(rng, 2, 1, 8, 8))
    assert_same(model, result, tensor(rng, 2, 1, 8, 8))
    silent = [1, 3]
    model.first.bias.data[silent] = 0
    result = shrink(model, tensor(rng, 2, 1, 8, 8))
    assert_same(model, result, tensor(rng, 2, 1, 8, 8))
    assert result.first.out_channels == 2


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (lambda m, x: torch.sort(x, 1)[0], "node sort: what sort does to channels is not"),
        (lambda m, x: x.flip(1), "node flip: what flip does to channels"),
        (lambda m, x: x[:, [1, 0, 2, 3]], "node getitem: what getitem does"),
        (lambda m, x: torch.cat(x.chunk(2, 1), 1), "node chunk: what chunk does"),
        (lambda m, x: x.mean(1, keepdim=True).expand(-1, 4, -1, -1), "it reduces over channels"),
        (lambda m, x: x.view(x.shape[0], 2, 2, 6, 6).flatten(1, 2), r"shape from \[2, 4, 6, 6\]"),
        (lambda m, x: m.layer(x), "node layer: what instancenorm2d does"),
        (lambda m, x: x + x.transpose(0, 1).reshape(2, 4, 6, 6), "node reshape: what a change"),
        (lambda m, x: x[:, None].squeeze(1), r"change of shape from \[2, 4, 6, 6\]"),
        (lambda m, x: torch.cat([x, x], 2), "concatenates along another dimension"),
        (lambda m, x: (x.mT.flip(3) + x).transpose(1, 2).transpose(1, 2), "node getattr"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_node(rng, between, message):
    model = fill(Call(between, nn.InstanceNorm2d(4)), rng)
    x = tensor(rng, 2, 1, 8, 8)
    with pytest.raises(UserError, match=message):
        shrink(model, x)
    if model.second.in_channels == 4 and "permute" not in message:
        model.first.weight.data[1] = 0
        assert shrink(model, x, keep_unknown=True).first.out_channels == 4


def test_pruned_modules_are_to_be_made_final(rng):
    model = fill(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), rng)
    prune.ln_structured(model[0], "weight", 0.5, 2, 0)
    with pytest.raises(UserError, match="layer 0 computes its weight, make that final first"):
        shrink(model)
    prune.remove(model[0], "weight")
    assert shrink(model)[0].out_features == 3


def test_a_layer_of_tensors_of_the_networks_own_stays(rng):
    """A factor for each channel that is no BatchNorm's, and a sum with the network's input."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.three = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)
            self.scale = nn.Parameter(torch.ones(5))

        def forward(self, x):
            return self.three(self.two(x + self.one(x)) * self.scale)

    model = fill(Own(), rng)
    model.one.weight.data[0] = model.two.weight.data[0] = 0
    result = shrink(model)
    assert [layer.out_features for layer in (result.one, result.two)] == [5, 5]
    assert_same(model, result, tensor(rng, 3, 5))


@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        (Call(lambda m, x: x if x.sum() > 0 else -x), None, "torch.fx cannot follow"),
        (nn.Sequential(nn.Linear(4, 3)), torch.zeros(2, 5), "does not run on the example input"),
        (Call(lambda m, x: x.reshape(-1, 4, 101, 103)), None, "no size of input was found"),
        (nn.Sequential(nn.ReLU()), None, "no size of input was found"),
    ],
)
def test_networks_that_do_not_run_are_told(model, example, message):
    with pytest.raises(UserError, match=message):
        follow(model, example)


def test_several_inputs_and_classes_of_its_own(rng):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.out = nn.Linear(3, 6), nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, left, right):
            return self.out(torch.maximum(self.left(left), self.right(right)))

    model = fill(Two(), rng)
    for layer in (model.left, model.right):
        layer.weight.data[2:4] = 0
    x = (tensor(rng, 5, 3), tensor(rng, 5, 4))
    result = shrink(model, x)
    assert result.right.out_features == 4
    torch.testing.assert_close(result(*x), model(*x))
