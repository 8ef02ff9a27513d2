"""Outputs of layers that do not depend on the network's input: what they are.

Constants are float64, one for each channel, NaN where a channel is not constant. They are those of
evaluation mode.
"""

from typing import Any

import torch
from torch import Tensor, nn


def foldable(layer: nn.Module, constants: Tensor) -> Tensor:
    """Those of a layer's constant inputs that its bias can take over exactly; NaN for others.

    At the border of a convolution that pads with zeros, a constant other than zero is not constant.
    """
    padded = False
    if not isinstance(layer, nn.Linear):
        convolution: Any = layer
        padding, kernel = convolution.padding, convolution.kernel_size
        wide = any(k > 1 for k in kernel) if padding == "same" else padding != "valid"
        zeros = padding in ("same", "valid") or any(padding)
        padded = convolution.padding_mode == "zeros" and wide and zeros
    return torch.where(constants == 0, constants, torch.nan) if padded else constants


def folded(layer: nn.Module, rows: Tensor, constants: Tensor) -> Tensor:
    """What constant inputs add to these outputs of a layer; inputs that are not constant nothing.

    Parameters
    ----------
    rows : bool tensor
        Which outputs.
    """
    weight, groups = _weight(layer), getattr(layer, "groups", 1)
    values = foldable(layer, constants).nan_to_num(0.0).reshape(groups, -1)
    of_rows = values.repeat_interleave(len(weight) // groups, 0)[rows]
    used = of_rows.any(0)
    sums = weight[rows][:, used].double().sum(2)
    return (sums * of_rows[:, used].to(sums.device)).sum(1).cpu()


def written(layer: nn.Module, constants: Tensor) -> Tensor:
    """Constants that a Linear or a convolution writes, given those that it reads.

    An output is constant if every input that it has a weight for is.
    """
    weight, groups = _weight(layer), getattr(layer, "groups", 1)
    varies = foldable(layer, constants).isnan().reshape(groups, 1, -1)
    used = (weight != 0).any(2).cpu().reshape(groups, -1, weight.shape[1])
    rows = ~(used & varies).any(2).flatten()
    result = torch.full((len(weight),), torch.nan, dtype=torch.double)
    result[rows] = folded(layer, rows, constants) + bias(layer)[rows]
    return result


def normalized(layer: nn.Module, constants: Tensor) -> Tensor:
    """Constants that a BatchNorm writes, given those that it reads.

    A channel whose factor is zero is constant, too: its shift.
    """
    norm: Any = layer
    none, every = torch.zeros(len(constants), dtype=torch.double), torch.ones(len(constants))
    factor, shift = _double(norm.weight, every.double()), _double(norm.bias, none)
    # Without running statistics a constant is its own mean.
    mean, variance = _double(norm.running_mean, constants), _double(norm.running_var, none)
    result = (constants - mean) / (variance + norm.eps).sqrt() * factor + shift
    return torch.where(factor == 0, shift, result)


def bias(layer: nn.Module) -> Tensor:
    """A layer's bias in float64; zeros if it has none."""
    given: Any = layer.bias
    return _double(given, torch.zeros(len(_weight(layer)), dtype=torch.double))


def _double(given: Tensor | None, default: Tensor) -> Tensor:
    return default if given is None else given.detach().cpu().double()


def _weight(layer: nn.Module) -> Tensor:
    """As (outputs, inputs of a group, places)."""
    weight: Any = layer.weight
    return weight.detach().reshape(*weight.shape[:2], -1)
