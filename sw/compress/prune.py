"""Magnitude pruning: which weights stay, and keeping the others at zero while training goes on.

Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.layers import weights


class Masks(Mapping[str, Tensor]):
    """Which weights of each layer stay: a read-only mapping of layer name to a bool tensor.

    Parameters
    ----------
    by_layer : mapping of layer name to bool tensor
        ``True`` where a weight stays. Shape of the layer's weight.
    """

    def __init__(self, by_layer: Mapping[str, Tensor]):
        self._kept = {name: mask.bool() for name, mask in by_layer.items()}

    def __getitem__(self, layer: str) -> Tensor:
        return self._kept[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def kept(self) -> int:
        """Number of weights that stay."""
        return sum(int(mask.sum()) for mask in self._kept.values())

    @property
    def total(self) -> int:
        """Number of weights, pruned ones included."""
        return sum(mask.numel() for mask in self._kept.values())

    @property
    def density(self) -> float:
        """Share of the weights that stay; 1 if there are no masks."""
        return self.kept / self.total if self else 1.0

    def apply(self, model: nn.Module) -> None:
        """Set what is pruned to zero, in place."""
        zero(self.targets(model))

    def parameters(self, model: nn.Module) -> list[nn.Parameter]:
        """What an optimizer is to change: everything, as the zeros are restored after each step."""
        return list(model.parameters())

    @contextmanager
    def keep(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Within this context what is pruned is zero, again after each step of the optimizer."""
        targets = self.targets(model)
        zero(targets)
        handle = optimizer.register_step_post_hook(lambda *_: zero(targets))
        try:
            yield
        finally:
            handle.remove()

    def penalty(self) -> Tensor | None:
        """Nothing is added to the loss."""
        return None

    def targets(self, model: nn.Module) -> list[tuple[Tensor, Tensor]]:
        """Each weight with ones where it stays and zeros elsewhere."""
        found = weights(model, self)
        for name, weight in found.items():
            if weight.shape != self[name].shape:
                raise UserError(
                    f"layer {name}: the mask's shape is {tuple(self[name].shape)}, "
                    f"the weight's {tuple(weight.shape)}"
                )
        return [(weight, self[name].to(weight.dtype)) for name, weight in found.items()]


@torch.no_grad()
def zero(targets: list[tuple[Tensor, Tensor]]) -> None:
    """Set what is pruned to zero, in place; takes what :meth:`Masks.targets` gives."""
    # A product is much the fastest way, but leaves negative zeros; adding 0 makes zeros of them.
    for weight, ones in targets:
        weight.mul_(ones).add_(0.0)


def magnitude(model: nn.Module, density: float | Mapping[str, float]) -> Masks:
    """Keep the largest magnitudes of each layer by itself.

    Parameters
    ----------
    model : nn.Module
        Is not changed.
    density : float or mapping of layer name to float
        Share of each layer's weights that stay, 0...1. Layers that a mapping does not name are left
        alone.

    Returns
    -------
    Masks
        With exactly :func:`kept_count` weights kept in each layer. Among equal magnitudes the first
        ones in row-major order stay.
    """
    if isinstance(density, Mapping):
        found, densities = weights(model, density), dict(density)
    else:
        found = weights(model)
        densities = dict.fromkeys(found, density)
    counts = {name: kept_count(w.numel(), densities[name], name) for name, w in found.items()}
    return Masks({name: largest(w.detach().abs(), counts[name]) for name, w in found.items()})


def kept_count(total: int, density: float, where: str) -> int:
    """Number of weights that stay.

    What is pruned is rounded, half to even, as ``torch.nn.utils.prune`` does.
    """
    if not isinstance(density, Real) or not 0 <= density <= 1:
        raise UserError(f"{where}: a density of {density} was given, allowed is 0...1")
    return total - round(total * (1 - density))


def largest(scores: Tensor, count: int) -> Tensor:
    """Where the ``count`` largest scores are, among equal ones the first. Bool."""
    if count == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = scores.flatten().kthvalue(scores.numel() - count + 1).values
    # What lies above the threshold stays; of those that lie on it, as many as are still missing.
    kept = (scores > threshold).flatten()
    equal = (scores == threshold).flatten().nonzero().flatten()
    kept[equal[: count - int(kept.sum())]] = True
    return kept.reshape(scores.shape)
