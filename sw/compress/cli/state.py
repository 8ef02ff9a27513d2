"""State dicts as networks, as far as names and shapes say what they are."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from spec.errors import UserError

ACTIVATIONS = ("relu", "none")
"""What may stand between the layers of a state dict, which does not say so itself."""

CONVOLUTIONS: dict[int, Any] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
"""By the dimensions of their weights."""


class Layers(nn.Module):
    """The layers of a state dict, under its own names.

    Every ``NAME.weight`` of two dimensions is a Linear, of three to five a convolution; everything
    else is kept as it is. It runs if all layers are Linear: one after another, on flattened inputs.

    Parameters
    ----------
    tensors : mapping of name to Tensor
    activation : "relu" or "none"
        What stands between layers. Nothing follows the last one.
    """

    def __init__(self, tensors: Mapping[str, Tensor], activation: str):
        super().__init__()
        self._chain: list[str] = []
        self._rest: list[str] = []
        self._activation = activation
        own = {name.removesuffix(".weight") for name, v in tensors.items() if _is_weight(name, v)}
        for name, value in tensors.items():
            holder, _, last = name.rpartition(".")
            if holder in own and last == "weight":
                self._put(holder, _layer(value, tensors.get(f"{holder}.bias")))
                (self._chain if value.ndim == 2 else self._rest).append(holder)
            elif holder not in own or last != "bias":
                self._holder(holder).register_buffer(last, value)
                self._rest.append(name)

    def forward(self, inputs: Tensor) -> Tensor:
        """Refuses if names and shapes do not say how."""
        if self._rest:
            raise UserError(
                f"a state dict does not say how a network with {self._rest[0]} computes: give "
                "package.module:function that makes it, and --state"
            )
        values = inputs.flatten(1)
        for name in self._chain:
            layer = self.get_submodule(name)
            # Of a network that is only traced the inputs' size is not known.
            if isinstance(values, Tensor) and values.shape[1] != layer.in_features:
                raise UserError(
                    f"layer {name} of the state dict has {layer.in_features} inputs, it would get "
                    f"{values.shape[1]}"
                )
            values = layer(values)
            if self._activation == "relu" and name != self._chain[-1]:
                values = values.relu()
        return values

    def _holder(self, path: str) -> nn.Module:
        """The module with this name, made if it is not there."""
        module: nn.Module = self
        for part in filter(None, path.split(".")):
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        return module

    def _put(self, path: str, layer: nn.Module) -> None:
        holder, _, last = path.rpartition(".")
        self._holder(holder).add_module(last, layer)


def unmasked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with ``NAME`` in place of the ``NAME_orig`` and ``NAME_mask`` that
    ``torch.nn.utils.prune`` computes it from."""
    found = {}
    for key, value in tensors.items():
        name = re.sub("_orig$|_mask$", "", key)
        if name != key and {f"{name}_orig", f"{name}_mask"} <= tensors.keys():
            found[name] = tensors[f"{name}_orig"] * tensors[f"{name}_mask"]
        else:
            found[key] = value
    return found


def _is_weight(name: str, value: Tensor) -> bool:
    is_real = value.is_floating_point() and value.ndim in (2, *CONVOLUTIONS)
    return name.endswith(".weight") and is_real


def _layer(weight: Tensor, bias: Tensor | None) -> nn.Module:
    outputs, inputs = weight.shape[:2]
    if weight.ndim == 2:
        layer = nn.Linear(inputs, outputs, bias is not None, device="meta")
    else:
        kind = CONVOLUTIONS[weight.ndim]
        # How it strides and pads is not known, and matters only to who runs it.
        layer = kind(inputs, outputs, tuple(weight.shape[2:]), bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
