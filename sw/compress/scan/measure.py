"""What a scan measures of a network, and how networks are told apart."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.criteria.base import Batches, Criterion
from sw.compress.train import accuracy

Measure = Callable[[nn.Module], float]
"""How good a network is: more is better."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Share of the pictures that a classifier puts into their class, 0...1."""

    images: Tensor
    labels: Tensor

    def __post_init__(self):
        if not len(self.images) == len(self.labels) > 0:
            raise UserError(
                f"{len(self.images)} pictures and {len(self.labels)} labels were given to measure "
                "an accuracy on; they must be as many, and not none"
            )

    def __call__(self, model: nn.Module) -> float:
        return accuracy(model, self.images, self.labels)


def measured(measure: Measure, model: nn.Module) -> float:
    """A finite number, or a :class:`UserError`."""
    value = measure(model)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"the function that measures a network gave {value!r}, it must be a number")
    return number


def digest(model: nn.Module, batches: Batches | None) -> str:
    """Of a network's kinds of layers and parameters, and of calibration data."""
    found = hashlib.sha256()
    for name, module in model.named_modules():
        found.update(f"{name} {type(module).__name__}\n".encode())
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(_bytes(value))
    for inputs, targets in batches or ():
        for value in (*(inputs if isinstance(inputs, (tuple, list)) else (inputs,)), targets):
            found.update(_bytes(value) if isinstance(value, Tensor) else repr(value).encode())
    return found.hexdigest()[:16]


def told(criterion: str | Criterion) -> str:
    """A criterion and what it was made with, the same in every process."""
    if isinstance(criterion, str):
        return criterion
    options = ", ".join(f"{key}={value}" for key, value in sorted(vars(criterion).items()))
    return f"{criterion.name}({options})" if options else criterion.name


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
