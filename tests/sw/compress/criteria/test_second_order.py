"""Optimal Brain Damage against a loop over samples and weights."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from spec.errors import UserError
from sw.compress.criteria.base import Context
from sw.compress.criteria.second_order import SecondOrder
from sw.compress.layers import weights
from tests.sw.compress.networks import classes, tensor, two_layers

pytestmark = pytest.mark.unit


def batches(rng, *counts: int) -> list:
    return [classes(rng, count) for count in counts]


def test_saliency_is_the_mean_squared_gradient_of_single_samples(rng):
    """By torch's own vectorized gradients, of copies of the parameters."""
    model, data = two_layers(rng), batches(rng, 7, 4)
    model.insert(2, nn.Dropout(0.5))  # must not be at work
    found = SecondOrder().scores(Context(model, weights(model), data), {})
    values = {name: one.detach() for name, one in model.named_parameters()}
    quiet = copy.deepcopy(model).eval()

    def loss(parameters, inputs, target):
        outputs = functional_call(quiet, parameters, inputs[None])
        return nn.functional.cross_entropy(outputs, target[None])

    inputs, targets = (torch.cat(one) for one in zip(*data, strict=True))
    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(values, inputs, targets)
    for name in found:
        squares = gradients[f"{name}.weight"].square().mean(0)
        expected = squares * values[f"{name}.weight"].square() / 2
        assert torch.allclose(found[name], expected, rtol=1e-4, atol=1e-9)


def test_fisher_is_the_second_derivative_where_the_network_is_right_about_chances(rng):
    """Targets drawn as the network says: then both have the same expectation."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = tensor(rng, 2, 2)
    inputs = torch.tensor([[0.7, -1.1]])
    chances = layer(inputs).softmax(1)[0].tolist()
    total = torch.zeros(2, 2)
    for target, chance in enumerate(chances):
        given = Context(
            nn.Sequential(layer), {"0": layer.weight}, [(inputs, torch.tensor([target]))]
        )
        total += chance * SecondOrder().fisher(given)["0"]

    def loss(weight):
        return nn.functional.cross_entropy(inputs @ weight.view(2, 2).T, torch.tensor([0]))

    hessian = torch.autograd.functional.hessian(loss, layer.weight.detach().flatten())
    assert torch.allclose(total.flatten(), hessian.diagonal(), atol=1e-6)


def test_recurrent_layers_and_frozen_weights_are_judged_too(rng):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, values):
            return self.out(self.lstm(values)[0][:, -1])

    model = Last().requires_grad_(False)
    data = [(tensor(rng, 5, 6, 3), torch.tensor([0, 1, 0, 1, 1]))]
    found = SecondOrder().scores(Context(model, weights(model), data), {})
    assert list(found) == ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "out"]
    assert all((one > 0).any() for one in found.values())
    assert not any(one.requires_grad or one.grad is not None for one in model.parameters())
    assert model.training


def test_refuses_what_gives_no_gradient(rng):
    model = two_layers(rng)
    given = weights(model)
    inputs, labels = batches(rng, 4)[0]
    with pytest.raises(UserError, match="criterion second-order runs the network on data"):
        SecondOrder().scores(Context(model, given), {})
    with pytest.raises(UserError, match="takes gradients of a loss: give one"):
        SecondOrder().scores(Context(model, given, [(inputs, labels)], None), {})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="batches without a sample"):
        SecondOrder().scores(Context(model, given, [(inputs[:0], labels[:0])]), {})
    with pytest.raises(UserError, match=r"loss cannot take outputs of shape \(1, 5\) and targets"):
        SecondOrder().scores(Context(model, given, [(inputs, labels.float()[:, None])]), {})
    with pytest.raises(UserError, match="the loss must be one number"):
        SecondOrder().scores(Context(model, given, [(inputs, labels)], lambda out, _: out), {})
    inputs[2] = torch.nan
    with pytest.raises(UserError, match="layer 0: its gradient is NaN or infinite"):
        SecondOrder().scores(Context(model, given, [(inputs, labels)]), {})
    model[0].spare = nn.Linear(3, 3)  # a Linear never calls what is in it
    with pytest.raises(UserError, match="layer 0.spare: the loss does not depend on it"):
        SecondOrder().scores(Context(model, weights(model), batches(rng, 2)), {})
