"""Within a context layers compute on a device, and afterwards as before."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from spec.nm.config import preset
from spec.nm.golden import GoldenModel
from spec.nm.program import Program
from sw.compile.nm.attach import on_device
from sw.compile.nm.linears import compile_linears
from tests.sw.compile.nm.modules import branches, images

pytestmark = pytest.mark.unit

CONFIG = preset("tiny", act_lines=128, weight_steps=64)


def golden(program: Program) -> Callable[[int, np.ndarray], np.ndarray]:
    model = GoldenModel(program)
    return lambda number, acts: model.run_layer(number, acts)[0]


def test_layers_compute_as_before_afterwards(seed: int):
    network, samples = branches(seed).eval(), images(seed)
    program = compile_linears(network, samples, CONFIG)
    before = network(samples)
    with on_device(network, program, golden(program)):
        within = network(samples)
    assert not torch.equal(within, before)
    assert torch.equal(network(samples), before)
    _check_untouched(network)


def test_failing_device_leaves_the_network_as_it_was(seed: int):
    network, samples = branches(seed).eval(), images(seed)
    program = compile_linears(network, samples, CONFIG)
    before = network(samples)

    def run_layer(number: int, acts: np.ndarray) -> np.ndarray:
        if number == 4:
            raise OSError("unplugged")
        return golden(program)(number, acts)

    with pytest.raises(OSError, match="unplugged"), on_device(network, program, run_layer):
        network(samples)
    assert torch.equal(network(samples), before)
    _check_untouched(network)


def test_other_networks_program_leaves_the_network_as_it_was(seed: int):
    network = branches(seed)
    program = compile_linears(network, images(seed), CONFIG)
    network.other = nn.Linear(9, 5)
    with (
        pytest.raises(UserError, match=r"layer other: the program's takes 8 and gives 5, .*=9"),
        on_device(network, program, golden(program)),
    ):
        pytest.fail("it is not entered")
    _check_untouched(network)
    with (
        pytest.raises(UserError, match="there is no Linear or Conv2d 'stem'; the network has 0"),
        on_device(nn.Sequential(nn.Linear(8, 5)), program, golden(program)),
    ):
        pytest.fail("it is not entered")


def test_convolution_is_no_linear_layer():
    program = compile_linears(nn.Sequential(nn.Linear(8, 4)), torch.ones(1, 8), CONFIG)
    with (
        pytest.raises(UserError, match="layer 0: the program's takes 8 and gives 4, .* Conv2d"),
        on_device(nn.Sequential(nn.Conv2d(8, 4, 1)), program, golden(program)),
    ):
        pytest.fail("it is not entered")


def test_forward_that_was_replaced_before_comes_back():
    network = nn.Sequential(nn.Linear(8, 4))
    program = compile_linears(network, torch.ones(1, 8), CONFIG)
    network[0].forward = nn.functional.relu
    with on_device(network, program, golden(program)):
        assert network(torch.ones(1, 8)).shape == (1, 4)
    assert torch.equal(network(-torch.ones(1, 8)), torch.zeros(1, 8))


@pytest.mark.parametrize("shape", [(8,), (3, 8), (2, 3, 8), (2, 1, 3, 8)])
def test_any_leading_axes(seed: int, shape: tuple[int, ...]):
    torch.manual_seed(seed)
    layer, samples = nn.Linear(8, 5), torch.randn(shape)
    program = compile_linears(layer, torch.randn(10, 8), CONFIG)
    with on_device(layer, program, golden(program)):
        found = layer(samples)
        flat = layer(samples.reshape(-1, 8))
        named = layer(input=samples)
    assert found.shape == (*shape[:-1], 5)
    assert torch.equal(found.reshape(-1, 5), flat)
    assert torch.equal(named, found)


def test_image_without_a_batch(seed: int):
    torch.manual_seed(seed)
    layer, samples = nn.Conv2d(4, 6, (3, 2)), torch.randn(2, 4, 5, 6)
    program = compile_linears(layer, samples, CONFIG)
    with on_device(layer, program, golden(program)):
        found = layer(samples)
        alone = layer(samples[1])
    assert found.shape == (2, 6, 3, 5)
    assert torch.equal(alone, found[1])


def test_nothing_is_no_run():
    layer = nn.Linear(8, 5)
    program = compile_linears(layer, torch.ones(1, 8), CONFIG)
    with on_device(layer, program, lambda number, acts: pytest.fail("ran")):
        assert layer(torch.ones(0, 3, 8)).shape == (0, 3, 5)


def test_what_a_layer_cannot_take_is_told():
    network = nn.Sequential(nn.Conv2d(4, 6, 2), nn.Flatten(2), nn.Linear(4, 3))
    program = compile_linears(network, torch.ones(1, 4, 3, 3), CONFIG)
    with on_device(network, program, golden(program)):
        with pytest.raises(UserError, match=r"layer 0: is given shape \(1, 4, 4, 3\), must end in"):
            network(torch.ones(1, 4, 4, 3))
        with pytest.raises(UserError, match=r"layer 2: is given shape \(5,\), must end in \(4,\)"):
            network[2](torch.ones(5))
        with pytest.raises(UserError, match="layer 0: is given values that are not finite"):
            network(torch.full((1, 4, 3, 3), torch.nan))


def test_torchs_own_transformer_computes_on_the_device():
    """It would compute from its parts' weights, without calling them, unless they have hooks."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    samples = torch.randn(2, 3, 8)
    program = compile_linears(layer, samples, CONFIG, names=["linear1", "linear2"])
    called = []

    def run_layer(number: int, acts: np.ndarray) -> np.ndarray:
        called.append(number)
        return golden(program)(number, acts)

    with on_device(layer, program, run_layer), torch.no_grad():
        layer(samples)
    assert called == [0, 1]


def _check_untouched(network: nn.Module) -> None:
    for part in network.modules():
        assert "forward" not in part.__dict__
        assert not part._forward_hooks
