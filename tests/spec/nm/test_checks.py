"""What no array could run is refused before anything runs."""

from dataclasses import replace

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.checks import check_fits
from spec.nm.config import DENSE, Mode, preset
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import Program
from spec.nm.strips import pack_strip
from spec.nm.unfold import Unfold
from tests.spec.nm.cases import program_of, random_case, random_config

pytestmark = pytest.mark.unit


def program(*, gather: bool = False, **changes: int) -> Program:
    """One layer of five outputs and eighteen inputs."""
    config = preset("tiny", **changes)
    dense = np.zeros((5, 18), int)
    dense[:, ::4] = 7
    ones = np.ones(5, int)
    matrix = Matrix(dense=dense, bias=ones, multiplier=ones, shift=ones)
    return program_of(config, pack_layer(config, "one", matrix, Mode(2, 4), gather=gather))


def damaged(one: Program, name: str, value: int, *, last: bool = False) -> Program:
    """With a field of its first strip changed."""
    layer, strips = one.layers[0], one.strips(0)
    field = getattr(strips[0], name).ravel()
    field[-1 if last else 0] = value
    words = [pack_strip(one.config, layer.pattern, layer.gather, strip) for strip in strips]
    return replace(one, weights=(replace(one.weights[0], strips=np.concatenate(words)),))


def changed(one: Program, **changes) -> Program:
    layer = replace(one.layers[0], **changes)
    weights = replace(one.weights[0], input_scales=np.ones(layer.inputs))
    return replace(one, layers=(layer,), weights=(weights,))


def test_whatever_is_packed_fits(rng):
    for _ in range(30):
        config = random_config(rng, acc_bits=34, act_bits=8, weight_bits=6, multiplier_bits=8)
        check_fits(random_case(rng, config).program)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": 0}, "0 inputs"),
        ({"inputs": 16}, "5 steps of 2:4 take 3 lines, there are 2"),
        ({"inputs": 300}, "38 lines, the activation buffer holds 32"),
        ({"outputs": 9}, r"scales are float64 of shape \(5,\), must be float64 of \(9,\)"),
        ({"mode": "2:8"}, "pattern 2:8 is none"),
        ({"mode": "1:4"}, "5 steps of 1:4 take 5 lines, there are 3"),
        ({"gather": True}, "strips are not for its configuration"),
        ({"weights": -1}, "18 inputs"),
        ({"unfold": Unfold(channels=1, height=4, width=4, kernel=(2, 2))}, "windows of 4 values"),
    ],
)
def test_layers(changes, message):
    with pytest.raises(UserError, match=message):
        check_fits(changed(program(), **changes))


@pytest.mark.parametrize(
    ("name", "value", "message", "options"),
    [
        ("values", 9, r"weights reach 0\.\.\.9, 4 bits hold", {"weight_bits": 4, "groups": 1}),
        ("shift", 40, "a shift of 40, the largest is 31", {"shift_bits": 5}),
        ("offsets", 5, "an offset leads to line 5, a tile has 3", {"gather": True}),
    ],
)
def test_strips(name, value, message, options):
    one = program(**options)
    if name == "values":
        # The slot of five bits is eight wide: what is in it may be too large.
        one = program(weight_bits=5)
        value, message = 99, r"weights reach .*99, 5 bits hold -16\.\.\.15"
    with pytest.raises(UserError, match=f"layer one, strip 0: {message}"):
        check_fits(damaged(one, name, value))


def test_a_weight_behind_the_last_input():
    with pytest.raises(UserError, match="a weight for input 18 of 18"):
        check_fits(damaged(program(), "values", 1, last=True))


def test_sums():
    with pytest.raises(UserError, match="layer one: sums may reach .*, accumulators of 12 bits"):
        check_fits(program(acc_bits=12, weight_bits=4))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_most_negative_sum(sign):
    """258 times -128 leaves 16 bits, 258 times 127 does not."""
    config = preset("tiny", acc_bits=16)
    dense = np.full((2, 3), [127, 127, 4]) * sign
    zeros = np.zeros(2, int)
    matrix = Matrix(dense=dense, bias=zeros, multiplier=zeros, shift=zeros)
    with pytest.raises(UserError, match="sums may reach"):
        check_fits(program_of(config, pack_layer(config, "one", matrix, DENSE)))
    dense = dense - np.full((2, 3), [0, 0, 4]) * sign
    matrix = replace(matrix, dense=dense)
    check_fits(program_of(config, pack_layer(config, "one", matrix, DENSE)))


def test_arrays_and_names():
    one = program()
    weights = one.weights[0]
    for change, message in (
        ({"order": np.array([0, 1, 2, 3, 3])}, "names not every output once"),
        ({"input_scales": np.full(18, np.nan)}, "its input_scales must be above 0"),
        ({"output_scales": -np.ones(5)}, "its output_scales must be above 0"),
        ({"scales": np.zeros(5)}, "its scales must be above 0"),
        ({"strips": weights.strips.astype(np.int64)}, "strips are int64"),
        ({"strips": weights.strips[:-1]}, "strips are not for its configuration"),
    ):
        with pytest.raises(UserError, match=message):
            check_fits(replace(one, weights=(replace(weights, **change),)))
    with pytest.raises(UserError, match="0 layers"):
        check_fits(replace(one, layers=(), weights=()))
    with pytest.raises(UserError, match="layers share a name: one, one"):
        check_fits(replace(one, layers=one.layers * 2, weights=one.weights * 2))


def test_a_chain_that_is_none():
    config = preset("tiny")
    ones = np.ones(4, int)
    matrix = Matrix(dense=np.ones((4, 8), int), bias=ones, multiplier=ones, shift=ones)
    layers = [pack_layer(config, name, matrix, DENSE) for name in ("a", "b")]
    with pytest.raises(UserError, match="layer b takes 8 values, layer a gives 4"):
        check_fits(program_of(config, *layers))
    check_fits(program_of(config, *layers, chained=False))
