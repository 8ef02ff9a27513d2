"""Exported programs as networks, and back."""

import copy

import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.cli import exported
from sw.compress.layers import weights
from sw.compress.lifecycle import prepare
from tests.sw.compress.networks import tensor, two_layers

# Importing what exports takes seconds.
pytestmark = pytest.mark.flow


class Shared(nn.Module):
    """Calls a layer twice, and one without a module."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.own = nn.Parameter(torch.ones(2, 6))

    def forward(self, x):
        return nn.functional.linear(self.first(self.first(x).relu()), self.own)


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, groups=2, padding="same", dilation=2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(128, 10),
        nn.Linear(10, 3, bias=False),
    ).eval()


def test_layers_are_found_and_compute_the_same(rng, tmp_path):
    model, inputs = convolutions(), tensor(rng, 5, 2, 8, 8)
    program = exported.read(exported.write_new(model, inputs[:2], tmp_path / "net.pt2"))
    network = exported.network(program)
    assert list(weights(network)) == ["0", "3", "6", "7"]
    assert exported.input_shape(program) == (2, 8, 8)
    assert torch.equal(network(inputs), model(inputs))
    assert network.get_submodule("3").groups == 2
    names = {name for name, _ in model.named_parameters()}
    assert {name for name, _ in network.named_parameters()} == names
    network.train()
    network(inputs).sum().backward()


def test_a_file_holds_no_data_set(rng, tmp_path):
    """The example is a part of one, and must not bring it along."""
    pictures = tensor(rng, 20_000, 20)
    path = exported.write_new(two_layers(rng), pictures[:2], tmp_path / "net.pt2")
    assert path.stat().st_size < pictures.nbytes / 10


def test_it_is_pruned_and_written_again(rng, tmp_path):
    model, inputs = convolutions(), tensor(rng, 5, 2, 8, 8)
    program = exported.read(exported.write_new(model, inputs[:2], tmp_path / "net.pt2"))
    finished = prepare(exported.network(program), density=0.25).finalize()
    path = exported.write_same(program, finished.model, tmp_path / "out.pt2")
    for layer in (0, 3, 6, 7):
        weight = model[layer].weight
        weight.data *= finished.masks[str(layer)]
    with torch.no_grad():
        outputs = torch.export.load(path).module()(inputs)
        assert torch.allclose(outputs, model(inputs), atol=1e-6)
    assert finished.masks.density == pytest.approx(0.25, abs=0.01)


def test_a_layer_that_is_called_twice_stays_one(rng, tmp_path):
    model, inputs = Shared(), tensor(rng, 5, 6)
    program = exported.read(exported.write_new(model, inputs[:2], tmp_path / "net.pt2"))
    network = exported.network(program)
    assert list(weights(network)) == ["first"]
    assert torch.equal(network(inputs), model(inputs))


def test_bad_input(rng, tmp_path):
    model = two_layers(rng)
    program = exported.read(exported.write_new(model, tensor(rng, 2, 20), tmp_path / "net.pt2"))
    other = copy.deepcopy(model)
    other[0] = nn.Linear(20, 29)
    with pytest.raises(UserError, match="an exported program keeps its shapes"):
        exported.write_same(program, other, tmp_path / "out.pt2")
    with pytest.raises(UserError, match="torch.export cannot trace the network"):
        exported.write_new(model, tensor(rng, 2, 19), tmp_path / "out.pt2")
    whole = (tmp_path / "net.pt2").read_bytes()
    (tmp_path / "net.pt2").write_bytes(whole[:500])
    with pytest.raises(UserError, match="torch.export cannot load it"):
        exported.read(tmp_path / "net.pt2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt2"]
