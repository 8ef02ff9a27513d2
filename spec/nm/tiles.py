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

    def slots(self, mode: Mode) -> int:
        """Weights that a row keeps of them; fewer in groups with places where no input stands."""
        groups = (self.inputs >= 0).reshape(-1, mode.m).sum(axis=1)
        return int(groups.clip(max=mode.n).sum())

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
        Nothing is kept, or the array has no gather stage.
    """
    banks = config.line_inputs
    inputs = place(kept, banks)
    lines = len(inputs) // banks
    if lines == 0:
        raise UserError("a strip must keep at least one of its inputs")
    if config.gather_lines == 0:
        raise UserError(
            "the array has no gather stage; build it with gather_lines, or store the layer without "
            "dropped inputs"
        )
    return Kept(inputs)


def place(kept: np.ndarray, banks: int) -> np.ndarray:
    """Input that stands at each position, if a line has an input in each of so many banks.

    Parameters
    ----------
    kept : bool, shape (inputs,)

    Returns
    -------
    int64, shape (lines * banks,)
        -1 where there is none; as few lines as the fullest bank needs.
    """
    mask = np.zeros((-(-len(kept) // banks), banks), bool)
    mask.ravel()[: len(kept)] = kept
    inputs = np.full((int(mask.sum(axis=0).max(initial=0)), banks), -1, np.int64)
    line, bank = np.nonzero(mask)
    inputs[(np.cumsum(mask, axis=0) - 1)[line, bank], bank] = line * banks + bank
    return inputs.ravel()


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
