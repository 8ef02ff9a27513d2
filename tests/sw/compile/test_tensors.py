"""PyTorch's semi-structured tensors, in modules, state dicts and files."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.sparse import SparseSemiStructuredTensorCUSPARSELT, SparseSemiStructuredTensorCUTLASS
from torch.sparse._semi_structured_conversions import sparse_semi_structured_from_dense_cutlass

from spec.errors import UserError
from sw.compile.capture import capture
from sw.compile.tensors import densified, tensor_values
from tests.sw.compile.networks import dense

pytestmark = [
    pytest.mark.unit,
    pytest.mark.filterwarnings("ignore:The PyTorch API of SparseSemiStructuredTensor"),
]

KINDS = (torch.float16, torch.bfloat16, torch.int8)


def two_four(rng: np.random.Generator, kind: torch.dtype, shape=(64, 128)) -> torch.Tensor:
    """A matrix in 2:4, also with groups that are emptier, and with the extremes of its type."""
    groups = rng.integers(-128, 128, (shape[0], shape[1] // 4, 4))
    rank = rng.random(groups.shape).argsort(axis=2)
    groups[rank >= rng.integers(0, 3, (*groups.shape[:2], 1))] = 0
    return torch.from_numpy(groups.reshape(shape)).to(kind)


def compressed(weight: torch.Tensor) -> torch.Tensor:
    """What ``to_sparse_semi_structured`` makes of it; that itself wants a GPU."""
    packed, meta = sparse_semi_structured_from_dense_cutlass(weight)
    return SparseSemiStructuredTensorCUTLASS(
        weight.shape,
        packed=packed,
        meta=meta,
        packed_t=None,
        meta_t=None,
        compressed_swizzled_bitmask=None,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_values(rng, kind):
    weight = two_four(rng, kind)
    tensor = compressed(weight)
    np.testing.assert_array_equal(tensor_values(tensor, "w"), weight.double().numpy())
    assert torch.equal(tensor.to_dense(), weight)


def test_other_types_of_dense_tensors_are_refused():
    with pytest.raises(UserError, match="w: holds torch.int8, a parameter must be a floating"):
        tensor_values(torch.ones(3, 4, dtype=torch.int8), "w")


def test_what_only_a_gpu_reads_is_refused(rng):
    packed = torch.zeros(64 * 72, dtype=torch.float16)
    tensor = SparseSemiStructuredTensorCUSPARSELT(
        torch.Size((64, 128)),
        packed=packed,
        meta=None,
        packed_t=None,
        meta_t=None,
        compressed_swizzled_bitmask=None,
    )
    with pytest.raises(UserError, match=r"w: is compressed by cuSPARSELt.*to_dense\(\)"):
        tensor_values(tensor, "w")


@pytest.mark.parametrize("kind", KINDS)
def test_modules_and_files(rng, kind, tmp_path):
    floats = torch.float32 if kind == torch.int8 else kind
    weight = two_four(rng, kind)
    module = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 8)).to(floats)
    module[0].weight = nn.Parameter(compressed(weight), requires_grad=False)
    samples = rng.normal(size=(5, 128))

    network = capture(module, samples)
    np.testing.assert_array_equal(dense(network)[0].weight, weight.double().numpy())
    plain = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 8)).to(floats)
    plain.load_state_dict(module.state_dict() | {"0.weight": weight.to(floats)})
    wanted = plain(torch.from_numpy(samples).to(floats)).double().detach().numpy()
    np.testing.assert_array_equal(network.run(samples), wanted)
    assert isinstance(module[0].weight, SparseSemiStructuredTensorCUTLASS), "left as it was"

    torch.save(module.state_dict(), tmp_path / "m.pt")
    for model in (module.state_dict(), tmp_path / "m.pt"):
        again = capture(model)
        np.testing.assert_array_equal(dense(again)[0].weight, weight.double().numpy())


def test_a_module_is_put_back_even_if_it_cannot_be_run(rng):
    layer = nn.Linear(128, 64)
    layer.weight = nn.Parameter(compressed(two_four(rng, torch.int8)), requires_grad=False)
    before = layer.weight
    with pytest.raises(RuntimeError, match="mat1 and mat2"), densified(layer):
        layer(torch.zeros(3))
    assert layer.weight is before
    with densified(layer):
        assert layer(torch.zeros(2, 128)).shape == (2, 64)
