"""How large activations get, measured on batches."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.quantize.base import modules_with_inputs


@torch.no_grad()
def input_ranges(
    model: nn.Module,
    batches: Iterable[Tensor],
    *,
    percentile: float = 100.0,
    layers: list[str] | None = None,
) -> dict[str, float]:
    """The magnitude that each layer's inputs stay within.

    Parameters
    ----------
    model : nn.Module
        Runs in evaluation mode, and is left as it was.
    batches : tensors
        What the network takes. With a percentile below 100 all activations are kept in memory.
    percentile : float, above 0, up to 100
        Of the magnitudes of all inputs of a layer, zeros included, this many per cent are no larger
        than the result. 100 is the largest.
    layers : names of Linear layers and convolutions, optional
        Default is every one.

    Raises
    ------
    UserError
        There are no batches, a layer does not exist or never ran, or an activation is NaN or
        infinite.
    """
    if not 0 < percentile <= 100:
        raise UserError(
            f"a percentile of {percentile} was asked for, allowed is above 0, up to 100"
        )
    modules = modules_with_inputs(model, layers)
    seen: dict[str, list[Tensor]] = {name: [] for name in modules}

    def watch(name: str):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            magnitudes = inputs[0].detach().abs().flatten()
            seen[name].append(magnitudes if percentile < 100 else magnitudes.max()[None])

        return hook

    handles = [module.register_forward_pre_hook(watch(name)) for name, module in modules.items()]
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        for batch in batches:
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
        for module, was in training.items():
            module.training = was
    return {
        name: _range(name, torch.cat(found or [torch.zeros(0)]), percentile)
        for name, found in seen.items()
    }


def _range(layer: str, magnitudes: Tensor, percentile: float) -> float:
    if len(magnitudes) == 0:
        raise UserError(
            f"layer {layer} took nothing while calibrating: there are no batches for it"
        )
    if not torch.isfinite(magnitudes).all():
        raise UserError(f"layer {layer}: its inputs are NaN or infinite on these batches")
    rank = max(1, -int(-len(magnitudes) * percentile // 100))
    return float(magnitudes.kthvalue(rank).values)
