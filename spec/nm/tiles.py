"""Tile-wise sparsity: per strip of outputs some inputs are dropped, and the rest move together.

An activation line has B = ``config.line_inputs`` inputs, each in a bank of its own, and the gather
stage gives every bank its own address. So the j-th kept input of bank r (inputs k with ``k % B ==
r``) stands at position ``j * B + r``, and a step's inputs always come from different banks: gather
takes no cycles. A bank with fewer kept inputs than the fullest one is filled up with positions of
zero weights; there are none if every bank keeps as many. N:M patterns apply to positions, in this
order.

The gather stage reads line ``j + offset``; offsets count lines: ``(input - position) / B``.
"""

from dataclasses import dataclass

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig


@dataclass(frozen=True)
class Kept:
    """Inputs that a strip keeps, in the order of their positions.

    Attributes
    ----------
    inputs : int64, shape (positions,)
        Input that stands at each position; -1 where there is none.
    """

    inputs: np.ndarray

    @property
    def positions(self) -> int:
        return len(self.inputs)

    def steps(self, config: NmConfig, mode: Mode) -> int:
        """Steps until the last input is taken."""
        last = int(np.flatnonzero(self.inputs >= 0)[-1])
        return last // config.step_inputs(mode) + 1

    @property
    def count(self) -> int:
        """Inputs that are really kept."""
        return int(np.count_nonzero(self.inputs >= 0))

    def compact(self, rows: np.ndarray) -> np.ndarray:
        """Columns of dense rows, as they stand at the positions; zeros where there is none."""
        return np.where(self.inputs >= 0, rows[:, self.inputs], 0)

    def offsets(self, config: NmConfig) -> np.ndarray:
        """What the gather stage stores: int64, shape (lines, line_inputs), in lines.

        Positions without an input have the offset 0, which is always a line of the tile.
        """
        position = np.arange(self.positions)
        distance = (self.inputs - position) // config.line_inputs
        return np.where(self.inputs >= 0, distance, 0).reshape(-1, config.line_inputs)


def keep(config: NmConfig, kept: np.ndarray) -> Kept:
    """Place the kept inputs of one strip.

    Parameters
    ----------
    kept : bool, shape (inputs,)
        At least one is true.

    Raises
    ------
    UserError
        Nothing is kept, or more lines than the gather stage holds.
    """
    banks = config.line_inputs
    mask = np.zeros((-(-len(kept) // banks), banks), bool)
    mask.ravel()[: len(kept)] = kept
    lines = int(mask.sum(axis=0).max(initial=0))
    if lines == 0:
        raise UserError("a strip must keep at least one of its inputs")
    if lines > config.gather_lines:
        raise UserError(
            f"a strip keeps {lines} lines of {banks} inputs, the gather stage holds "
            f"{config.gather_lines}; build it with more gather_lines, or store the layer without "
            "dropped inputs"
        )
    inputs = np.full((lines, banks), -1, np.int64)
    line, bank = np.nonzero(mask)
    inputs[(np.cumsum(mask, axis=0) - 1)[line, bank], bank] = line * banks + bank
    return Kept(inputs.ravel())


def kept_by(config: NmConfig, dense: np.ndarray) -> np.ndarray:
    """Inputs that each strip of a dense matrix (outputs, inputs) needs: bool, (strips, inputs).

    A strip of zeros keeps its first input, because it cannot have no step.
    """
    outputs, inputs = dense.shape
    strips = -(-outputs // config.rows)
    padded = np.zeros((strips * config.rows, inputs), bool)
    padded[:outputs] = dense != 0
    kept = np.logical_or.reduce(padded.reshape(strips, config.rows, inputs), axis=1)
    kept[:, 0] |= ~np.logical_or.reduce(kept, axis=1)
    return kept


def restore(config: NmConfig, offsets: np.ndarray) -> np.ndarray:
    """Input that each position reads, from offsets as the gather stage holds them."""
    lines = np.arange(len(offsets))[:, None] + offsets
    return (lines * config.line_inputs + np.arange(config.line_inputs)).ravel()
