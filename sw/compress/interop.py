"""Networks that other libraries pruned, and files: in and out of :mod:`sw.compress`.

Taken are modules as ``torch.nn.utils.prune`` and ``torch.ao.pruning`` leave them, plain zeros, and
the objects of the TinyML course's labs. Given back are plain modules, state dicts and files.
"""

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.ao.pruning.sparsifier.utils import FakeSparsity
from torch.nn.utils import parametrize, prune

from spec.errors import UserError
from sw.compress.labs import lab_codebooks as lab_codebooks
from sw.compress.labs import lab_masks as lab_masks
from sw.compress.layers import RECURRENT, weights
from sw.compress.prune import Masks
from sw.compress.saving import load_into as load_into
from sw.compress.saving import save as save


def plain(model: nn.Module) -> tuple[nn.Module, Masks]:
    """A copy with plain tensors in it, and what stays in each of its layers.

    Parameters
    ----------
    model : nn.Module
        May hold parameters that are computed from others: ``NAME_orig`` and ``NAME_mask`` of
        ``torch.nn.utils.prune``, or a parametrization by ``FakeSparsity``, as the sparsifiers of
        ``torch.ao.pruning`` put it there. Where there is neither, zeros are what was pruned.

    Returns
    -------
    nn.Module, Masks
        A mask may keep a weight that is zero, if the library's own does.

    Raises
    ------
    UserError
        If a layer's weight is computed in another way.
    """
    own = copy.deepcopy(model, _detached(model))
    kept: dict[str, Tensor] = {}
    for name, module in own.named_modules():
        # What is made plain leaves the list that is walked through.
        for parameter, mask in [*_masked(module, name)]:
            if parameter == "weight" or isinstance(module, RECURRENT):
                layer = name if parameter == "weight" else f"{name}.{parameter}".lstrip(".")
                kept[layer] = mask.bool().clone()
            _finish(module, parameter)
    return own, Masks({**zeros(own), **{n: mask for n, mask in kept.items() if n in weights(own)}})


def zeros(model: nn.Module, layers: Iterable[str] | None = None) -> Masks:
    """What is not zero stays: masks of a network with plain zeros in it."""
    return Masks({name: weight.detach() != 0 for name, weight in weights(model, layers).items()})


def _detached(model: nn.Module) -> dict[int, Tensor]:
    """What deepcopy cannot copy, and what to take instead: products of weights and masks."""
    return {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }


def _masked(module: nn.Module, name: str) -> Iterator[tuple[str, Tensor]]:
    """Parameters of a module that are computed with a mask, and the masks."""
    for key, _ in module.named_parameters(recurse=False):
        parameter = key.removesuffix("_orig")
        if parameter != key and hasattr(module, f"{parameter}_mask"):
            yield parameter, getattr(module, f"{parameter}_mask")
    if not parametrize.is_parametrized(module):
        return
    for parameter, steps in module.parametrizations.items():  # type: ignore[union-attr]
        masks = [step.get_buffer("mask") for step in steps if isinstance(step, FakeSparsity)]
        if len(masks) != len(steps):
            kinds = ", ".join(type(step).__name__ for step in steps)
            raise UserError(
                f"layer {name or 'of the whole network'}: its {parameter} is computed by {kinds}; "
                "make it plain (torch.nn.utils.parametrize.remove_parametrizations) first"
            )
        yield parameter, torch.stack([mask.bool() for mask in masks]).all(0)


def _finish(module: nn.Module, parameter: str) -> None:
    """Put what is computed in the place of what it is computed from, in place."""
    if parametrize.is_parametrized(module, parameter):
        _give_own_class(module)
        parametrize.remove_parametrizations(module, parameter, leave_parametrized=True)
    else:
        prune.remove(module, parameter)


def _give_own_class(module: nn.Module) -> None:
    """A parametrized module shares its class with those that it was copied from, and what is
    removed from it would be removed from them, too."""
    shared = type(module)
    body = {n: v for n, v in vars(shared).items() if n not in ("__dict__", "__weakref__")}
    module.__class__ = type(shared.__name__, shared.__bases__, body)  # type: ignore[assignment]
