"""Networks whose channels take ways of every kind, with numbers from ``rng`` everywhere."""

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.sw.compress.networks import tensor

Model = TypeVar("Model", bound=nn.Module)


def fill(model: Model, rng: np.random.Generator) -> Model:
    """Every parameter and statistic from ``rng``; evaluation mode."""
    with torch.no_grad():
        for name, numbers in [*model.named_parameters(), *model.named_buffers()]:
            if numbers.is_floating_point():
                drawn = tensor(rng, *numbers.shape)
                numbers.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
                if numbers.ndim > 1:  # activations stay of a size, however deep the network
                    numbers.mul_(1.5 / np.sqrt(numbers[0].numel()))
    return model.eval()


def zero_outputs(model: nn.Module, rng: np.random.Generator, share: float = 0.4) -> None:
    """Set all weights of some outputs of each layer to zero; biases stay."""
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight[torch.from_numpy(rng.random(len(layer.weight)) < share)] = 0


class LeNet5(nn.Module):
    """Convolutions, a Flatten by hand, Linears."""

    sample = (3, 1, 28, 28)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 4 * 4, 20)
        self.fc2 = nn.Linear(20, 12, bias=False)
        self.fc3 = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), (2, 2))
        x = x.view(x.size(0), -1)
        x = F.dropout(F.relu(self.fc1(x)), training=self.training)
        return F.log_softmax(self.fc3(self.fc2(x).relu_()), dim=1)


class Block(nn.Module):
    """The residual block of ResNet, with a projection if sizes differ."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.project = None
        if inputs != outputs:
            self.project = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.project is None else self.project(x)
        return self.relu(y)


class ResNet(nn.Sequential):
    sample = (2, 3, 9, 9)

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            Block(8, 8),
            Block(8, 12),
            Block(12, 12),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, 5),
        )


class Mobile(nn.Module):
    """Depthwise and grouped convolutions, and a gate for each channel (squeeze and excite)."""

    sample = (2, 3, 10, 10)

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 12, 1)
        self.reduce = nn.Linear(12, 4)
        self.expand = nn.Linear(4, 12)
        self.grouped = nn.Conv2d(12, 24, 3, groups=4)
        self.head = nn.Conv2d(24, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.bn(self.stem(x)))
        x = self.pointwise(F.hardswish(self.depthwise(x)))
        gate = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3))))))
        x = self.grouped(F.avg_pool2d(x * gate[..., None, None], 2))
        return self.head(x).mean(dim=[2, 3])


class Dense(nn.Module):
    """Concatenated channels (DenseNet), a layer that is called twice, three heads."""

    sample = (2, 4, 6, 6)

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(4, 8, 3, padding=1, padding_mode="circular")
        self.two = nn.Conv2d(8, 8, 1)
        self.bn = nn.BatchNorm2d(16, affine=False)
        self.three = nn.Conv2d(16, 12, 1)
        self.four = nn.Conv2d(28, 8, 2)
        self.fc = nn.Linear(8, 7)
        self.heads = nn.ModuleList([nn.Linear(7, 2), nn.Linear(7, 3)])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = F.gelu(self.one(x))
        x = torch.cat([x, F.leaky_relu(self.two(self.two(x)))], 1)
        x = torch.cat([self.three(self.bn(x)), x], dim=1)
        y = F.relu(self.four(x)).flatten(2).transpose(1, 2)
        y = F.silu(self.fc(y)).amax(1)
        return (y * 2 + 1, *(head(y) for head in self.heads))


class Mlp(nn.Sequential):
    sample = (5, 10)

    def __init__(self):
        super().__init__(
            nn.Linear(10, 24),
            nn.BatchNorm1d(24),
            nn.Sigmoid(),
            nn.Dropout(),
            nn.Linear(24, 16, bias=False),
            nn.LeakyReLU(),
            nn.Linear(16, 8),
            nn.Softplus(),
            nn.Linear(8, 3),
        )


class Flat(nn.Sequential):
    """Blocks of columns: a Flatten of planes, BatchNorm on both sides of it."""

    sample = (3, 2, 5, 5)

    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 8, 3),
            nn.BatchNorm2d(8),
            nn.AvgPool2d(2, 1, padding=1),
            nn.Flatten(),
            nn.BatchNorm1d(8 * 16),
            nn.Linear(8 * 16, 8),
            nn.Linear(8, 4),
        )


class Random(nn.Module):
    """Convolutions in a random order, each reading one or two of all tensors before it."""

    sample = (2, 3, 7, 7)

    def __init__(self, rng: np.random.Generator, layers: int = 7):
        super().__init__()
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        self.ways: list[tuple[list[int], str, Any]] = []
        widths, acts = [3], (torch.relu, torch.tanh, F.gelu, torch.sigmoid, F.leaky_relu)
        for _ in range(layers):
            way = str(rng.choice(["one", "add", "cat"]))
            sources = [int(at) for at in rng.integers(len(widths), size=1 if way == "one" else 2)]
            if way == "add" and widths[sources[0]] != widths[sources[1]]:
                way = "cat"
            width = sum(widths[at] for at in sources) if way == "cat" else widths[sources[0]]
            outputs, depthwise = int(rng.choice([4, 8])), rng.random() < 0.2
            outputs = width if depthwise else outputs
            kernel, groups = int(rng.choice([1, 3])), width if depthwise else 1
            mode = str(rng.choice(["zeros", "circular"]))
            self.layers.append(
                nn.Conv2d(
                    width,
                    outputs,
                    kernel,
                    padding=kernel // 2,
                    padding_mode=mode,
                    groups=groups,
                    bias=bool(rng.integers(2)),
                )
            )
            self.norms.append(nn.BatchNorm2d(outputs) if rng.integers(2) else nn.Identity())
            self.ways.append((sources, way, acts[rng.integers(len(acts))]))
            widths.append(outputs)
        self.head = nn.Linear(widths[-1], 3)

    def forward(self, x: Tensor) -> Tensor:
        made = [x]
        for layer, norm, (sources, way, act) in zip(
            self.layers, self.norms, self.ways, strict=True
        ):
            given = [made[at] for at in sources]
            y = torch.cat(given, 1) if way == "cat" else sum(given[1:], given[0])
            made.append(act(norm(layer(y))))
        return self.head(made[-1].flatten(2).mean(2))


NETWORKS = (LeNet5, ResNet, Mobile, Dense, Mlp, Flat)


def sample(model: Any, rng: np.random.Generator) -> Tensor:
    return tensor(rng, *model.sample)


def outputs(model: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        given = model(x)
    return [given] if isinstance(given, Tensor) else list(given)


def assert_same(model: nn.Module, other: nn.Module, x: Tensor, least: float = 1e-3) -> None:
    """Same outputs in evaluation mode, up to rounding."""
    for one, two in zip(outputs(model, x), outputs(other, x), strict=True):
        assert one.std() >= least  # or it would say nothing
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)
