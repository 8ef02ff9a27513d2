"""The layers of a network that have a weight to compress."""

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from spec.errors import UserError

# Layers whose weight is a matrix or a kernel. Biases and normalizations are small, and stay dense.
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

# Layers with several matrices; each counts as a layer, by the parameter's name.
RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


def weights(model: nn.Module, layers: Iterable[str] | None = None) -> dict[str, nn.Parameter]:
    """Layer name to weight, in the network's order.

    The matrices of an LSTM, GRU or RNN go by their own names, such as ``lstm.weight_hh_l0``.

    Parameters
    ----------
    model : nn.Module
    layers : names of layers, optional
        Only these; default is every Linear, convolution and matrix of a recurrent layer.

    Raises
    ------
    UserError
        If a layer does not exist or has no weight, or a weight is NaN or infinite.
    """
    found = dict(_weighted(model))
    named = [layers] if isinstance(layers, str) else layers
    chosen = list(found) if named is None else list(named)
    refuse_computed([name for name in computed(model) if named is None or name in chosen])
    if not found:
        raise UserError("the network has no Linear, convolution or recurrent layer to compress")
    for name in chosen:
        if name not in found:
            raise UserError(f"no layer {name!r} with a weight; the network has {', '.join(found)}")
        _refuse_broken(name, found[name])
    return {name: weight for name, weight in found.items() if name in chosen}


def _weighted(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, layer in model.named_modules():
        if isinstance(layer, WEIGHTED) and isinstance(layer.weight, nn.Parameter):
            yield name, layer.weight
        if isinstance(layer, RECURRENT):
            for own, weight in layer.named_parameters(recurse=False):
                if own.startswith("weight_"):
                    yield f"{name}.{own}".lstrip("."), weight


def computed(model: nn.Module) -> list[str]:
    """Layers whose weight is computed from other parameters, so that it cannot be set to zero:
    those of ``torch.nn.utils.prune``, and parametrized ones."""
    return [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, WEIGHTED) and not isinstance(layer.weight, nn.Parameter)
        if isinstance(layer.weight, torch.Tensor)
    ]


def refuse_computed(names: list[str]) -> None:
    """Raise a UserError if there are any; takes what :func:`computed` gives."""
    if names:
        raise UserError(
            f"layer {names[0]}: its weight is computed from others, as by torch.nn.utils.prune or "
            "a parametrization: make it plain (sw.compress.interop.plain), or leave the layer out"
        )


def locate(model: nn.Module, layer: str) -> tuple[nn.Module, str]:
    """The module that has a layer's weight, and the weight's name in it."""
    holder, _, own = layer.rpartition(".")
    if own.startswith("weight_") and isinstance(model.get_submodule(holder), RECURRENT):
        return model.get_submodule(holder), own
    return model.get_submodule(layer), "weight"


def _refuse_broken(name: str, weight: torch.Tensor) -> None:
    if weight.is_meta or isinstance(weight, nn.UninitializedParameter):
        raise UserError(f"layer {name}: its weights have no values yet; run or load the network")
    broken = int((~torch.isfinite(weight.detach())).sum())
    if broken:
        raise UserError(f"layer {name}: {broken} of {weight.numel()} weights are NaN or infinite")


def density(model: nn.Module, layers: Iterable[str] | None = None) -> float:
    """Share of the weights that are not zero, over all chosen layers."""
    chosen = weights(model, layers).values()
    return sum(int(w.count_nonzero()) for w in chosen) / sum(w.numel() for w in chosen)
