"""Layers are watched while a network runs; what cannot be watched is told by its name."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compile.nm.observe import layers_of, observe
from tests.sw.compile.nm.modules import branches, images

pytestmark = pytest.mark.unit


def refused(*arguments: object) -> str:
    with pytest.raises(UserError) as error:
        observe(*arguments)
    return str(error.value)


def test_largest_magnitudes_are_seen(seed: int):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(2), nn.Linear(9, 5))
    samples = torch.randn(7, 3, 4, 4)
    seen = observe(network, samples)
    between = network[0](samples).detach()
    for found, wanted in (
        (seen["0"].inputs, samples.abs().amax((0, 2, 3))),
        (seen["0"].outputs, between.abs().amax((0, 2, 3))),
        (seen["2"].inputs, between.flatten(2).abs().amax((0, 1))),
        (seen["2"].outputs, network(samples).detach().abs().amax((0, 1))),
    ):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-6)
    assert (seen["0"].image, seen["0"].tokens) == ((4, 4), 7 * 9)
    assert (seen["2"].image, seen["2"].tokens) == (None, 7 * 4)
    assert observe(network, [samples[:3], samples[3:]])["2"].tokens == 4 * 4


def test_single_vectors_and_images_are_seen():
    network = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(0), nn.Linear(36, 5))
    seen = observe(network, torch.ones(3, 4, 4))
    assert seen["0"].inputs.tolist() == [1, 1, 1]
    assert seen["2"].inputs.shape == (36,)


def test_layer_of_its_own_has_a_name():
    assert list(observe(nn.Linear(3, 2), torch.ones(1, 3))) == ["linear"]
    assert list(layers_of(nn.Conv2d(3, 2, 1))) == ["conv2d"]


def test_layer_shared_by_two_names_is_one():
    first = nn.Linear(4, 4)
    assert list(layers_of(nn.Sequential(first, nn.ReLU(), first))) == ["0"]


def test_dropout_does_not_take_part():
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4))
    assert observe(network, torch.ones(1, 4))["1"].inputs.tolist() == [1, 1, 1, 1]
    assert network.training


def test_torchs_own_transformer_is_seen():
    """It computes from its parts' weights, without calling them, unless they have hooks."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    names = ["linear1", "linear2"]
    assert list(observe(layer, torch.randn(2, 3, 8), names)) == names
    told = refused(layer, torch.randn(2, 3, 8))
    assert "layer self_attn.out_proj: the samples never reach it" in told


def test_branch_not_taken_is_told(seed: int):
    class Chooses(nn.Module):
        def __init__(self):
            super().__init__()
            self.small, self.large = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, values: Tensor) -> Tensor:
            return self.large(values) if values.max() > 9 else self.small(values)

    told = refused(Chooses(), torch.ones(1, 4))
    assert "layer large: the samples never reach it" in told
    assert list(observe(Chooses(), [torch.ones(1, 4), 10 * torch.ones(1, 4)])) == ["small", "large"]
    assert list(observe(Chooses(), torch.ones(1, 4), ["small"])) == ["small"]


def test_wrong_samples_are_told(seed: int):
    network = branches(seed)
    assert refused(network, []) == "there are no samples"
    told = refused(network, [images(seed), 3])
    assert "samples of call 1 are int, must be a tensor, or a tuple or dict of arguments" in told
    told = refused(network, [images(seed), torch.ones(1, 5, 8, 7)])
    assert "the network does not run on the samples of call 1: " in told
    bad = images(seed)
    bad[0, 0, 0, 0] = torch.nan
    assert refused(network, bad).startswith("layer stem: is given values that are not finite")
    assert not any(part._forward_hooks for part in network.modules())


def test_images_of_two_sizes_are_told():
    network = nn.Sequential(nn.Conv2d(3, 4, 2))
    told = refused(network, [torch.ones(1, 3, 4, 4), torch.ones(1, 3, 5, 4)])
    assert "layer 0: the samples bring it images of (4, 4) and of (5, 4)" in told


def test_wrong_names_are_told(seed: int):
    told = refused(branches(seed), images(seed), ["mix", "head.1"])
    assert "there is no Linear or Conv2d 'head.1'; the network has stem, depth, query" in told
    assert refused(nn.ReLU(), images(seed)) == "the network has no Linear and no Conv2d"
