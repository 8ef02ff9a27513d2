"""Networks that are no chains, for the compiler's tests, and what they compute in integers."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spec.nm.golden import Decoded
from spec.nm.program import Program
from spec.nm.summary import unpack
from spec.numbers import quantize
from sw.compress.layers import weights
from sw.compress.patterns import nm_mask
from tests.spec.nm.networks import finish


class Branches(nn.Module):
    """Images (samples, 6, 8, 7) through two convolutions, one with channel groups and led around,
    attention over their places, a Linear that is called twice, and two heads that are added."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(6, 8, (3, 2), stride=(2, 1), padding=(1, 0))
        self.depth = nn.Conv2d(8, 8, 3, padding="same", groups=2, dilation=2, bias=False)
        self.query = nn.Linear(8, 12)
        self.key = nn.Linear(8, 12)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Sequential(nn.Linear(8, 20), nn.GELU(), nn.Linear(20, 5, bias=False))
        self.other = nn.Linear(8, 5)

    def forward(self, images: Tensor, gain: float = 1.0) -> Tensor:
        seen = torch.tanh(self.stem(images))
        seen = seen + self.depth(seen)
        tokens = seen.flatten(2).transpose(1, 2)
        scores = self.query(tokens) @ self.key(tokens).transpose(1, 2)
        mixed = scores.softmax(-1) @ self.mix(tokens)
        mixed = self.mix(torch.tanh(mixed) * gain).mean(1)
        return self.head(mixed) + self.other(mixed)


def branches(seed: int) -> Branches:
    """Pruned to 2:4, in training mode, as it comes."""
    torch.manual_seed(seed)
    network = Branches()
    with torch.no_grad():
        for weight in weights(network).values():
            weight.mul_(nm_mask(weight, 2, 4))
    return network


def images(seed: int, count: int = 6) -> Tensor:
    return torch.randn(count, 6, 8, 7, generator=torch.Generator().manual_seed(seed))


def in_integers(network: nn.Module, program: Program) -> nn.Module:
    """A copy whose layers compute what the numbers' contract says, with torch's own products."""
    network = copy.deepcopy(network).eval()
    for number, layer in enumerate(program.layers):
        part = network.get_submodule(layer.name)
        part.forward = _Integers(program, number, part)
    return network


class _Integers:
    def __init__(self, program: Program, number: int, part: nn.Module) -> None:
        self.program = program
        self.layer = program.layers[number]
        self.scales = program.weights[number]
        self.words = Decoded(program, number)
        self.weight = torch.from_numpy(unpack(program)[self.layer.name]).double()
        self.part = part

    def __call__(self, given: Tensor) -> Tensor:
        part, unfold = self.part, self.layer.unfold
        shape = (-1, 1, 1) if unfold else (-1,)
        bits = self.program.config.act_bits
        scales = self.scales.input_scales.reshape(shape)
        integers = torch.from_numpy(quantize(given.double().numpy(), scales, bits)).double()
        if unfold is None:
            sums = F.linear(integers, self.weight)
        else:
            kernels = self.weight.unflatten(1, (-1, *unfold.kernel))
            sums = F.conv2d(integers, kernels, None, part.stride, part.padding, part.dilation)
            sums = sums.movedim(1, -1)
        results = finish(self.program.config, self.layer, self.words, sums.numpy().astype(np.int64))
        real = torch.from_numpy(results * self.scales.output_scales).to(given)
        return real.movedim(-1, 1) if unfold else real
