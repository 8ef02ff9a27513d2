"""State dicts: names and tensors of layers, without what stands between them."""

from collections.abc import Mapping

import numpy as np
import torch

from spec.errors import UserError
from sw.compile.network import FloatLayer, Network, check_chain
from sw.compile.tensors import tensor_values

ACTIVATIONS = ("relu", "none")
"""What may stand between the layers of a state dict, which does not say so itself."""


def from_state_dict(
    tensors: Mapping[str, torch.Tensor], activation: str = "relu", hint: str = ""
) -> Network:
    """Layers ``NAME.weight`` and ``NAME.bias`` in the order given, ``activation`` between them.

    A single layer may do without a name: ``weight`` and ``bias``, as a Linear itself has them.
    """
    if activation not in ACTIVATIONS:
        raise UserError(f"activation {activation!r} is unknown, there are {', '.join(ACTIVATIONS)}")
    if not isinstance(tensors, Mapping) or not tensors:
        raise UserError("the state dict is empty, or is none")
    _refuse_nested(tensors)
    tensors, masked = _apply_masks(tensors)
    if getattr(tensors.get("weight"), "ndim", 0) == 2 and set(tensors) <= {"weight", "bias"}:
        tensors = {f"layer.{key}": value for key, value in tensors.items()}
    names = [str(key).removesuffix(".weight") for key in tensors if _is_matrix(str(key), tensors)]
    known = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    for key, value in tensors.items():
        if key not in known:
            raise UserError(
                f"{key}, of shape {tuple(getattr(value, 'shape', ()))}: a state dict may hold "
                "NAME.weight of shape (outputs, inputs) and NAME.bias only; "
                "for any other layer save the network with torch.export (.pt2)"
            )
    layers = []
    for name in names:
        weight = tensor_values(tensors[f"{name}.weight"], f"{name}.weight")
        bias = np.zeros(len(weight))
        if f"{name}.bias" in tensors:
            bias = tensor_values(tensors[f"{name}.bias"], f"{name}.bias")
        relu = activation == "relu" and name != names[-1]
        layers.append(FloatLayer(name=name, weight=weight, bias=bias, relu=relu))
    between = {"relu": "a ReLU", "none": "nothing"}[activation]
    note = f"a state dict does not say what is between its layers: took {between} (--activation)"
    notes = (note, *(f"{name}: took it as its mask leaves it" for name in masked))
    return Network(layers=check_chain(layers, hint), notes=notes)


def _refuse_nested(tensors: Mapping) -> None:
    """Refuse what holds the state dict somewhere inside."""
    for key, value in tensors.items():
        if isinstance(value, Mapping):
            raise UserError(
                f"{key}: holds a dict, a state dict holds tensors; "
                f"if this is the state dict, pass the inner dict: model[{key!r}]"
            )


def _apply_masks(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[Mapping[str, torch.Tensor], list[str]]:
    """Parameters that torch.nn.utils.prune still computes from two as their masks leave them, and
    their names."""
    applied: dict[str, torch.Tensor] = {}
    masks: dict[str, str] = {}
    for key, value in tensors.items():
        name = str(key).removesuffix("_orig")
        if name == key and ".parametrizations." not in f".{key}":
            applied[key] = value
            continue
        parts = [value, tensors.get(f"{name}_mask")]
        shapes = [getattr(part, "shape", None) for part in parts]
        if name == key or None in shapes or shapes[0] != shapes[1]:
            raise UserError(
                f"{key}: belongs to a parameter that is computed from others; make it final before "
                "taking the state dict (torch.nn.utils.prune.remove, squash_mask of a sparsifier, "
                "torch.nn.utils.parametrize.remove_parametrizations), or compile the module itself"
            )
        applied[name] = torch.mul(*parts)
        masks[f"{name}_mask"] = name
    return {key: one for key, one in applied.items() if key not in masks}, [*masks.values()]


def _is_matrix(key: str, tensors: Mapping[str, torch.Tensor]) -> bool:
    return key.endswith(".weight") and getattr(tensors[key], "ndim", 0) == 2
