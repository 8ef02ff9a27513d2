"""Recovering codebooks: exact, or refused."""

import numpy as np
import pytest

from spec.eie.config import preset
from spec.errors import UserError
from sw.compile.eie.share import recover, recover_lstm
from sw.compile.network import FloatLayer
from tests.sw.compile.networks import float_lstm, shared_weight

pytestmark = pytest.mark.unit


def layer(weight: np.ndarray, folded: tuple[str, ...] = ()) -> FloatLayer:
    bias = np.zeros(len(weight))
    return FloatLayer(name="fc", weight=weight, bias=bias, relu=False, folded=folded)


@pytest.mark.parametrize("values", [1, 2, 14, 15])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_values_come_back_exactly(rng, values, density):
    weight = shared_weight(rng, 40, 30, density=density, values=values)
    shared = recover(layer(weight), preset("tiny"))
    np.testing.assert_array_equal(shared.values[shared.codes], weight)
    np.testing.assert_array_equal(shared.codes == 0, weight == 0)
    assert shared.codes.dtype == np.uint8
    assert shared.values[0] == 0
    assert len(shared.values) - 1 == len(np.unique(weight[weight != 0]))


def test_values_one_bit_apart_stay_apart():
    weight = np.array([[1.0, np.nextafter(1.0, 2), -1.0, -0.0]])
    shared = recover(layer(weight), preset("tiny"))
    assert shared.codes.tolist() == [[2, 3, 1, 0]]


@pytest.mark.parametrize(("code_bits", "allowed"), [(1, 1), (4, 15), (8, 255)])
def test_one_value_too_many(code_bits, allowed):
    config = preset("tiny", code_bits=code_bits)
    weight = np.arange(allowed + 1.0)[None]
    assert len(recover(layer(weight), config).values) == allowed + 1
    weight = np.arange(allowed + 2.0)[None]
    with pytest.raises(UserError, match=f"fc: its weights take {allowed + 1} distinct") as caught:
        recover(layer(weight), config)
    assert f"{code_bits}-bit codes holds {allowed}; share the weights first" in str(caught.value)


def test_folding_is_named_as_the_cause():
    with pytest.raises(UserError, match=r"folding bn1 gives every .* before weights are shared"):
        recover(layer(np.arange(17.0)[None], folded=("bn1",)), preset("tiny"))


def test_both_codebooks_of_an_lstm(rng):
    """Each has values of its own, 15 at most; the bias of both stands with the input's part."""
    lstm = float_lstm(rng, 40, 30)
    shared = recover_lstm(lstm, preset("tiny"))
    np.testing.assert_array_equal(shared.x.values[shared.x.codes], lstm.weight_ih)
    np.testing.assert_array_equal(shared.h.values[shared.h.codes], lstm.weight_hh)
    np.testing.assert_array_equal(shared.x.bias, lstm.bias)
    assert not shared.h.bias.any()
    assert not set(shared.x.values[1:]) & set(shared.h.values[1:])
    assert (shared.name, shared.returns) == ("lstm", "sequence")


@pytest.mark.parametrize("part", ["weight_ih", "weight_hh"])
def test_one_value_too_many_in_an_lstm(part, rng):
    lstm = float_lstm(rng, 5, 5, **{part: rng.normal(size=(20, 5))})
    message = f"layer lstm.{part}: its weights take 100 distinct values besides zero, a codebook"
    with pytest.raises(UserError, match=message):
        recover_lstm(lstm, preset("tiny"))
