"""Quantization of a matrix: integers with a scale per row, or one of all, and a proof that no sum
overflows.

A real input is an integer times its input's scale, a real result an integer times its output's. The
weight of an output and an input is taken together with that input's scale::

    weight * input_scale = integer * scale of the output

so sums and biases have the scale of their output, and inputs may differ in scale. What multiplier
and shift make of a wished output scale is handed back, exactly: it is the next layer's input scale.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.nm.pack import Matrix
from spec.numbers import signed_bits, signed_bounds
from sw.compile.scaling import MisfitError, requantization

Scales = Literal["row", "tensor"]

SCALES: tuple[Scales, ...] = ("row", "tensor")
"""What may have a weight scale of its own: every row, or only the whole matrix."""

FEWEST_BITS = 4
"""Weights are not given fewer bits than these, or than the configuration's if those are fewer: the
values of a row would merge."""


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerMatrix:
    """A matrix as the array computes it.

    Attributes
    ----------
    matrix : Matrix
        For :func:`spec.nm.pack.pack_layer`.
    scales : float64, shape (outputs,)
        Real value of a unit of each output's sums.
    output_scales : float64, shape (outputs,)
        Real value of a unit of each output; exactly what multiplier and shift make it.
    weight_bits : int64, shape (outputs,)
        Bits that the weights of each row use.
    sums : (int, int)
        Lowest and highest sum that any activations can reach, on the way included.
    vanished : int
        Weights that are not zero but are rounded to it. They keep their places.
    """

    matrix: Matrix
    scales: np.ndarray
    output_scales: np.ndarray
    weight_bits: np.ndarray
    sums: tuple[int, int]
    vanished: int

    @property
    def sum_bits(self) -> int:
        """Width of an accumulator that holds every sum."""
        return signed_bits(*self.sums)


def quantize_matrix(
    weight: np.ndarray,
    bias: np.ndarray,
    input_scales: float | np.ndarray,
    output_scales: float | np.ndarray,
    config: NmConfig,
    *,
    name: str = "matrix",
    scales: Scales = "row",
    rescale: bool = True,
) -> IntegerMatrix:
    """Quantize one matrix, whatever is around it.

    If a sum or a bias could exceed the accumulator, or the shift is too short for the output's
    scale, the row's weights are given one bit less (all rows' weights, if they share a scale), down
    to :data:`FEWEST_BITS`. A row that does not fit even so, but whose weights together cannot move
    its output by half a unit, is left with its bias.

    Parameters
    ----------
    weight : float64, shape (outputs, inputs)
    bias : float64, shape (outputs,)
    input_scales : float or float64, shape (inputs,)
        Real value of a unit of each input.
    output_scales : float or float64, shape (outputs,)
        The wish; the result has what multiplier and shift make of it.
    name : str
        What messages call the matrix.
    scales : "row" or "tensor"
        What has a weight scale of its own.
    rescale : bool
        Whether bits may be given up at all.

    Raises
    ------
    UserError
        If it does not fit; names the layer, the row, the bound and the width.
    """
    check_scales(scales)
    trial = _Trial(
        products=weight * input_scales,
        bias=bias,
        wanted=np.broadcast_to(np.asarray(output_scales, np.float64), bias.shape),
        bits=np.full(len(bias), config.weight_bits),
        shared=scales == "tensor",
        config=config,
    )
    fewest = min(FEWEST_BITS, config.weight_bits) if rescale else config.weight_bits
    while misfits := trial.misfits():
        # Rows do not depend on each other: those that do not fit all have the same bits so far.
        rows = list(range(len(bias)) if trial.shared else misfits)
        idle = [row for row in misfits if trial.is_idle(row)]
        if trial.bits[rows[0]] > fewest:
            trial = trial.with_fewer_bits(rows)
        elif rescale and idle and not trial.shared:
            trial = trial.without(idle)
        else:
            row, reason = next(iter(misfits.items()))
            advice = f"not even with weights of {fewest} bits" if rescale else "rescaling is off"
            raise UserError(f"layer {name}, row {row}{reason}, {advice}")
    return trial.finish(weight)


def check_scales(scales: str) -> None:
    """Refuse an unknown kind of scales."""
    if scales not in SCALES:
        raise UserError(f"scales {scales!r} are unknown, there are {', '.join(SCALES)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trial:
    """A matrix with weights of some bits in each row.

    Attributes
    ----------
    products : float64, shape (outputs, inputs)
        Real value of each weight, times a unit of its input.
    wanted : float64, shape (outputs,)
        Output scales as wished.
    bits : int64, shape (outputs,)
    shared : bool
        All rows have one scale.
    """

    products: np.ndarray
    bias: np.ndarray
    wanted: np.ndarray
    bits: np.ndarray
    shared: bool
    config: NmConfig

    def with_fewer_bits(self, rows: list[int]) -> "_Trial":
        bits = self.bits.copy()
        bits[rows] -= 1
        return replace(self, bits=bits)

    def without(self, rows: list[int]) -> "_Trial":
        """The weights of some rows left out."""
        products, bits = self.products.copy(), self.bits.copy()
        products[rows] = 0
        bits[rows] = self.config.weight_bits
        return replace(self, products=products, bits=bits)

    def is_idle(self, row: int) -> bool:
        """Whether a row has weights, but none that could move its output by half a unit."""
        most = np.abs(self.products[row]).sum() * -signed_bounds(self.config.act_bits)[0]
        return 0 < most < self.wanted[row] / 2

    @cached_property
    def units(self) -> np.ndarray:
        """Real value of a unit of each row's sums. Without any weight the sums are biases: they get
        the output's scale."""
        reach = np.abs(self.products).max(axis=1)
        if self.shared:
            reach = np.full_like(reach, reach.max())
        units = reach / ((1 << (self.bits - 1)) - 1)
        return np.where(units < np.finfo(np.float64).tiny, self.wanted, units)

    @cached_property
    def values(self) -> np.ndarray:
        return np.rint(self.products / self.units[:, None]).astype(np.int64)

    @cached_property
    def biases(self) -> np.ndarray:
        """Biases as integers, but float64, which holds also what no accumulator does."""
        with np.errstate(over="ignore"):
            return np.rint(self.bias / self.units)

    @cached_property
    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest sum of each row. Every term's range includes 0, so this bounds each
        partial sum, too; and activations that reach it exist."""
        low, high = signed_bounds(self.config.act_bits)
        positive = self.values.clip(min=0).sum(axis=1)
        negative = self.values.clip(max=0).sum(axis=1)
        return positive * low + negative * high, positive * high + negative * low

    @cached_property
    def factors(self) -> list[tuple[int, int] | MisfitError]:
        """Multiplier and shift of each row, or why there are none."""
        factors: list[tuple[int, int] | MisfitError] = []
        for ratio in (self.units / self.wanted).tolist():
            try:
                factors.append(requantization(ratio, self.config))
            except MisfitError as misfit:
                factors.append(misfit)
        return factors

    def misfits(self) -> dict[int, str]:
        """Rows that the array cannot take, and why."""
        low, high = signed_bounds(self.config.acc_bits)
        holds = f"an accumulator of {self.config.acc_bits} bits holds {low}...{high}"
        lowest, highest = self.sums
        found = {
            row: str(factor)
            for row, factor in enumerate(self.factors)
            if isinstance(factor, MisfitError)
        }
        for row in np.flatnonzero((self.biases < low) | (self.biases > high)).tolist():
            found[row] = f": its bias becomes {self.biases[row]:.3g}, {holds}"
        for row in np.flatnonzero((lowest < low) | (highest > high)).tolist():
            found[row] = f": its sum can reach {lowest[row]}...{highest[row]}, {holds}"
        return dict(sorted(found.items()))

    def finish(self, weight: np.ndarray) -> IntegerMatrix:
        """Once there are no misfits."""
        factors = [factor for factor in self.factors if not isinstance(factor, MisfitError)]
        multiplier, shift = np.array(factors, np.int64).reshape(-1, 2).T
        lowest, highest = self.sums
        return IntegerMatrix(
            matrix=Matrix(
                dense=self.values,
                bias=self.biases.astype(np.int64),
                multiplier=multiplier,
                shift=shift,
            ),
            scales=self.units,
            output_scales=self.units * np.ldexp(1.0, shift) / multiplier,
            weight_bits=self.bits,
            sums=(int(lowest.min()), int(highest.max())),
            vanished=int(np.count_nonzero((weight != 0) & (self.values == 0))),
        )
