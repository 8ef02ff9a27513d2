import numpy as np
import pytest
import torch

from spec.errors import UserError
from sw.compress.layers import weights
from sw.compress.quantize import input_ranges, rounded
from sw.compress.quantize.fixed16 import fixed, fixed_scales, fixed_weights, fraction_bits
from sw.compress.share import SharedWeights, share
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit


def most_fraction_bits(largest: float, bits: int) -> int:
    """By trying all points, from the finest on."""
    top = 2 ** (bits - 1) - 1
    return next(f for f in range(200, -200, -1) if round(largest * 2.0**f) <= top)


@pytest.mark.parametrize("bits", [2, 8, 16, 24])
def test_the_finest_point_that_does_not_saturate(rng, bits):
    top = 2 ** (bits - 1) - 1
    cases = [
        1.0,
        0.99999,
        2.0,
        top,
        top + 0.5,
        top + 1,
        1e-20,
        3e20,
        *(2.0 ** rng.normal(0, 9, 50)),
    ]
    for largest in map(float, cases):
        assert fraction_bits(largest, bits) == most_fraction_bits(largest, bits)
    assert fraction_bits(0.0, bits) == bits - 1


def test_rounds_half_to_even_and_saturates():
    real = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 0.51, 127.4, 500.0, -500.0]) / 4
    found = fixed(real, fraction=2, bits=8)
    assert found.integers.tolist() == [0, 2, 2, 0, -2, 1, 127, 127, -128]
    assert found.integers.dtype == torch.int8
    assert torch.equal(found.expand(), found.integers / 4)


def test_weights_and_codebooks(rng):
    model = two_layers(rng)
    model[0].weight.data[model[0].weight.abs() < 1] = 0
    books = share(model)
    SharedWeights(books).apply(model)
    found = fixed_weights(model)
    result = rounded(model, found)
    for name, book in books.items():
        weight, other = weights(model)[name], weights(result)[name]
        unit = float(found[name].scale)
        assert np.log2(unit) == round(np.log2(unit))
        assert found[name].integers.dtype == torch.int16
        assert (other - weight).abs().max() <= unit / 2
        assert torch.equal(other == 0, book.labels == 0)
        assert len(other.unique()) == len(weight.unique())
        assert 2**14 <= int(found[name].integers.abs().max()) < 2**15


def test_activations_have_powers_of_two(rng):
    model = two_layers(rng)
    ranges = input_ranges(model, [tensor(rng, 20, 20)])
    for name, scale in fixed_scales(ranges).items():
        assert np.log2(scale) == round(np.log2(scale))
        assert 2**14 <= ranges[name] / scale < 2**15


def test_bad_input():
    with pytest.raises(UserError, match="33 bits were asked for, allowed is 2...32"):
        fraction_bits(1.0, 33)
    with pytest.raises(UserError, match="no fixed point holds a magnitude of inf"):
        fraction_bits(float("inf"))
