"""Magnitude: masks are those of torch.nn.utils.prune, element for element."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from spec.errors import UserError
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.layers import weights
from sw.compress.patterns import Pattern, parse
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit


def masks(model: nn.Module, pattern: str, density, criterion: Magnitude) -> dict[str, torch.Tensor]:
    found = weights(model)
    kinds: dict[str, Pattern] = dict.fromkeys(found, parse(pattern))
    return criterion.masks(Context(model, found), kinds, dict.fromkeys(found, density))


def convolutions(rng) -> nn.Sequential:
    model = nn.Sequential(nn.Conv2d(3, 10, (3, 2)), nn.ReLU(), nn.Conv2d(10, 17, 3))
    for weight in weights(model).values():
        weight.data = tensor(rng, *weight.shape)
    return model


@pytest.mark.parametrize("network", [two_layers, convolutions])
@pytest.mark.parametrize("amount", [0.0, 0.3, 0.75, 0.9])
@pytest.mark.parametrize("norm", [1, 2])
def test_rows_are_those_of_ln_structured(rng, network, amount, norm):
    model = network(rng)
    ours = masks(model, "row", 1 - amount, Magnitude(norm))
    for name, mask in ours.items():
        layer = model.get_submodule(name)
        prune.ln_structured(layer, "weight", amount, n=norm, dim=0)
        assert torch.equal(mask, layer.get_buffer("weight_mask").bool())


@pytest.mark.parametrize("network", [two_layers, convolutions])
@pytest.mark.parametrize("amount", [0.0, 0.3, 0.75, 0.9])
def test_single_weights_are_those_of_l1_unstructured(rng, network, amount):
    model = network(rng)
    ours = masks(model, "unstructured", 1 - amount, Magnitude())
    for name, mask in ours.items():
        layer = model.get_submodule(name)
        prune.l1_unstructured(layer, "weight", amount)
        assert torch.equal(mask, layer.get_buffer("weight_mask").bool())


@pytest.mark.parametrize("network", [two_layers, convolutions])
@pytest.mark.parametrize("amount", [0.0, 0.3, 0.75, 0.9])
def test_all_layers_together_are_those_of_global_unstructured(rng, network, amount):
    model = network(rng)
    found = weights(model)
    kinds = dict.fromkeys(found, parse("unstructured"))
    ours = Magnitude().masks(Context(model, found), kinds, 1 - amount)
    chosen = [(model.get_submodule(name), "weight") for name in found]
    prune.global_unstructured(chosen, prune.L1Unstructured, amount=amount)
    for name, mask in ours.items():
        assert torch.equal(mask, model.get_submodule(name).get_buffer("weight_mask").bool())


def test_groups_of_different_sizes_compete_by_their_mean(rng):
    """Rows of layer 0 have 20 weights, those of layer 2 have 30: a plain statement of the rule."""
    model = two_layers(rng)
    found = weights(model)
    ours = Magnitude(1).masks(Context(model, found), dict.fromkeys(found, parse("row")), 0.4)
    rows = [
        (float(row.abs().double().mean()), name, at, row.numel())
        for name, weight in found.items()
        for at, row in enumerate(weight.detach())
    ]
    left, expected = round(0.4 * 750), set()
    for _, name, at, size in sorted(rows, reverse=True):
        if left > 0:
            expected.add((name, at))
            left -= size
    assert {(n, at) for n, m in ours.items() for at in range(len(m)) if m[at].all()} == expected
    assert {(n, at) for n, m in ours.items() for at in range(len(m)) if m[at].any()} == expected


class Given(Criterion):
    """Says of each output of layer 0 what it is told."""

    name = "given"

    def __init__(self, values: torch.Tensor):
        self.values = values

    def scores(self, context, patterns):
        return {"0": self.values[:, None].expand(context.weights["0"].shape)}


def test_a_sparse_output_is_judged_as_a_whole_and_an_empty_one_is_gone(rng):
    model = two_layers(rng)
    model[0].weight.data[7, :19] = 0
    model[0].weight.data[8] = 0
    found, kinds = weights(model, ["0"]), {"0": parse("row")}
    context = Context(model, found)
    said = torch.arange(30.0).roll(9)  # outputs 8 and 7 are the best
    kept = Given(said).masks(context, kinds, {"0": 2 / 30})["0"].all(1).nonzero().flatten()
    assert kept.tolist() == [6, 7]


def test_an_unknown_norm_is_told():
    with pytest.raises(UserError, match="a norm of L3 was given, allowed is 1 or 2"):
        Magnitude(3)
