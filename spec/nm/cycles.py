"""The cycle model: how long a run takes and why, exactly as the hardware counts it.

Nothing depends on data. Three parts run at the same time: the *loader* takes a word of the load
stream per cycle, the *sequencer* issues a step per cycle, the *drain* hands on a row per cycle.
Cycles count from the first one behind control; the load stream has a word ready in every cycle,
and results are taken at once.

**Loader.** It follows :func:`spec.nm.stream.schedule` without a gap, but for one wait: a strip goes
into the bank of the strip two before, and begins when that one is released. What it has loaded is
seen by the sequencer in the cycle behind the last word. Activations never wait: the bank of a
block is free whenever the strip in front of its lines has found a bank (the strip two before that
is the previous block's last, or later). ::

    begun[i]  = max(word behind the load before, released[i - 2])
    loaded[i] = begun[i] + words

A bank is taken from the strip's first word on until it is released. That it is *full* is seen from
the cycle behind its last word on, and taken back with the strip's last step, not with the release:
a short strip's sequencer looks at the bank again before. So are the loaded tiles of a block with
the block's last step.

**Sequencer.** For every block, strip, tile: the tile's steps, one per cycle. The first waits for
its strip, then for its tile; the last waits until it is ``rows`` cycles behind the last one of the
tile before (the drain registers are emptied row by row)::

    first = max(last before + 1, loaded[strip], loaded[tile])
    last  = max(first + steps - 1, last before + rows)

It also waits until the result queue has places for the tile that are not yet promised to others;
:func:`queue_places` are enough for that never to happen while results are taken at once.

**Pipeline.** A step that is issued in cycle t (its line's number is the address of the gather
stage) is, one register behind the other,

====== ============= ==========================================================================
t      gather        offsets of its line are read (a memory; not gathered: zeros)
t + 1  address       first line of the tile + line + offset, per bank
t + 2  read          a line of activations, weights and places are read (memories)
t + 3  distribute    each column gives every multiplier its window of at most m activations
t + 4  select        the place picks one of them
t + 5  multiply
t + 6  sum           the products of a MAC unit
t + 7  accumulate    the tile's first sum replaces what the accumulator holds
t + 8  hand over     behind the tile's last step: accumulators into the drain registers
t + 9  requantize    row 0 of all columns enters, with its parameters, which are read in cycle
                     t + 8; row r follows in cycle t + 9 + r. Three registers.
t + 12 queue         row 0 enters the result queue
t + 13 result        row 0 is offered
====== ============= ==========================================================================

With ``pipeline`` there is a register more in front of distribute and of select, :data:`WAY_CYCLES`
in front of multiply and as many in front of sum, and two within requantize: all from distribute on
is a cycle later, all from select on two, all from multiply on four, all from sum on six, and all
behind requantize eight. Parts are as below: the memories are read in t + 2 as ever.

**Release.** When the last row of a strip's last tile has entered requantize (cycle
t + 8 + rows for the strip's last step at t), the strip's bank is free, parameters included, and so
is the block's bank behind its last strip. The loader's next word may go there in the cycle after.

**Parts.** A strip of several parts is computed part by part, each from a bank of its own, on the
one tile of its block. Only the last part hands over; the accumulators keep their sums until then.
So the last step of the others does not wait, and their bank is free as soon as that step's weights
are read: the loader's next word may go there from cycle t + 3 on.

**End.** The run ends with the cycle in which the last result is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spec.nm.config import NmConfig
from spec.nm.counters import COUNTERS
from spec.nm.descriptor import Descriptor
from spec.nm.stream import LineLoad, StripLoad, result_count, schedule
from spec.nm.strips import strip_words

CONTROL_CYCLES = 1
"""Cycles in front of the first that may load: the descriptor is looked at."""

PART_CYCLES = 3
"""Cycles from the issue of the last step of a part that others follow until the loader may use its
bank."""


WAY_CYCLES = 2
"""Registers on the way to a multiplier, and as many on the way back, with ``pipeline``."""


def accumulate_cycles(config: NmConfig) -> int:
    """Cycles from a step's issue until its sum stands in the accumulators."""
    return 8 + (2 + 2 * WAY_CYCLES) * config.pipeline


def requantize_cycles(config: NmConfig) -> int:
    """Registers of a :class:`hw.requantize.Requantize`."""
    return 3 + 2 * config.pipeline


def result_cycles(config: NmConfig) -> int:
    """Cycles from the issue of a tile's last step until its first row is offered."""
    return accumulate_cycles(config) + 1 + requantize_cycles(config) + 1


def release_cycles(config: NmConfig) -> int:
    """Cycles from the issue of a strip's last step until the loader may use its bank."""
    return accumulate_cycles(config) + 1 + config.rows


def queue_places(config: NmConfig) -> int:
    """Words that the result queue holds: what can be on its way when a tile's last step is issued,
    and the tile's rows."""
    return result_cycles(config) + config.rows


@dataclass(frozen=True)
class RunCounts:
    """Counters of one run, in the order of :data:`spec.nm.counters.COUNTERS`."""

    values: tuple[int, ...]

    def of(self, name: str) -> int:
        """One counter."""
        return self.values[COUNTERS.index(name)]

    def utilization(self, config: NmConfig, useful: int) -> float:
        """Part of all multiplier slots that did something useful
        (:func:`spec.nm.program.useful_slots`)."""
        return useful / (self.of("cycles") * config.slots)


def count_run(
    config: NmConfig, descriptor: Descriptor, steps: Sequence[int] | np.ndarray
) -> RunCounts:
    """Predict every counter of one run.

    Parameters
    ----------
    steps : integers, shape (strips,)
        Of each strip, or of each part.
    """
    run = _Run(config, descriptor, [int(one) for one in steps])
    counts = run.follow()
    counts["control"] = CONTROL_CYCLES
    counts["tail"] = result_cycles(config) + config.rows - 1
    counts["results"] = result_count(config, descriptor)
    counts["cycles"] = CONTROL_CYCLES + run.last + result_cycles(config) + config.rows
    return RunCounts(tuple(counts[name] for name in COUNTERS))


class _Run:
    """The recurrence of the module's docstring.

    Attributes
    ----------
    free : int
        Cycle in which the loader can take the next word.
    last : int
        Cycle of the last step that was issued.
    released : list of int
        First cycle in which the bank of each strip may be loaded again.
    """

    def __init__(self, config: NmConfig, descriptor: Descriptor, steps: list[int]) -> None:
        self.config = config
        self.descriptor = descriptor
        self.steps = steps
        mode = config.modes[descriptor.mode]
        self.words = [strip_words(config, mode, descriptor.gather, one) for one in steps]
        self.line_words = config.line_bits // config.load_bits
        self.free = 0
        self.last = -1
        self.may_drain = 0
        self.released = [0, 0]
        self.waits = dict.fromkeys(("busy", "weight_wait", "act_wait", "drain_wait"), 0)
        self.ready: dict[int, list[int]] = {}
        """Cycle from which on each tile that is loaded may be used, block by block."""

    def follow(self) -> dict[str, int]:
        """Load and compute everything: all counters that depend on more than sizes.

        A strip is computed when the next one comes: what its tiles need is loaded by then.
        """
        pending: tuple[StripLoad, int] | None = None
        for load in schedule(self.descriptor):
            if isinstance(load, LineLoad):
                self._load_lines(load)
                continue
            if pending:
                self._compute(*pending)
            self.free = max(self.free, self.released[-2]) + self.words[load.strip]
            pending = load, self.free
        if pending:
            self._compute(*pending)
        words = sum(self.words) * self.descriptor.blocks
        lines = self.descriptor.tiles * self.descriptor.input_lines
        return self.waits | {"loads": words + lines * self.line_words}

    def _load_lines(self, load: LineLoad) -> None:
        ready, lines = self.ready.setdefault(load.block, []), self.descriptor.input_lines
        begin, end = self.free, load.first + load.count
        self.free += load.count * self.line_words
        while (len(ready) + 1) * lines <= end:
            behind = (len(ready) + 1) * lines - load.first
            ready.append(begin + behind * self.line_words)

    def _compute(self, load: StripLoad, loaded: int) -> None:
        """All tiles of a strip."""
        steps, waits = self.steps[load.strip], self.waits
        hands_over = (load.strip + 1) % self.descriptor.parts == 0
        for tile in range(self.descriptor.tiles_of(load.block)):
            has_weights = max(self.last + 1, loaded)
            first = max(has_weights, self.ready[load.block][tile])
            last = first + steps - 1
            if hands_over:
                last = max(last, self.may_drain)
            waits["weight_wait"] += has_weights - self.last - 1
            waits["act_wait"] += first - has_weights
            waits["drain_wait"] += last - first - steps + 1
            waits["busy"] += steps
            self.last = last
            if hands_over:
                self.may_drain = last + self.config.rows
        release = release_cycles(self.config) if hands_over else PART_CYCLES
        self.released.append(self.last + release)
