"""LLM.int8(): int8 for almost everything, higher precision for the few inputs that are large.

Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", 2022; step for
step what the PyTorch backend of bitsandbytes computes (its operators ``int8_vectorwise_quant``,
``int8_mixed_scaled_mm`` and ``int8_mm_dequant``), so that results can be compared with it:

1. Inputs as float16. Those of a magnitude of at least the threshold are *outliers*; a column that
   has any is an outlier column.
2. Of each row without its outliers, the largest magnitude becomes 127. Round half to even; then
   outlier columns are zero.
3. Weights as float16, and in the same way row by row, without outliers.
4. A product of int8 matrices, exact in int32; times both scales; plus the bias, in float32; as the
   type of the inputs.
5. Plus, in that type, the product of the outlier columns as they came and of the weights that their
   integers stand for.

For inference: rounding has no gradient.
"""

import copy
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spec.errors import UserError

THRESHOLD = 6.0

PER_UNIT = 127.0

# The constants of the original, which multiplies by them where it means to divide.
ONE_BY_127 = 7.874015718698502e-3
ONE_BY_127_SQUARED = 6.200124e-05


class Rows(NamedTuple):
    """A matrix whose rows are integers with a scale each.

    Attributes
    ----------
    integers : int8
    largest : float32, shape (rows,)
        Magnitude that 127 stands for; 0 of a row of zeros.
    outliers : int64
        Columns that were left out.
    """

    integers: Tensor
    largest: Tensor
    outliers: Tensor


@torch.no_grad()
def quantize_rows(matrix: Tensor, threshold: float = 0.0) -> Rows:
    """Steps 1 and 2; with a threshold of 0 nothing is an outlier."""
    half = matrix.to(torch.float16)
    outlier = half.abs() >= threshold if threshold > 0 else torch.zeros_like(half, dtype=torch.bool)
    columns = outlier.any(dim=0).nonzero().flatten()
    inner = half.masked_fill(outlier, 0)
    if not torch.isfinite(inner).all():
        raise UserError("LLM.int8() takes no values that are NaN, or infinite as float16")
    largest = inner.abs().amax(dim=1).float()
    # A number divided by a tensor is the tensor's reciprocal times that number, in torch.
    factors = torch.where(largest > 0, largest.reciprocal() * PER_UNIT, 0.0)
    integers = torch.round(inner * factors[:, None]).to(torch.int8)
    integers[:, columns] = 0
    return Rows(integers, largest, columns)


@torch.no_grad()
def llm_int8_linear(
    x: Tensor, weight: Tensor | Rows, bias: Tensor | None = None, threshold: float = THRESHOLD
) -> Tensor:
    """A linear layer as LLM.int8() computes it.

    Parameters
    ----------
    x : floating point, shape (..., inputs)
    weight : shape (outputs, inputs), or what :func:`quantize_rows` makes of it
    bias : shape (outputs,), optional
    threshold : float
        Magnitude from which inputs are outliers; 0 for none.

    Returns
    -------
    type of ``x``, shape (..., outputs)
    """
    own = weight if isinstance(weight, Rows) else quantize_rows(weight)
    if x.shape[-1] != own.integers.shape[1]:
        raise UserError(
            f"the inputs have {x.shape[-1]} columns, the weight has {own.integers.shape[1]}"
        )
    if threshold < 0:
        raise UserError(f"a threshold of {threshold} was given, must be 0 (off) or more")
    flat = x.reshape(-1, x.shape[-1])
    given = quantize_rows(flat, threshold)
    # A product of doubles is exact below 2**53, and much faster than one of integers.
    sums = (given.integers.double() @ own.integers.double().T).to(torch.int32)
    out = sums * (given.largest[:, None] * own.largest[None]) * ONE_BY_127_SQUARED
    if bias is not None:
        out = out + bias.to(torch.float32)
    out = out.to(x.dtype)
    if len(given.outliers):
        columns = own.integers[:, given.outliers] * own.largest[:, None] * ONE_BY_127
        out = torch.addmm(out, flat[:, given.outliers], columns.to(x.dtype).T)
    return out.reshape(*x.shape[:-1], out.shape[-1])


class LlmInt8Linear(nn.Module):
    """A linear layer that keeps int8 weights and computes by :func:`llm_int8_linear`.

    Parameters
    ----------
    weight : Rows
    bias : tensor or None
    threshold : float
    """

    integers: Tensor
    largest: Tensor
    bias: Tensor | None

    def __init__(self, weight: Rows, bias: Tensor | None, threshold: float = THRESHOLD) -> None:
        super().__init__()
        if threshold < 0:
            raise UserError(f"a threshold of {threshold} was given, must be 0 (off) or more")
        self.threshold = threshold
        self.register_buffer("integers", weight.integers)
        self.register_buffer("largest", weight.largest)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    @staticmethod
    def from_linear(linear: nn.Linear, threshold: float = THRESHOLD) -> "LlmInt8Linear":
        """The same layer with int8 weights."""
        return LlmInt8Linear(quantize_rows(linear.weight.detach()), linear.bias, threshold)

    def forward(self, x: Tensor) -> Tensor:
        none = torch.zeros(0, dtype=torch.int64, device=self.integers.device)
        rows = Rows(self.integers, self.largest, none)
        return llm_int8_linear(x, rows, self.bias, self.threshold)

    def extra_repr(self) -> str:
        outputs, inputs = self.integers.shape
        return f"in_features={inputs}, out_features={outputs}, threshold={self.threshold}"


def llm_int8(
    model: nn.Module, threshold: float = THRESHOLD, layers: Iterable[str] | None = None
) -> nn.Module:
    """A copy of the network whose Linear layers, or the named ones, compute by LLM.int8()."""
    result = copy.deepcopy(model)
    found = {name: one for name, one in result.named_modules() if isinstance(one, nn.Linear)}
    for name in list(found) if layers is None else list(layers):
        if name not in found:
            raise UserError(f"no Linear layer {name!r}; there are {', '.join(found) or 'none'}")
        replacement = LlmInt8Linear.from_linear(found[name], threshold)
        if not name:
            return replacement
        holder, _, own = name.rpartition(".")
        setattr(result.get_submodule(holder), own, replacement)
    return result
