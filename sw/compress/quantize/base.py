"""What all ways of quantizing share: integers with scales, and networks rounded to them.

``integer = saturate(round_half_even(real / scale))``, as :mod:`spec.numbers` has it.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spec import numbers
from spec.errors import UserError
from sw.compress.layers import WEIGHTED, weights


class Quantized(NamedTuple):
    """A tensor as integers.

    Attributes
    ----------
    integers : the narrowest of int8, int16 and int32 that has ``bits``; shape of the tensor
    scale : float64, a shape that broadcasts to the tensor's
        One for all, or one for each index of the first dimension.
    bits : int
        Width of the signed integers.
    """

    integers: Tensor
    scale: Tensor
    bits: int

    def expand(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The real values that the integers stand for."""
        return (self.integers.double() * self.scale).to(dtype)


def quantize(real: Tensor, scale: Tensor, bits: int) -> Quantized:
    """The nearest integers, ties to even; what does not fit saturates."""
    kind = next(d for d in (torch.int8, torch.int16, torch.int32) if torch.iinfo(d).bits >= bits)
    values = real.detach().double().numpy()
    integers = torch.from_numpy(numbers.quantize(values, scale.numpy(), bits))
    return Quantized(integers.to(kind), scale, bits)


def rounded(model: nn.Module, quantized: Mapping[str, Quantized]) -> nn.Module:
    """A copy of the network whose weights are integers times their scales.

    Raises
    ------
    UserError
        A layer does not exist, or has another shape.
    """
    result = copy.deepcopy(model)
    for name, weight in weights(result, quantized).items():
        value = quantized[name].expand(weight.dtype)
        if value.shape != weight.shape:
            raise UserError(
                f"layer {name}: the integers have shape {tuple(value.shape)}, the weight has "
                f"{tuple(weight.shape)}"
            )
        weight.data = value
    return result


@contextmanager
def rounding_inputs(model: nn.Module, scales: Mapping[str, float], bits: int) -> Iterator[None]:
    """Within this context, what the named layers take is rounded to integers times a scale.

    So a network runs as on an array that quantizes activations; the network itself stays as it is.
    """
    modules = modules_with_inputs(model, scales)

    def rounding(scale: float):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            first, *others = inputs
            value = quantize(first, torch.tensor(scale, dtype=torch.float64), bits)
            return (value.expand(first.dtype), *others)

        return hook

    handles = [
        module.register_forward_pre_hook(rounding(scales[name])) for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def modules_with_inputs(
    model: nn.Module, layers: Mapping[str, float] | list[str] | None = None
) -> dict[str, nn.Module]:
    """The Linear layers and convolutions, or those of them that are named."""
    found = {name: layer for name, layer in model.named_modules() if isinstance(layer, WEIGHTED)}
    chosen = list(found) if layers is None else list(layers)
    if not found:
        raise UserError("the network has no Linear and no convolution to quantize the inputs of")
    for name in chosen:
        if name not in found:
            raise UserError(f"no Linear and no convolution {name!r}; there are {', '.join(found)}")
    return {name: found[name] for name in chosen}
