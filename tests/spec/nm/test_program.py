"""Programs: names, orders, and their way through an image's metadata and tensors."""

import json

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, preset
from spec.nm.document import from_document, to_document
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import TENSORS, Program
from spec.nm.unfold import Unfold
from tests.spec.nm.cases import program_of, random_case

pytestmark = pytest.mark.unit


def convolution() -> Program:
    config = preset("tiny")
    unfold = Unfold(channels=2, height=3, width=3, kernel=(2, 2))
    ones = np.ones(3, int)
    matrix = Matrix(dense=np.ones((3, 8), int), bias=ones, multiplier=ones, shift=ones)
    return program_of(config, pack_layer(config, "conv", matrix, DENSE, unfold=unfold))


def assert_equal(one: Program, other: Program) -> None:
    assert (one.config, one.layers, one.chained) == (other.config, other.layers, other.chained)
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        for name in vars(mine):
            assert np.array_equal(getattr(mine, name), getattr(theirs, name))


def test_there_and_back(rng):
    for program in [convolution(), *(random_case(rng).program for _ in range(20))]:
        document, tensors = to_document(program)
        assert set(tensors) == {f"layer0.{name}" for name in TENSORS}
        again = from_document(json.loads(json.dumps(document)), tensors)
        assert_equal(program, again)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("config_digest",), "0" * 16, "does not have the digest"),
        (("chained",), 1, "chained is 1"),
        (("layers", 0, "inputs"), "8", "inputs is '8'"),
        (("layers", 0, "relu"), 1, "relu is 1"),
        (("layers", 0, "more"), 1, "more"),
        (("layers", 0, "unfold", "kernel"), [2], "windows are"),
        (("layers", 0, "unfold", "kernel"), [4, 4], "no window fits"),
        (("layers", 0, "unfold", "height"), "3", "windows are"),
        (("layers", 0, "unfold", "channels_last"), 1, "windows are"),
    ],
)
def test_wrong_metadata(path, value, message):
    document, tensors = to_document(convolution())
    document = json.loads(json.dumps(document))
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(UserError, match=message):
        from_document(document, tensors)


def test_missing_and_wrong_tensors():
    document, tensors = to_document(convolution())
    with pytest.raises(UserError, match=r"layer0\.scales"):
        from_document(document, {k: v for k, v in tensors.items() if k != "layer0.scales"})
    with pytest.raises(UserError, match=r"layer0\.strips is float32"):
        from_document(document, tensors | {"layer0.strips": np.zeros(3, np.float32)})


def test_names_and_orders(rng):
    case = random_case(rng)
    program = case.program
    assert program.number("layer") == 0
    with pytest.raises(UserError, match="no layer 'x'; it has layer"):
        program.number("x")
    order = program.order(0)
    assert np.array_equal(program.in_place(0, order), np.arange(case.layer.outputs))


def test_values_of_a_convolution():
    layer = convolution().layers[0]
    assert (layer.takes, layer.gives) == (18, 12)
