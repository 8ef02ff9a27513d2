"""Our 2:4 form against PyTorch's own conversions, on the CPU."""

import numpy as np
import pytest
import torch
from torch.sparse import _semi_structured_conversions as conversions

from spec.errors import UserError
from spec.nm.config import Mode
from spec.nm.groups import encode
from spec.nm.pytorch import from_nibbles, from_pytorch, nibbles, to_pytorch
from tests.spec.nm.cases import random_rows

pytestmark = pytest.mark.unit

MODE = Mode(2, 4)
KINDS = {1: torch.int8, 2: torch.float16}


def adversarial(rng: np.random.Generator, rows: int, inputs: int) -> np.ndarray:
    """Groups of every mask with none, one and two non-zeros."""
    masks = [[bit >> place & 1 for place in range(4)] for bit in range(16) if bit.bit_count() < 3]
    chosen = np.array(masks)[rng.integers(len(masks), size=(rows, inputs // 4))]
    return (chosen * rng.choice([-128, -1, 1, 127], chosen.shape)).reshape(rows, inputs)


@pytest.mark.parametrize("weight_bytes", [1, 2])
def test_equals_pytorch(rng, weight_bytes):
    for number in range(12):
        rows, inputs = 32 * int(rng.integers(1, 4)), 64 * int(rng.integers(1, 4))
        make = adversarial if number % 2 else lambda g, r, i: random_rows(g, (r, i), MODE, 8)
        dense = make(rng, rows, inputs)
        theirs = conversions.sparse_semi_structured_from_dense_cutlass(
            torch.from_numpy(dense).to(KINDS[weight_bytes])
        )
        form = encode(dense, MODE)
        compressed, metadata = to_pytorch(form, weight_bytes)
        assert np.array_equal(compressed, theirs[0].numpy().astype(int))
        assert metadata.dtype == theirs[1].numpy().dtype
        assert np.array_equal(metadata, theirs[1].numpy())
        back = from_pytorch(theirs[0].numpy(), theirs[1].numpy())
        assert np.array_equal(back.values, form.values)
        assert np.array_equal(back.places, form.places)
        assert np.array_equal(back.decode(), dense)


def test_nibbles():
    places = np.array([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]])
    assert nibbles(places).tolist() == [0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110]
    assert np.array_equal(from_nibbles(nibbles(places)), places)


def test_what_pytorch_does_not_take():
    with pytest.raises(UserError, match="are 2:4, these rows are 1:4"):
        to_pytorch(encode(np.zeros((16, 64), int), Mode(1, 4)))
    with pytest.raises(UserError, match="a matrix of 8 x 64: PyTorch wants multiples of 16 x 64"):
        to_pytorch(encode(np.zeros((8, 64), int), MODE))
    with pytest.raises(UserError, match="of 32 x 16: PyTorch wants multiples of 32 x 32"):
        to_pytorch(encode(np.zeros((32, 16), int), MODE), 2)
    with pytest.raises(UserError, match="must be int16 or int32 of 16 rows"):
        from_pytorch(np.zeros((16, 16)), np.zeros((16, 1), np.int64))
    with pytest.raises(UserError, match="metadata of 2 elements a row is not for 16 kept"):
        from_pytorch(np.zeros((16, 16)), np.zeros((16, 2), np.int32))
