"""Numbers out of torch tensors, dense or semi-structured."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.sparse import (
    SparseSemiStructuredTensor,
    SparseSemiStructuredTensorCUSPARSELT,
    SparseSemiStructuredTensorCUTLASS,
)

from spec.errors import UserError
from spec.nm.pytorch import from_pytorch

SEMI_STRUCTURED = [SparseSemiStructuredTensorCUTLASS, SparseSemiStructuredTensorCUSPARSELT]
"""Kinds of tensors that a file of weights may hold besides plain ones."""

CONTAINERS = {
    torch.int8: torch.int8,
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
}
"""Types of semi-structured weights, and integers of as many bits."""


def tensor_values(tensor: torch.Tensor, name: str) -> np.ndarray:
    """A parameter as float64; refuses other than finite floating-point numbers by name.

    A semi-structured tensor may also hold int8.
    """
    if isinstance(tensor, SparseSemiStructuredTensor):
        tensor = dense_tensor(tensor, name).to(torch.float64)
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


def dense_tensor(tensor: SparseSemiStructuredTensor, name: str) -> torch.Tensor:
    """What ``torch.sparse.to_sparse_semi_structured`` was given, of the same type."""
    if tensor.packed is None or tensor.meta is None:
        raise UserError(
            f"{name}: is compressed by cuSPARSELt, in a form that only its GPU reads; give the "
            f"compiler what to_dense() makes of it on that GPU, or the pruned weight itself"
        )
    # Weights are moved around bit by bit, whatever they mean.
    container = CONTAINERS[tensor.dtype]
    groups = from_pytorch(
        tensor.packed.detach().cpu().view(container).numpy(), tensor.meta.cpu().numpy()
    )
    return torch.from_numpy(groups.decode()).to(container).view(tensor.dtype)


@contextmanager
def densified(module: nn.Module) -> Iterator[None]:
    """Semi-structured parameters as dense ones for a while: on a CPU no others compute.

    Integers become floating-point numbers, as wide as the layer's bias.
    """
    swapped = []
    try:
        for path, part in module.named_modules():
            for name, parameter in part.named_parameters(recurse=False):
                if isinstance(parameter, SparseSemiStructuredTensor):
                    dense = dense_tensor(parameter, f"{path}.{name}".lstrip("."))
                    kinds = [one.dtype for one in part.parameters() if one.is_floating_point()]
                    if not dense.is_floating_point():
                        dense = dense.to(kinds[0] if kinds else torch.float32)
                    swapped.append((part, name, parameter))
                    setattr(part, name, nn.Parameter(dense, requires_grad=False))
        yield
    finally:
        for part, name, parameter in swapped:
            setattr(part, name, parameter)
