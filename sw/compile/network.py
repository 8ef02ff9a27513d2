"""What the compiler works on between torch and integers: a chain of fully connected layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from spec.errors import UserError


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLayer:
    """A fully connected layer, and the ReLU behind it if there is one.

    Attributes
    ----------
    name : str
        Path of the module, or name of the parameter.
    weight : float64, shape (outputs, inputs)
    bias : float64, shape (outputs,)
        Zeros if the layer has none.
    relu : bool
    folded : tuple of str
        Names of the BatchNorms that weight and bias have absorbed.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    relu: bool
    folded: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        return self.weight.shape[0]

    def __call__(self, acts: np.ndarray) -> np.ndarray:
        """Outputs in float64, shape (samples, outputs)."""
        sums = acts @ self.weight.T + self.bias
        return np.maximum(sums, 0) if self.relu else sums


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A captured network.

    Attributes
    ----------
    layers : tuple of FloatLayer
        In order; their sizes chain and their names differ.
    run : callable or None
        The original in torch, (samples, inputs) to (samples, outputs). None if only its weights
        were given.
    notes : tuple of str
        What was assumed on the way.
    """

    layers: tuple[FloatLayer, ...]
    run: Callable[[np.ndarray], np.ndarray] | None = None
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs


def tensor_values(tensor: torch.Tensor, name: str) -> np.ndarray:
    """A parameter as float64; refuses other than finite floating-point numbers by name."""
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        kind = getattr(tensor, "dtype", type(tensor).__name__)
        raise UserError(f"{name}: holds {kind}, a parameter must be a floating-point tensor")
    if tensor.is_meta:
        raise UserError(f"{name}: is on device 'meta', a parameter must hold values (on the CPU)")
    values = tensor.detach().cpu().to_dense().to(torch.float64).numpy()
    finite = np.isfinite(values)
    if not finite.all():
        at = np.unravel_index(int(np.argmin(finite)), values.shape)
        raise UserError(
            f"{name}: {int((~finite).sum())} of {values.size} values are not finite, "
            f"the first is {values[at]} at {[int(i) for i in at]}"
        )
    return values


def sample_values(samples: np.ndarray | torch.Tensor) -> np.ndarray:
    """Samples as an array; those of a tensor without its gradient, from whatever device."""
    if not isinstance(samples, torch.Tensor):
        return np.asarray(samples)
    if samples.is_meta:
        raise UserError("the samples are on device 'meta', they must hold values (on the CPU)")
    samples = samples.detach().cpu()
    return (samples.float() if samples.dtype == torch.bfloat16 else samples).numpy()


def check_chain(layers: Sequence[FloatLayer], hint: str = "") -> tuple[FloatLayer, ...]:
    """Refuse sizes that do not fit each other; ``hint`` ends that message."""
    for layer in layers:
        if layer.bias.shape != (layer.outputs,) or 0 in layer.weight.shape:
            raise UserError(
                f"layer {layer.name}: weight of shape {layer.weight.shape} and bias of shape "
                f"{layer.bias.shape}, must be (outputs, inputs) and (outputs,), none of them empty"
            )
    for before, layer in pairwise(layers):
        if before.outputs != layer.inputs:
            raise UserError(
                f"layer {layer.name} takes {layer.inputs} inputs, but layer {before.name} "
                f"in front of it has {before.outputs} outputs{hint}"
            )
    return tuple(layers)
