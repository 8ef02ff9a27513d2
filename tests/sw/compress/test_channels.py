import copy

import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.channels import coupled, removable, shrink, silence, silence_targets
from sw.compress.layers import weights
from tests.sw.compress.flow_networks import (
    NETWORKS,
    Dense,
    LeNet5,
    Mlp,
    Mobile,
    Random,
    ResNet,
    assert_same,
    fill,
    outputs,
    sample,
    zero_outputs,
)
from tests.sw.compress.networks import tensor

pytestmark = pytest.mark.unit


def size(model):
    return sum(numbers.numel() for numbers in model.parameters())


def widths(model):
    return {name: len(weight) for name, weight in weights(model).items()}


def pruned_together(model, rng, share=0.4):
    """Masks of whole outputs, the same for layers that are tied one to one."""
    masks = {name: torch.ones_like(weight).bool() for name, weight in weights(model).items()}
    x = sample(model, rng)
    free, sets = removable(model, x), coupled(model, x)
    for one in [*sets, *({name} for name in masks if not any(name in s for s in sets))]:
        lost = torch.from_numpy(rng.random(len(next(iter(masks[n] for n in one)))) < share)
        for name in one:
            masks[name][lost & free[name]] = False
    return masks


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("given", [True, False])
def test_a_shrunk_network_computes_the_same(rng, network, given):
    smaller = 0
    for _ in range(4):
        model = fill(network(), rng)
        zero_outputs(model, rng)
        x = sample(model, rng)
        result = shrink(model, x) if given else shrink(model)
        assert_same(model, result, x)
        smaller += size(result) < size(model)
    assert smaller


def test_random_networks_shrink(rng):
    smaller = 0
    for _ in range(15):
        model = fill(Random(rng), rng)
        x = sample(model, rng)
        masks = pruned_together(model, rng)
        for name, weight in weights(model).items():
            weight.data.mul_(masks[name])
        if rng.integers(2):
            silence(model, masks, x)
        result = shrink(model, x)
        assert_same(model, result, x, least=0)
        smaller += size(result) < size(model)
    assert smaller > 10


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_silenced_goes_completely(rng, network):
    """No padding and no shift keeps a channel that is exactly zero."""
    model = fill(network(), rng)
    masks = pruned_together(model, rng)
    with torch.no_grad():
        for name, weight in weights(model).items():
            weight.mul_(masks[name])
    silence(model, masks)
    result = shrink(model, sample(model, rng))
    assert_same(model, result, sample(model, rng))
    if network in (ResNet, LeNet5, Mlp):  # each output by itself: no groups, nothing partly tied
        expected = {name: max(1, int(m.flatten(1).any(1).sum())) for name, m in masks.items()}
        assert widths(result) == expected


def test_silence_is_of_pruned_channels_alone(rng):
    model = fill(ResNet(), rng)
    before = copy.deepcopy(model)
    masks = {"4.conv1": torch.ones(8, 8, 3, 3).bool(), "4.conv2": torch.ones(8, 8, 3, 3).bool()}
    masks["4.conv1"][[1, 5]] = False
    masks["4.conv2"][2] = False
    silence(model, masks)
    for name, numbers in before.named_parameters():
        expected = numbers.clone()
        if name in ("4.bn1.weight", "4.bn1.bias"):
            expected[[1, 5]] = 0
        if name in ("4.bn2.weight", "4.bn2.bias"):
            expected[2] = 0
        assert torch.equal(model.get_parameter(name), expected), name
    assert silence_targets(model, {"0": torch.ones(8, 3, 3, 3).bool()}) == []


def test_constants_move_into_biases(rng):
    """By hand: relu(bias) times the column joins the next bias, and a bias is made if needed."""
    model = fill(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False)), rng)
    with torch.no_grad():
        model[0].weight[1] = 0
        model[0].bias[1] = 2.0
    result = shrink(model)
    assert torch.equal(result[0].weight, model[0].weight[[0, 2]])
    assert torch.allclose(result[2].bias, 2.0 * model[2].weight[:, 1])
    assert (result[0].out_features, result[2].in_features) == (2, 2)
    assert result[2].weight.requires_grad
    assert result[2].bias.dtype == torch.float32

    model[0].bias.data[1] = -2.0
    assert shrink(model)[2].bias is None


@pytest.mark.parametrize(
    ("padding", "mode", "left"),
    [
        (0, "zeros", 3),
        (1, "zeros", 4),
        (1, "circular", 3),
        ("same", "zeros", 4),
        ("valid", "zeros", 3),
    ],
)
def test_zeros_at_the_border_keep_a_constant_channel(rng, padding, mode, left):
    second = nn.Conv2d(4, 2, 3, padding=padding, padding_mode=mode)
    model = fill(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), second), rng)
    model[0].weight.data[2] = 0
    result = shrink(model)
    assert result[0].out_channels == left
    assert_same(model, result, tensor(rng, 2, 1, 9, 9))
    model[0].bias.data[2] = 0
    assert shrink(model)[0].out_channels == 3


def test_channels_that_nobody_reads_go(rng):
    """Also if their own weights are not zero, and layer after layer."""
    model = fill(Mlp(), rng)
    with torch.no_grad():
        model[6].weight[:, [3, 4, 5]] = 0
        model[4].weight[[0, 1, 2]][:, :3] = 0
        model[8].weight[:, 2:] = 0
    result = shrink(model)
    assert widths(result)["6"] == 2
    assert widths(result)["4"] == 13
    assert_same(model, result, sample(model, rng))


def test_a_factor_of_zero_removes_a_channel(rng):
    """Scaling factors that training drove to zero are enough."""
    model = fill(ResNet(), rng)
    with torch.no_grad():
        model.get_parameter("4.bn1.weight")[[0, 3]] = 0
        model.get_parameter("4.bn1.bias")[[0, 3]] = -1
    result = shrink(model)
    norm = result.get_submodule("4.bn1")
    assert norm.num_features == len(norm.running_mean) == 6
    assert_same(model, result, sample(model, rng))


def test_residuals_lose_what_all_lose(rng):
    model = fill(ResNet(), rng)
    assert coupled(model) == [{"0", "4.conv2"}, {"5.conv2", "5.project.0", "6.conv2"}]
    masks = {n: torch.ones_like(w).bool() for n, w in weights(model).items()}
    for name, lost in (("0", [0, 1, 2]), ("4.conv2", [1, 2, 3])):
        masks[name][lost] = False
        model.get_submodule(name).weight.data[lost] = 0
    silence(model, masks)
    result = shrink(model)
    assert widths(result)["0"] == widths(result)["4.conv2"] == 6
    assert_same(model, result, sample(model, rng))


def test_depthwise_and_grouped(rng):
    model = fill(Mobile(), rng)
    assert {"stem", "depthwise"} in coupled(model)
    with torch.no_grad():
        model.depthwise.weight[[1, 2]] = 0
        model.grouped.weight[6:12] = 0  # all outputs of the second group
        model.grouped.weight[0] = 0  # one of the first: stays
        assert shrink(model).grouped.groups == 4  # as long as the gate reads its inputs
        model.reduce.weight[:, 3:6] = 0
    result = shrink(model)
    assert (result.stem.out_channels, result.bn.num_features) == (6, 6)
    assert (result.depthwise.groups, result.depthwise.in_channels) == (6, 6)
    assert (result.grouped.groups, result.grouped.in_channels, result.head.in_channels) == (
        3,
        9,
        18,
    )
    assert result.expand.out_features == 9
    assert_same(model, result, sample(model, rng))


def test_a_layer_keeps_an_output(rng):
    model = fill(Mlp(), rng)
    for name in ("0", "4", "6"):
        model.get_submodule(name).weight.data.zero_()
    result = shrink(model)
    assert widths(result) == {"0": 1, "4": 1, "6": 1, "8": 3}
    x = sample(model, rng)
    torch.testing.assert_close(result(x), model(x))


def test_outputs_of_the_network_stay(rng):
    model = fill(Dense(), rng)
    for head in model.heads:
        head.weight.data.zero_()
    result = shrink(model)
    assert [part.shape for part in outputs(result, sample(model, rng))] == [(2, 7), (2, 2), (2, 3)]
    free = removable(model)
    assert {name for name, rows in free.items() if not rows.any()} == {"fc", "heads.0", "heads.1"}


def test_the_given_network_is_not_touched(rng):
    model = fill(ResNet(), rng).train()
    model[4].eval()
    zero_outputs(model, rng)
    before = copy.deepcopy(model)
    result = shrink(model)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), before.state_dict().values(), strict=True)
    )
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert size(result) < size(model)
    assert result.training
    assert shrink(model, inplace=True) is model
    assert size(model) == size(result)


class Counted(nn.Module):
    """A forward that says how many features there are."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(16, 3)

    def forward(self, x):
        return self.fc(self.conv(x).view(-1, 16))


def test_a_stated_number_of_features_is_refused_only_if_it_matters(rng):
    model = fill(Counted(), rng)
    x = tensor(rng, 2, 1, 4, 4)
    assert_same(model, shrink(model, x), x)
    model.conv.weight.data[2] = 0
    with pytest.raises(UserError, match="layer conv: nobody needs output 2, but node view states"):
        shrink(model, x)
    assert shrink(model, x, keep_unknown=True).conv.out_channels == 4
    assert not removable(model, x)["conv"].any()


def test_mistakes_are_told(rng):
    model = fill(LeNet5(), rng)
    with pytest.raises(UserError, match=r"layer conv1: the mask's shape is \(2, 2\), the weight's"):
        silence(model, {"conv1": torch.ones(2, 2).bool()})
    with pytest.raises(UserError, match="no layer 'nowhere' with a weight"):
        silence(model, {"nowhere": torch.ones(2, 2).bool()})
