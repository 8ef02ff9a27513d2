"""Which inputs a strip keeps: those that have a weight, and some more where its pattern needs it.

Kept inputs move together bank by bank (:mod:`spec.nm.tiles`), and groups are of positions. Of a
strip that was pruned tile-wise, an input may have lost all its weights to the pattern: then nobody
sees that it was kept, and what stands behind it in its bank moves up, into groups that are not its
own. An input that has no weight keeps a place free, so this is mended by keeping some of them. Many
a strip that was pruned in no pattern at all can be stored like that, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from spec.nm.config import Mode, NmConfig
from spec.nm.tiles import place

WIDTHS = (1, 16)
"""Ways to place the inputs up to some line that are followed at a time: first one, which is fast
and mostly as good, then more. With few, a strip of few rows may count as one of no pattern, because
wrong inputs fitted by chance."""

GOOD_ENOUGH = 1.02
"""Lines that need no more ways to be tried, as a multiple of those of the needed inputs alone."""


def follows(mask: np.ndarray, mode: Mode) -> bool:
    """Whether rows (any number, inputs) have at most n of m in every group; the last may be
    shorter."""
    whole = np.pad(mask, ((0, 0), (0, -mask.shape[1] % mode.m)))
    return bool((whole.reshape(len(mask), -1, mode.m).sum(axis=2) <= mode.n).all())


def whole_groups(needed: np.ndarray, mode: Mode) -> np.ndarray:
    """Inputs of all groups of which one is needed. Groups that are kept whole stay groups, so what
    follows a pattern does so at its positions, too. Bool, shape of ``needed`` (strips, inputs)."""
    strips, inputs = needed.shape
    whole = np.pad(needed, ((0, 0), (0, -inputs % mode.m)))
    groups = whole.reshape(strips, -1, mode.m).any(axis=2)
    return np.repeat(groups, mode.m, axis=1)[:, :inputs]


def recover(
    config: NmConfig, mask: np.ndarray, needed: np.ndarray, mode: Mode
) -> np.ndarray | None:
    """Inputs that a strip keeps so that its rows follow a pattern at their positions.

    Parameters
    ----------
    mask : bool, shape (rows, inputs)
        Where weights are.
    needed : bool, shape (inputs,)
        Inputs that have one.

    Returns
    -------
    bool, shape (inputs,), or None if none are found.
    """
    positions = place(needed, config.line_inputs)
    if follows(np.where(positions >= 0, mask[:, positions], False), mode):
        return needed
    kept = needed.copy()
    for first in range(0, config.line_inputs, mode.m):
        banks = [_Bank(mask, needed, bank, config) for bank in range(first, first + mode.m)]
        delays = _best_schedule(banks, mode.n)
        if delays is None:
            return None
        for bank, each in zip(banks, delays, strict=True):
            kept[bank.fillers(each)] = True
    return kept


class _Bank:
    """Inputs of one bank.

    Attributes
    ----------
    weights : list of int
        Rows in which each needed input has a weight, a bit each.
    gaps : list of integer arrays
        Inputs without weights in front of each needed one: each may keep a place free.
    """

    def __init__(self, mask: np.ndarray, needed: np.ndarray, bank: int, config: NmConfig) -> None:
        inputs = np.arange(bank, len(needed), config.line_inputs)
        at = np.flatnonzero(needed[inputs])
        rows = np.packbits(mask[:, inputs[at]], axis=0)
        self.weights = [int.from_bytes(column.tobytes()) for column in rows.T]
        starts = [0, *(at[:-1] + 1)] if len(at) else []
        self.gaps = [inputs[start:end] for start, end in zip(starts, at, strict=True)]

    def fillers(self, delays: Sequence[int]) -> np.ndarray:
        """Inputs that are kept in front of each needed one."""
        chosen = [gap[:count] for gap, count in zip(self.gaps, delays, strict=True)]
        return np.concatenate([np.zeros(0, np.int64), *chosen])


@dataclass(frozen=True)
class _State:
    """Inputs of each bank that stand at a position, and places kept free in front of the next."""

    placed: tuple[int, ...]
    free: tuple[int, ...]


def _best_schedule(banks: Sequence[_Bank], most: int) -> list[list[int]] | None:
    """Places to keep free in front of every needed input of each bank, so that no row has more than
    ``most`` weights in a group; nothing if none are found."""
    fewest = max(len(bank.gaps) for bank in banks)
    best = None
    for width in WIDTHS:
        found = _schedule(banks, most, width)
        if found and (best is None or found[0] < best[0]):
            best = found
        if best and best[0] <= GOOD_ENOUGH * fewest:
            break
    return best[1] if best else None


def _schedule(banks: Sequence[_Bank], most: int, width: int) -> tuple[int, list[list[int]]] | None:
    """Line by line; of all ways so far those are followed that have placed most inputs. Lines, and
    the places to keep free."""
    counts = tuple(len(bank.gaps) for bank in banks)
    none = tuple(0 for _ in banks)
    # States after each line, and what each of them came from.
    lines: list[dict[_State, _State | None]] = [{_State(none, none): None}]
    while lines[-1]:
        done = next((state for state in lines[-1] if state.placed == counts), None)
        if done:
            return len(lines) - 1, _delays(done, lines, counts)
        after: dict[_State, _State | None] = {}
        for state in lines[-1]:
            for following in islice(_following(state, banks, most), None if width > 1 else 1):
                after.setdefault(following, state)
        best = sorted(after, key=lambda state: -sum(state.placed))[:width]
        lines.append({state: after[state] for state in best})
    return None


def _following(state: _State, banks: Sequence[_Bank], most: int) -> Iterator[_State]:
    """States one line further: with as few places kept free as can be, then with one more."""
    numbers = range(len(banks))
    going = [bank for bank in numbers if state.placed[bank] < len(banks[bank].gaps)]
    may_wait = [
        bank for bank in going if state.free[bank] < len(banks[bank].gaps[state.placed[bank]])
    ]
    fewest = len(may_wait)
    for count in range(len(may_wait) + 1):
        if count > fewest + 1:
            return
        for waiting in combinations(may_wait, count):
            taken = [bank for bank in going if bank not in waiting]
            weights = [banks[bank].weights[state.placed[bank]] for bank in taken]
            if taken and _fit(weights, most):
                fewest = min(fewest, count)
                yield _State(
                    tuple(state.placed[bank] + (bank in taken) for bank in numbers),
                    tuple(state.free[bank] + 1 if bank in waiting else 0 for bank in numbers),
                )


def _fit(weights: Sequence[int], most: int) -> bool:
    """Whether no row has more than ``most`` weights."""
    # Rows with at least 1, 2 ... weights.
    reached = [0] * (most + 1)
    for rows in weights:
        for count in range(most, 0, -1):
            reached[count] |= reached[count - 1] & rows
        reached[0] |= rows
    return not reached[most]


def _delays(
    last: _State, lines: Sequence[dict[_State, _State | None]], counts: Sequence[int]
) -> list[list[int]]:
    """Free places in front of each input on the way to a state."""
    delays = [[0] * count for count in counts]
    state: _State | None = last
    for line in reversed(lines):
        if state is None:
            break
        for bank, (placed, free) in enumerate(zip(state.placed, state.free, strict=True)):
            if free:
                delays[bank][placed] = max(delays[bank][placed], free)
        state = line[state]
    return delays
