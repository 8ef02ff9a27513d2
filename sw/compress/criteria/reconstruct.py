"""The mathematics of layer-wise reconstruction: few weights that give nearly the same outputs.

With inputs X (inputs, samples) and wanted outputs T (outputs, samples), V is good if ||T - V X||^2
is small. It needs no more of the data than the moments X X^T and T X^T, and every row of V is a
problem of its own.

Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon", 1993;
Frantar and Alistarh, "Optimal Brain Compression", 2022, and "SparseGPT", 2023.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spec.errors import UserError

DAMPING = 0.01
"""Default share of the mean of X X^T's diagonal that is added to it: how much weights that hardly
matter are held near to what they were."""

EXACT_FLOPS = 2e10
"""Normal equations that take more than this are solved by iteration."""

STEPS = 30
"""Of an iteration."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Within this context torch uses one thread: many small steps, that have to wait for each
    other on a busy machine, take many times as long with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Rows:
    """What is to be reconstructed: outputs that all have the same inputs. All in double precision.

    Attributes
    ----------
    weight : shape (rows, inputs)
    gram : shape (inputs, inputs)
        X X^T.
    cross : shape (rows, inputs)
        T X^T. For T = W X that is W X X^T.
    total : float
        ||T||^2.
    damping : float
    """

    weight: Tensor
    gram: Tensor
    cross: Tensor
    total: float
    damping: float = DAMPING

    def error(self, weight: Tensor) -> float:
        """||T - V X||^2, exactly as the data have it: without damping."""
        weight = weight.double()
        found = ((weight @ self.gram - 2 * self.cross) * weight).sum()
        return self.total + float(found)

    @cached_property
    def hessian(self) -> Tensor:
        """X X^T with its damping: positive definite."""
        damped = self.gram.clone()
        damped.diagonal().add_(self._added)
        return damped

    @property
    def _added(self) -> float:
        # Inputs that are zero on all of the data say nothing: then the weight itself decides.
        return self.damping * float(self.gram.diagonal().mean()) or 1.0

    @cached_property
    def wanted(self) -> Tensor:
        """T X^T with the damping, which pulls towards the weight as it is."""
        return self.cross + self._added * self.weight

    @cached_property
    def factor(self) -> Tensor:
        """Lower Cholesky factor of :attr:`hessian`."""
        factor, failed = torch.linalg.cholesky_ex(self.hessian)
        if failed:
            raise UserError(
                f"a damping of {self.damping:g} leaves the inputs' second moments singular: "
                "give more of it, or more data"
            )
        return factor

    @cached_property
    def best(self) -> Tensor:
        """The weights that reconstruct best with no zeros asked for."""
        return torch.cholesky_solve(self.wanted.mT, self.factor).mT

    @cached_property
    def inverse(self) -> Tensor:
        """Of :attr:`hessian`."""
        return torch.cholesky_inverse(self.factor)

    def saliency(self) -> Tensor:
        """How much the error rises if one weight goes and all others of its row make up for it.

        w^2 / [H^-1]_jj, of the best weights; shape (rows, inputs).
        """
        return self.best.square() / self.inverse.diagonal()

    def replacement_cost(self, weight: Tensor, mask: Tensor) -> Tensor:
        """What each kept weight is worth, and what each dropped one would be, the rest as it is."""
        slope = weight @ self.hessian - self.wanted
        scale = self.hessian.diagonal()
        alone = weight - slope / scale
        return torch.where(mask, weight.square(), alone.square()) * scale


def moments_of(weight: Tensor, gram: Tensor, damping: float = DAMPING) -> Rows:
    """The problem of giving the same outputs as ``weight`` does, T = W X."""
    weight, gram = weight.detach().double(), gram.detach().double()
    cross = weight @ gram
    return Rows(weight, gram, cross, float((cross * weight).sum()), damping)


def reconstruct(weight: Tensor, mask: Tensor, gram: Tensor, damping: float = DAMPING) -> Tensor:
    """The kept weights that reconstruct the outputs of ``weight`` best: least squares, row by row.

    Parameters
    ----------
    weight : shape (rows, inputs)
    mask : bool, same shape
        True where a weight may be other than zero.
    gram : shape (inputs, inputs)
        X X^T of the inputs X (inputs, samples).
    damping : float
        Ridge, as a share of the mean of the diagonal of ``gram``.

    Returns
    -------
    shape and type of ``weight``; exact zeros where the mask is False
    """
    return refit(moments_of(weight, gram, damping), mask).to(weight.dtype)


def refit(rows: Rows, mask: Tensor, start: Tensor | None = None) -> Tensor:
    """The best weights within a mask. Each row has normal equations of its own.

    Where those are too large, weights are improved by some steps instead, from a guess, or from the
    best ones without a mask.
    """
    most = int(mask.sum(1).max())
    if not most:
        return torch.zeros_like(rows.weight)
    if len(mask) * most**3 / 3 > EXACT_FLOPS:
        return iterate(rows, torch.where(mask, rows.best if start is None else start, 0.0), mask)
    # As many rows at once as fit into some 64 MB of doubles.
    size = max(1, 2**23 // most**2)
    chunks = zip(mask.split(size), rows.wanted.split(size), strict=True)
    return torch.cat([_solve(rows.hessian, *chunk) for chunk in chunks])


@one_thread()
def _solve(hessian: Tensor, mask: Tensor, wanted: Tensor) -> Tensor:
    """Rows with up to the same number of kept weights; a shorter one is filled with x = 0."""
    counts = mask.sum(1)
    most = int(counts.max())
    kept = mask.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    there = torch.arange(most) < counts[:, None]
    both = there[:, :, None] & there[:, None]
    part = hessian[kept[:, :, None], kept[:, None]]
    matrix = torch.where(both, part, torch.eye(most, dtype=hessian.dtype))
    right = torch.where(there, wanted.gather(1, kept), 0.0)
    found = torch.cholesky_solve(right[:, :, None], torch.linalg.cholesky(matrix))[:, :, 0]
    return torch.zeros_like(wanted).scatter_(1, kept, torch.where(there, found, 0.0))


def iterate(rows: Rows, weight: Tensor, mask: Tensor, steps: int = STEPS) -> Tensor:
    """Better weights within a mask by conjugate gradients, all rows at a time; never worse ones."""
    scale = rows.hessian.diagonal()
    left = (rows.wanted - weight @ rows.hessian) * mask
    ready = left / scale
    direction, power = ready, (left * ready).sum(1, keepdim=True)
    for _ in range(steps):
        moved = (direction @ rows.hessian) * mask
        curve = (direction * moved).sum(1, keepdim=True)
        length = torch.where(curve > 0, power / curve, 0.0)
        weight = weight + length * direction
        left = left - length * moved
        ready = left / scale
        before, power = power, (left * ready).sum(1, keepdim=True)
        direction = ready + torch.where(before > 0, power / before, 0.0) * direction
    return weight
