import copy

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.patterns import nm_mask
from sw.compress.quantize import input_ranges, rounded, rounding_inputs
from sw.compress.quantize.int8 import int8, int8_scales, int8_weights
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit


def nearest(value: float, scale: float, most: int) -> int:
    """By looking at each integer; of two that are equally near, the even one."""
    return min(range(-most - 1, most + 1), key=lambda n: (abs(value / scale - n), n % 2))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("per", ["row", "tensor"])
@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 2, 2)])
def test_weights_become_the_nearest_integers(rng, shape, per, bits):
    weight, most = tensor(rng, *shape), 2 ** (bits - 1) - 1
    weight[1] = 0
    weight[2].view(-1)[:2] = torch.tensor([3.0, 1.5]) * most / 3  # scale 1 per row: half-way cases
    found = int8(weight, per, bits)
    assert found.integers.dtype == torch.int8
    rows = weight.flatten(1).double()
    largest = rows.abs().max() if per == "tensor" else None
    for row, integers in zip(rows, found.integers.flatten(1), strict=True):
        scale = float(row.abs().max() if largest is None else largest) / most or 1.0
        wanted = [nearest(float(value), scale, most) for value in row]
        assert integers.tolist() == wanted
    error = (found.expand() - weight).abs()
    assert (error <= found.scale / 2 * (1 + 1e-6)).all()
    assert found.integers.abs().max() == most


def test_quantizing_again_changes_nothing(rng):
    first = int8(tensor(rng, 20, 30))
    again = int8(first.expand())
    assert torch.equal(again.integers, first.integers)
    assert torch.equal(again.expand(), first.expand())


def test_patterns_stay(rng):
    model = two_layers(rng)
    for layer in (model[0], model[2]):
        width = layer.weight.shape[1] // 4 * 4
        layer.weight.data[:, width:] = 0
        layer.weight.data[:, :width] *= nm_mask(layer.weight.data[:, :width], 2, 4)
    before = copy.deepcopy(model.state_dict())
    result = rounded(model, int8_weights(model))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    for layer, other in ((model[0], result[0]), (model[2], result[2])):
        assert (other.weight[layer.weight == 0] == 0).all()
        assert torch.equal(other.bias, layer.bias)
        assert 0 < (other.weight - layer.weight).abs().max() < 0.02 * layer.weight.abs().max()
    x = tensor(rng, 50, 20)
    assert (result(x) - model(x)).abs().max() < 0.03 * model(x).abs().max()


@pytest.mark.parametrize("percentile", [100.0, 99.9, 90.0, 50.0, 0.001])
def test_ranges_are_percentiles_of_all_inputs(rng, percentile):
    model = two_layers(rng).train()
    batches = [tensor(rng, count, 20) for count in (30, 7, 100)]
    ranges = input_ranges(model, batches, percentile=percentile)
    taken = {"0": torch.cat(batches), "2": torch.relu(model[0](torch.cat(batches)))}
    for name, inputs in taken.items():
        wanted = np.percentile(inputs.detach().abs().numpy(), percentile, method="inverted_cdf")
        assert ranges[name] == pytest.approx(float(wanted), rel=1e-6, abs=1e-7)
    assert model.training
    assert not model[0]._forward_pre_hooks


def test_inputs_are_rounded_within_the_context_only(rng):
    model, x = two_layers(rng), tensor(rng, 10, 20)
    scales = int8_scales(input_ranges(model, [x]))
    plain = model(x)
    with rounding_inputs(model, scales, 8):
        coarse = model(x)
    assert torch.equal(model(x), plain)
    hidden = torch.relu(model[0](scales["0"] * torch.clamp((x / scales["0"]).round(), -128, 127)))
    wanted = model[2](scales["2"] * torch.clamp((hidden / scales["2"]).round(), -128, 127))
    assert torch.allclose(coarse, wanted, atol=1e-4)
    assert not torch.equal(coarse, plain)
    with rounding_inputs(model, {"0": scales["0"] / 4}, 8):
        assert (model(x) - plain).abs().max() > (coarse - plain).abs().max()  # saturates


def test_bad_input(rng):
    model = two_layers(rng)
    with pytest.raises(UserError, match="per 'column' was asked for; there is one per row, tensor"):
        int8(torch.ones(2, 2), "column")
    with pytest.raises(UserError, match="9 bits were asked for, allowed is 2...8"):
        int8(torch.ones(2, 2), bits=9)
    with pytest.raises(UserError, match="no layer '7'"):
        int8_weights(model, layers=["7"])
    with pytest.raises(UserError, match="layer 0 took nothing while calibrating"):
        input_ranges(model, [])
    with pytest.raises(UserError, match="percentile of 101 was asked for, allowed is above 0"):
        input_ranges(model, [tensor(rng, 2, 20)], percentile=101)
    with pytest.raises(UserError, match="layer 0: its inputs are NaN or infinite"):
        input_ranges(model, [torch.full((2, 20), torch.nan)])
    with pytest.raises(UserError, match="no Linear and no convolution 'x'; there are 0, 2"):
        input_ranges(model, [], layers=["x"])
    with pytest.raises(UserError, match="to quantize the inputs of"):
        input_ranges(nn.ReLU(), [])
    books = int8_weights(model)
    with pytest.raises(UserError, match=r"layer 0: the integers have shape \(5, 30\), the weight"):
        rounded(model, {"0": books["2"]})
