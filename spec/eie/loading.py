"""Loading: how many words the host writes before and during each run, one per cycle.

A segment is loaded before its first run, unless it is still there from the run before. A
double-buffered array is given the next segment while it computes, if both have room side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.descriptor import descriptor_words
from spec.eie.program import Run, Segment, Slice, capacities

ARMING_WORDS = 1
"""Words that name the passes of the next start."""


@dataclass(frozen=True)
class Turn:
    """One run in a series of them, and what is loaded when.

    Attributes
    ----------
    segment, run : Segment, Run
    load : bool
        The segment has to be written before.
    ahead : Segment or None
        Written during the run: the segment of the next turn.
    """

    segment: Segment
    run: Run
    load: bool
    ahead: Segment | None


def plan_turns(
    config: EieConfig, runs: Sequence[tuple[Segment, Run]], resident: Segment | None = None
) -> list[Turn]:
    """What is loaded when, in a series of runs; ``resident`` is already there."""
    turns = []
    for number, (segment, run) in enumerate(runs):
        following = runs[number + 1][0] if number + 1 < len(runs) else segment
        ahead = following is not segment and fit_together(config, segment, following)
        turns.append(Turn(segment, run, segment is not resident, following if ahead else None))
        resident = following if ahead else segment
    return turns


def fit_together(config: EieConfig, one: Segment, other: Segment) -> bool:
    """Whether a segment can be written while the other is at work."""
    if not config.double_buffer or one.top == other.top:
        return False
    room, sizes = capacities(config), other.sizes()
    return all(size + sizes[name] <= room[name] for name, size in one.sizes().items())


def segment_words(config: EieConfig, segment: Segment) -> int:
    """Words that a segment takes; a codebook is written into every PE."""
    in_pes = segment.codebooks.size * config.pes
    in_pes += segment.biases.size + segment.pointers.size + segment.lines.size
    return in_pes + len(segment.passes) * descriptor_words(config)


def feed_words(config: EieConfig, feed: Slice | None) -> int:
    """Words of a slice of activations: whole rows of all PEs, in every lane."""
    return -(-feed.count // config.pes) * config.pes * config.lanes if feed else 0


def count_loads(
    config: EieConfig, turns: Sequence[Turn], cycles: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Words written for each turn since the one before began, and those hidden behind each pass.

    Parameters
    ----------
    cycles : one int64 array per turn, shape (passes of the run,)

    Returns
    -------
    loads : int64, shape (turns,)
    hidden : like ``cycles``
        For a host that writes a word in every cycle.
    """
    loads, hidden = [], []
    expected = False
    for turn, lengths in zip(turns, cycles, strict=True):
        words = feed_words(config, turn.run.feed) + ARMING_WORDS
        if turn.load or expected:
            words += segment_words(config, turn.segment)
        loads.append(words)
        ahead = segment_words(config, turn.ahead) if turn.ahead else 0
        behind = np.minimum(np.cumsum(lengths), ahead)
        hidden.append(np.diff(behind, prepend=0))
        expected = turn.ahead is not None
    return np.array(loads, np.int64), hidden
