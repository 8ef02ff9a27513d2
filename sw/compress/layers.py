"""The layers of a network that have a weight to compress."""

from collections.abc import Iterable

import torch
from torch import nn

from spec.errors import UserError

# Layers whose weight is a matrix or a kernel. Biases and normalizations are small, and stay dense.
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def weights(model: nn.Module, layers: Iterable[str] | None = None) -> dict[str, nn.Parameter]:
    """Layer name to weight, in the network's order.

    Parameters
    ----------
    model : nn.Module
    layers : names of layers, optional
        Only these; default is every Linear and convolution.

    Raises
    ------
    UserError
        If a layer does not exist or has no weight, or a weight is NaN or infinite.
    """
    found = {
        name: layer.weight
        for name, layer in model.named_modules()
        if isinstance(layer, WEIGHTED) and isinstance(layer.weight, nn.Parameter)
    }
    chosen = list(found) if layers is None else list(layers)
    if not found:
        raise UserError("the network has no Linear and no convolution to compress")
    for name in chosen:
        if name not in found:
            raise UserError(f"no layer {name!r} with a weight; the network has {', '.join(found)}")
        _refuse_broken(name, found[name])
    return {name: weight for name, weight in found.items() if name in chosen}


def _refuse_broken(name: str, weight: torch.Tensor) -> None:
    broken = int((~torch.isfinite(weight.detach())).sum())
    if broken:
        raise UserError(f"layer {name}: {broken} of {weight.numel()} weights are NaN or infinite")


def density(model: nn.Module, layers: Iterable[str] | None = None) -> float:
    """Share of the weights that are not zero, over all chosen layers."""
    chosen = weights(model, layers).values()
    return sum(int(w.count_nonzero()) for w in chosen) / sum(w.numel() for w in chosen)
