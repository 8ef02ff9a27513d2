import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from spec.errors import UserError
from sw.compress.layers import density, locate, weights
from tests.sw.compress.networks import two_layers

pytestmark = pytest.mark.unit


def test_finds_linear_and_convolution_by_name_and_in_order():
    inner = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), inner, nn.ReLU())
    found = weights(model)
    assert list(found) == ["0", "2.0"]
    assert found["2.0"] is inner[0].weight


def test_chosen_layers_come_in_the_order_of_the_network(rng):
    assert list(weights(two_layers(rng), ["2", "0"])) == ["0", "2"]


def test_density_counts_over_all_layers(rng):
    model = two_layers(rng)
    model[0].weight.data[:15] = 0
    assert density(model) == (300 + 150) / 750
    assert density(model, ["2"]) == 1


@pytest.mark.parametrize("layer", ["1", "fc1"])
def test_refuses_a_layer_that_does_not_exist_or_has_no_weight(rng, layer):
    with pytest.raises(UserError, match=f"no layer '{layer}' with a weight; the network has 0, 2"):
        weights(two_layers(rng), [layer])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_refuses_a_broken_weight_and_names_its_layer(rng, value):
    model = two_layers(rng)
    model[2].weight.data[3, 4] = value
    with pytest.raises(UserError, match="layer 2: 1 of 150 weights are NaN or infinite"):
        weights(model)


def test_refuses_a_network_without_weights():
    with pytest.raises(UserError, match="no Linear, convolution or recurrent layer"):
        weights(nn.ReLU())


def test_matrices_of_recurrent_layers_are_found_by_their_names():
    model = nn.Sequential(nn.LSTM(3, 4, num_layers=2), nn.Linear(4, 5))
    names = ["0.weight_ih_l0", "0.weight_hh_l0", "0.weight_ih_l1", "0.weight_hh_l1", "1"]
    assert list(weights(model)) == names
    for name, weight in weights(model).items():
        module, parameter = locate(model, name)
        assert getattr(module, parameter) is weight
    assert list(weights(nn.GRU(3, 4))) == ["weight_ih_l0", "weight_hh_l0"]
    assert locate(nn.GRU(3, 4), "weight_hh_l0")[1] == "weight_hh_l0"


def test_a_layer_that_is_computed_is_not_left_out_silently(rng):
    model = two_layers(rng)
    prune.l1_unstructured(model[2], "weight", 0.5)
    with pytest.raises(UserError, match=r"layer 2: its weight is computed from others, as by"):
        weights(model)
    assert list(weights(model, ["0"])) == ["0"]
