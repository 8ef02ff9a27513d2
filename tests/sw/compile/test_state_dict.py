"""State dicts of layers that are pruned or compressed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.pruning.sparsifier.weight_norm_sparsifier import WeightNormSparsifier
from torch.nn.utils import prune

from spec.errors import UserError
from sw.compile.capture import capture
from sw.compile.state_dict import from_state_dict
from tests.sw.compile.networks import dense

pytestmark = pytest.mark.unit


@pytest.fixture
def pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))


def weights(network) -> list[np.ndarray]:
    return [layer.weight for layer in dense(network)]


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_masks_of_torch_prune(pair):
    """Half-way pruned, as a module and as a state dict; and after it was made final."""
    prune.l1_unstructured(pair[0], "weight", 0.5)
    prune.l1_unstructured(pair[2], "weight", 0.25)
    prune.l1_unstructured(pair[2], "bias", 0.5)
    samples = np.ones((3, 16))
    from_module = capture(pair, samples)
    masked = from_state_dict(pair.state_dict())
    assert masked.notes[1:] == tuple(
        f"{name}: took it as its mask leaves it" for name in ("0.weight", "2.weight", "2.bias")
    )
    assert [np.count_nonzero(one) for one in weights(masked)] == [64, 24]
    assert np.count_nonzero(dense(masked)[1].bias) == 2
    for at, name in ((0, "weight"), (2, "weight"), (2, "bias")):
        prune.remove(pair[at], name)
    final = from_state_dict(pair.state_dict())
    assert len(final.notes) == 1
    assert same(weights(masked), weights(final))
    assert same(weights(from_module), weights(final))


def test_a_pruned_linear_by_itself():
    layer = prune.l1_unstructured(nn.Linear(6, 4), "weight", 0.5)
    (captured,) = dense(from_state_dict(layer.state_dict()))
    assert np.count_nonzero(captured.weight) == 12


def test_a_sparsifier_before_and_after_squashing(pair):
    names = ({"tensor_fqn": "0.weight"}, {"tensor_fqn": "2.weight"})
    sparsifier = WeightNormSparsifier(
        sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2
    )
    sparsifier.prepare(pair, list(names))
    sparsifier.step()
    samples = np.ones((3, 16))
    before = capture(pair, samples)
    for weight in weights(before):
        assert (np.count_nonzero(weight.reshape(-1, 4), axis=1) == 2).all()
    with pytest.raises(UserError, match="0.parametrizations.weight.original: .*squash_mask"):
        from_state_dict(pair.state_dict())
    sparsifier.squash_mask()
    assert same(weights(before), weights(capture(pair, samples)))
    assert same(weights(before), weights(from_state_dict(pair.state_dict())))


def test_masks_that_are_missing_or_do_not_fit():
    whole = {"a.weight_orig": torch.ones(3, 4), "a.weight_mask": torch.ones(3, 4)}
    assert dense(from_state_dict(whole))[0].weight.sum() == 12
    for changes in ({"a.weight_mask": torch.ones(4)}, {"a.weight_mask": 3}):
        with pytest.raises(UserError, match="a.weight_orig: belongs to a parameter that is comp"):
            from_state_dict(whole | changes)
    lone = copy.copy(whole)
    del lone["a.weight_mask"]
    with pytest.raises(UserError, match="a.weight_orig: .*torch.nn.utils.prune.remove"):
        from_state_dict(lone)
    with pytest.raises(UserError, match=r"a.weight_mask, of shape \(3, 4\): a state dict may hold"):
        from_state_dict({"a.weight_mask": torch.ones(3, 4)})


def test_kernels_say_to_export(pair):
    weights = {"conv.weight": torch.ones(8, 3, 3, 3)} | pair.state_dict()
    with pytest.raises(UserError, match=r"conv.weight, of shape \(8, 3, 3, 3\): .*\.pt2"):
        from_state_dict(weights)
