import copy

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress import coded, stored
from sw.compress.huffman import entropy_bits
from sw.compress.layout import LAYOUTS
from sw.compress.share import kmeans
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit

SHAPES = [(1,), (7,), (1, 1), (3, 200), (300, 4), (8, 3, 3, 3), (5, 0)]


def sparse(rng, shape: tuple[int, ...], density: float) -> torch.Tensor:
    keep = torch.from_numpy(rng.random(shape) < density)
    return torch.where(keep, tensor(rng, *shape), 0.0)


@pytest.mark.parametrize("bits", [None, 1, 4])
@pytest.mark.parametrize("density", [0, 0.01, 0.3, 1])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tensors_read_back_exactly(rng, shape, density, bits):
    weight = sparse(rng, shape, density)
    if bits:
        weight = kmeans(weight, bits).expand()
    part = stored.Part.of(weight)
    assert torch.equal(part.tensor(), weight)
    if weight.numel():
        assert torch.equal(coded.decode(coded.encode(weight), shape, weight.dtype), weight)


@pytest.mark.parametrize("by_columns", [False, True])
def test_whole_rows_and_columns_of_zeros_cost_next_to_nothing(rng, by_columns):
    """A dense corner of a large matrix, walked through either way; and rows that repeat in it."""
    weight = torch.zeros(200, 300)
    weight[::7, 10:40:2] = kmeans(tensor(rng, 29, 15), 2).expand()
    weight = weight.T.contiguous() if by_columns else weight
    data = coded.encode(weight)
    assert torch.equal(coded.decode(data, tuple(weight.shape), weight.dtype), weight)
    kept = 29 * 15
    assert len(data) < (2 * kept + 200 + 300) / 8 + 60


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)], ids=str)
def test_every_layout_reads_back_and_none_is_smaller(rng, shape):
    weight = kmeans(sparse(rng, shape, 0.3), 2).expand()
    weight[::3] = 0
    whole = torch.ones(shape)  # neither rows nor columns are empty
    one_row = torch.ones(shape)
    one_row[3] = 0  # to leave it out takes a bit for every row
    for tensor_ in (weight, weight.T.contiguous(), whole, one_row, torch.zeros(shape)):
        best = len(coded.encode(tensor_))
        for layout in LAYOUTS:
            data = coded.encode(tensor_, layout)
            assert torch.equal(coded.decode(data, tuple(tensor_.shape), tensor_.dtype), tensor_)
            assert len(data) >= best


def test_size_is_near_the_entropy_of_places_and_values(rng):
    weight = kmeans(sparse(rng, (300, 784), 0.02), 4).expand()
    _, counts = weight[weight != 0].unique(return_counts=True)
    kept, size = int(counts.sum()), weight.numel()
    places = entropy_bits(np.array([kept, size - kept]))
    bits = places + entropy_bits(counts.numpy()) + 32 * len(counts)
    assert bits / 8 - 100 < len(stored.Part.of(weight).data) < 1.04 * bits / 8 + 60


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_values_have_the_narrowest_type_that_is_exact(rng, dtype):
    weight = sparse(rng, (20, 50), 0.2).to(dtype) / 3
    kept = int(weight.count_nonzero())
    read = stored.Part.of(weight)
    assert torch.equal(read.tensor(), weight)
    assert read.tensor().dtype == dtype
    halves = weight.to(torch.float16).to(dtype)
    narrow = stored.Part.of(halves)
    assert torch.equal(narrow.tensor(), halves)
    assert len(narrow.data) < 2 * kept + kept + 40
    assert len(read.data) >= dtype.itemsize * kept


class Everything(nn.Module):
    """Parameters and buffers of many kinds."""

    def __init__(self, rng):
        super().__init__()
        self.layers = two_layers(rng)
        self.norm = nn.BatchNorm1d(5)
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("scalar", torch.tensor(2.5))
        self.register_buffer("none", torch.zeros(0, 3, dtype=torch.int8))
        self.register_buffer("endless", torch.tensor([1.0, torch.inf, torch.nan]))


def test_networks_read_back_exactly(rng, tmp_path):
    model = Everything(rng)
    model.layers[0].weight.data.mul_(torch.from_numpy(rng.random((30, 20)) < 0.1))
    before = copy.deepcopy(model.state_dict())
    size = stored.write(model, tmp_path / "net.skw")
    assert size == (tmp_path / "net.skw").stat().st_size
    state = stored.read(tmp_path / "net.skw")
    assert list(state) == list(before)
    for name, value in before.items():
        assert torch.equal(state[name].nan_to_num(-1), value.nan_to_num(-1)), name
        assert (state[name].dtype, state[name].shape) == (value.dtype, value.shape)
    other = Everything(np.random.default_rng(0))
    other.load_state_dict(state)
    parts = stored.parts(model)
    names = sum(len(name) for name in parts)
    assert 0 < size - sum(len(part.data) for part in parts.values()) - names < 12 * len(parts) + 12


def test_refuses_damage(rng, tmp_path):
    data = stored.to_bytes(stored.parts(two_layers(rng)))
    for at in range(0, len(data), max(1, len(data) // 60)):
        broken = bytearray(data)
        broken[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(UserError, match="begins with|is damaged"):
            stored.from_bytes(bytes(broken))
        with pytest.raises(UserError, match="begins with|is damaged"):
            stored.from_bytes(data[:at])
    path = tmp_path / "net.skw"
    path.write_bytes(data[:-1])
    with pytest.raises(UserError, match=r"net.skw: is damaged"):
        stored.read(path)
    with pytest.raises(UserError, match="cannot read"):
        stored.read(tmp_path / "missing")
    with pytest.raises(UserError, match="cannot write"):
        stored.write(two_layers(rng), tmp_path / "no" / "folder")


def test_refuses_what_it_cannot_store():
    with pytest.raises(UserError, match="w is torch.complex64; a stored network may have float16,"):
        stored.parts({"w": torch.zeros(2, dtype=torch.complex64)})
    with pytest.raises(UserError, match="NaN or infinite"):
        coded.encode(torch.tensor([[torch.nan]]))
    data = coded.encode(torch.eye(40))
    with pytest.raises(UserError, match="stands at place|truncated"):
        coded.decode(data, (40, 2), torch.float32)
    with pytest.raises(UserError, match="truncated"):
        coded.decode(data[:3], (40, 40), torch.float32)
