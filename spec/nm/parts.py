"""Strips that no bank holds, cut into parts.

Parts are whole lines, all strips of a layer have as many of them, and each strip's are as even as
can be. A strip that is too short for so many parts is filled up with steps of zero weights.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.nm.strips import strip_lines


@dataclass(frozen=True, eq=False)
class Block:
    """Weights of a strip, or of a part of one.

    Attributes
    ----------
    values, places : int64, shape (steps, rows, multipliers)
    offsets : int64, shape (lines, line_inputs)
        No lines if the strip is not gathered. They count from the block's own first line.
    """

    values: np.ndarray
    places: np.ndarray
    offsets: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.values)


def count_parts(config: NmConfig, mode: Mode, gather: bool, steps: int) -> int:
    """Parts of a strip of so many steps.

    Raises
    ------
    UserError
        There are several, and a bank holds less than a line.
    """
    lines = strip_lines(config, mode, steps)
    if steps <= config.weight_steps and not (gather and lines > config.gather_lines):
        return 1
    room = config.weight_steps // config.phases(mode)
    if gather:
        room = min(room, config.gather_lines)
    if room == 0:
        raise UserError(
            f"{steps} steps of {mode} do not fit in the weight buffer's {config.weight_steps}, "
            f"nor does a line of {config.phases(mode)} steps: build it with more weight_steps"
        )
    return -(-lines // room)


def cut(config: NmConfig, mode: Mode, block: Block, parts: int) -> list[Block]:
    """A strip's parts, one behind the other."""
    if parts == 1:
        return [block]
    phases = config.phases(mode)
    lines = max(parts, strip_lines(config, mode, block.steps))
    block = _fill(block, (lines - 1) * phases + 1, lines)
    firsts = [lines * part // parts for part in range(parts + 1)]
    return [
        Block(
            block.values[first * phases : behind * phases],
            block.places[first * phases : behind * phases],
            block.offsets[first:behind] + first,
        )
        for first, behind in pairwise(firsts)
    ]


def _fill(block: Block, steps: int, lines: int) -> Block:
    """At least so many steps and lines of offsets."""
    missing = max(0, steps - block.steps)
    values, places = (
        np.pad(one, ((0, missing), (0, 0), (0, 0))) for one in (block.values, block.places)
    )
    if not len(block.offsets):
        return Block(values, places, block.offsets)
    return Block(values, places, np.pad(block.offsets, ((0, lines - len(block.offsets)), (0, 0))))
