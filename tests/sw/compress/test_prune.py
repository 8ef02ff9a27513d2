import copy

import numpy as np
import pytest
import torch
from torch.nn.utils import prune as torch_prune

from spec.errors import UserError
from sw.compress.lifecycle import prepare
from sw.compress.prune import Masks, kept_count, largest, magnitude
from tests.sw.compress.networks import classes, tensor, two_layers

pytestmark = pytest.mark.unit

AMOUNTS = [0.0, 0.1, 0.37, 0.5, 0.92, 0.999, 1.0]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_equals_torch_layer_by_layer(rng, amount):
    model = two_layers(rng)
    masks = magnitude(model, 1 - amount)
    for name in ("0", "2"):
        layer = copy.deepcopy(model.get_submodule(name))
        torch_prune.l1_unstructured(layer, "weight", amount)
        assert torch.equal(masks[name], layer.weight_mask.bool())


def test_layers_may_have_densities_of_their_own(rng):
    masks = magnitude(two_layers(rng), {"2": 0.1, "0": 0.5})
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"0": 300, "2": 15}
    assert (masks.kept, masks.total, masks.density) == (315, 750, 0.42)
    assert list(magnitude(two_layers(rng), {"2": 0.1})) == ["2"]


def test_pruning_makes_no_change_to_the_network(rng):
    model = two_layers(rng)
    before = copy.deepcopy(model.state_dict())
    magnitude(model, 0.1)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_exactly_the_count_is_kept_among_ties_and_the_first_of_them(rng):
    scores = torch.from_numpy(rng.integers(0, 4, (13, 17)).astype(np.float32))
    order = np.argsort(-scores.numpy().ravel(), kind="stable")
    for count in range(scores.numel() + 1):
        expected = np.zeros(scores.numel(), bool)
        expected[order[:count]] = True
        assert np.array_equal(largest(scores, count).numpy().ravel(), expected)


def test_ties_between_layers_keep_the_earlier_one(rng):
    model = two_layers(rng)
    for layer in (model[0], model[2]):
        layer.weight.data.fill_(-0.5)
    masks = prepare(model, density=0.9, scope="global").masks
    assert masks["0"].all()
    assert masks["2"].flatten().tolist() == [True] * 75 + [False] * 75


def test_applied_masks_leave_no_negative_zero(rng):
    model = two_layers(rng)
    masks = magnitude(model, 0.3)
    masks.apply(model)
    for name in masks:
        weight = model.get_submodule(name).weight.detach()
        assert torch.equal(weight != 0, masks[name])
        assert not torch.signbit(weight[~masks[name]]).any()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_masks_hold_after_each_step_and_no_longer_than_asked(rng, kind):
    model = two_layers(rng)
    masks = magnitude(model, 0.3)
    inputs, labels = classes(rng)
    optimizer = kind(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()

    with masks.keep(model, optimizer):
        for _ in range(3):
            assert not any(model.get_submodule(n).weight[~m].any() for n, m in masks.items())
            step()
    assert not any(model.get_submodule(n).weight[~m].any() for n, m in masks.items())
    step()
    assert model[0].weight[~masks["0"]].any()


@pytest.mark.parametrize("density", [-0.1, 1.01, float("nan")])
def test_refuses_a_density_outside_0_to_1(rng, density):
    model = two_layers(rng)
    with pytest.raises(UserError, match=f"0: a density of {density} was given, allowed is 0...1"):
        magnitude(model, density)
    with pytest.raises(UserError, match="2: a density of"):
        magnitude(model, {"0": 0.5, "2": density})


def test_refuses_layers_and_weights_by_name(rng):
    model = two_layers(rng)
    with pytest.raises(UserError, match="no layer 'fc9'"):
        magnitude(model, {"fc9": 0.5})
    with pytest.raises(UserError, match="no layer 'fc9'"):
        Masks({"fc9": torch.ones(3)}).apply(model)
    with pytest.raises(UserError, match=r"layer 0: the mask's shape is \(3,\), the weight's \(30,"):
        Masks({"0": torch.ones(3)}).apply(model)
    model[2].weight.data[0, 0] = torch.nan
    with pytest.raises(UserError, match="layer 2: 1 of 150"):
        magnitude(model, 0.5)


def test_counts_round_what_is_pruned_half_to_even():
    assert [kept_count(5, 0.5, ""), kept_count(7, 0.5, ""), kept_count(0, 0.5, "")] == [3, 3, 0]


def test_a_large_layer_has_exactly_its_count(rng):
    assert int(largest(tensor(rng, 1000, 700).abs(), 56_789).sum()) == 56_789
