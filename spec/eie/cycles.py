"""The cycle model: how long a pass takes and why, exactly as the hardware counts it.

The array is a chain of waiting lines, so the moment of every event is a maximum of earlier moments
plus one. For the k-th broadcast column, with all times counted from the first look at a row of
activations::

    found[k]  = sent[k-1] + 1 + rows left without a find
    sent[k]   = max(found[k], taken[k - queue_places] + 1 in every PE)   into all queues at once
    taken[k]  = max(sent[k] + 1, pointer read free)                      leaves the queue
    looked[k] = taken[k] + 1                                             pointers known
    handed[k] = max(kept[k], read[k'])                                   matrix read takes it
    read[k]   = handed[k] + entries in this PE                           last entry handed on

where k' is the last column before k that has entries in this PE; a column without any ends at
``looked``. Without an ahead queue ``kept`` is ``looked``, and pointer read is free again at
``handed``. With one of A places it moves into that queue in between::

    moved[k]  = max(looked[k], handed[A columns with entries ago] + 1)   pointer read is free
    kept[k]   = moved[k] + 1

One step of the recurrence is a few NumPy operations over all PEs and all images of a batch.
"""

from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.descriptor import Descriptor, descriptor_words

MAC_CYCLES = 3
"""Cycles from an entry's leaving matrix read until its accumulator is written: decode, multiply,
add."""

DRAIN_CYCLES = 4
"""Cycles from a row's address until its activation is stored: add bias, multiply, round, store."""


def control_cycles(config: EieConfig) -> int:
    """Cycles from a pass's beginning to its first look: descriptor words, one to settle, the first
    row."""
    return descriptor_words(config) + 2


def drain_cycles(descriptor: Descriptor) -> int:
    """Cycles that draining takes: a row in a cycle, and the pipeline."""
    return descriptor.rows + DRAIN_CYCLES if descriptor.drain else 0


@dataclass(frozen=True)
class PassCounts:
    """Counters of one pass for every image of a batch.

    Attributes
    ----------
    pe : int64, shape (images, pes, len(PE_COUNTERS))
    array : int64, shape (images, len(ARRAY_COUNTERS))
    """

    pe: np.ndarray
    array: np.ndarray


def count_pass(
    config: EieConfig,
    descriptor: Descriptor,
    active: list[np.ndarray],
    entries: np.ndarray,
    pads: np.ndarray,
) -> PassCounts:
    """Predict every counter of one pass.

    Parameters
    ----------
    descriptor : Descriptor
        Of the pass.
    active : list over images of int64 arrays
        Columns with a non-zero activation, ascending.
    entries, pads : integers, shape (columns, pes)
        Entries, and how many of them are pads, of each column in each PE.
    """
    images = len(active)
    if images == 0:
        shape = (0, config.pes, len(PE_COUNTERS))
        return PassCounts(np.zeros(shape, np.int64), np.zeros((0, len(ARRAY_COUNTERS)), np.int64))
    # With the longest image first, the images that still have a k-th column are always the first
    # few.
    order = np.argsort([-len(columns) for columns in active], kind="stable")
    longest_first = [active[image] for image in order]
    queues = _Queues(config, longest_first, entries)
    for step in range(queues.steps):
        queues.broadcast(step)
    found_all = queues.sent + _rows_after(config, descriptor, longest_first)
    ended, busy_until = queues.ended, queues.read
    end = np.maximum(found_all + 1, np.maximum(busy_until + MAC_CYCLES, ended).max(axis=1) + 1)

    compute = end + 1
    control, drain = control_cycles(config), drain_cycles(descriptor)
    in_array = {
        "cycles": control + compute + drain,
        "control": np.full(images, control),
        "compute": compute,
        "drain": np.full(images, drain),
        "broadcasts": np.array([len(columns) for columns in longest_first]),
        "stalls": queues.stalls,
    }
    padded = np.stack([pads[columns].sum(axis=0, dtype=np.int64) for columns in longest_first])
    issued = np.stack([entries[columns].sum(axis=0, dtype=np.int64) for columns in longest_first])
    imbalance = end[:, None] - np.maximum(found_all[:, None], np.maximum(busy_until, ended))
    in_pe = {
        "busy": issued - padded,
        "pads": padded,
        "empty": queues.empty,
        "imbalance": imbalance,
        "starved": compute[:, None] - issued - queues.empty - imbalance,
        "blocking": queues.blocking,
    }
    back = np.argsort(order)
    return PassCounts(
        np.stack([in_pe[name] for name in PE_COUNTERS], axis=-1)[back],
        np.stack([in_array[name] for name in ARRAY_COUNTERS], axis=-1)[back],
    )


def dense_cycles(config: EieConfig, descriptor: Descriptor) -> int:
    """Cycles of the same pass if no weight and no activation were zero (and no pads, of course)."""
    every = np.full((descriptor.columns, config.pes), descriptor.rows)
    counts = count_pass(
        config, descriptor, [np.arange(descriptor.columns)], every, np.zeros_like(every)
    )
    return int(counts.array[0, ARRAY_COUNTERS.index("cycles")])


def _rows_before(config: EieConfig, columns: np.ndarray) -> np.ndarray:
    """Cycles spent on rows without a find, in front of each active column."""
    row, pe = np.divmod(columns, config.pes)
    steps = np.diff(row, prepend=0)
    if config.scan_ahead:
        # A row is left together with its last find: only rows without any cost a cycle.
        steps[1:] -= steps[1:] > 0
    else:
        # A row costs a cycle to leave, unless its last PE held the last find.
        steps[1:] -= (steps[1:] > 0) & (pe[:-1] == config.pes - 1)
    return steps


def _rows_after(config: EieConfig, descriptor: Descriptor, active: list[np.ndarray]) -> np.ndarray:
    """Cycles spent on rows behind the last find (all rows, less the first look, without any
    find)."""
    rest = []
    for columns in active:
        if len(columns) == 0:
            rest.append(descriptor.input_rows)
            continue
        row, pe = divmod(int(columns[-1]), config.pes)
        left_with_it = config.scan_ahead or pe == config.pes - 1
        rest.append(descriptor.input_rows - row - left_with_it)
    return np.array(rest, np.int64)


class _Queues:
    """The recurrence of the module's docstring. Arrays are (images,) or (images, pes), longest
    image first."""

    def __init__(self, config: EieConfig, active: list[np.ndarray], entries: np.ndarray) -> None:
        images, pes = len(active), config.pes
        self.config = config
        self.steps = len(active[0]) if images else 0
        self.alive = np.array(
            [sum(len(c) > k for c in active) for k in range(self.steps)], np.int64
        )
        self.column = np.zeros((self.steps, images), np.int64)
        self.wait = np.zeros((self.steps, images), np.int64)
        for image, columns in enumerate(active):
            self.column[: len(columns), image] = columns
            self.wait[: len(columns), image] = _rows_before(config, columns)
        self.entries = entries

        self.sent = np.full(images, -1, np.int64)
        self.taken = np.full((config.queue_places, images, pes), -2, np.int64)
        self.free = np.full((images, pes), -2, np.int64)
        # Before the pass nothing is in flight, not even behind matrix read.
        self.read = np.full((images, pes), -1 - MAC_CYCLES, np.int64)
        self.ended = np.full((images, pes), -1, np.int64)
        self.handed = np.full((max(1, config.ahead_depth), images, pes), -2, np.int64)
        self.moved_columns = np.zeros((images, pes), np.int64)
        self.stalls = np.zeros(images, np.int64)
        self.empty = np.zeros((images, pes), np.int64)
        self.blocking = np.zeros((images, pes), np.int64)

    def broadcast(self, step: int) -> None:
        """Follow the ``step``-th active column of every image that has one."""
        m = self.alive[step]
        work = self.entries[self.column[step, :m]]

        # Broadcast as soon as every queue has a place.
        found = self.sent[:m] + 1 + self.wait[step, :m]
        slot = step % self.config.queue_places
        place = self.taken[slot, :m] + 1
        sent = np.maximum(found, place.max(axis=1))
        self.stalls[:m] += sent - found
        self.blocking[:m] += np.maximum(0, place - found[:, None])
        self.sent[:m] = sent

        # Look up the pointers; a column without entries is dropped there.
        taken = np.maximum(sent[:, None] + 1, self.free[:m])
        self.taken[slot, :m] = taken
        looked = taken + 1
        has_work = work > 0
        self.empty[:m] += ~has_work & (looked > self.read[:m])
        free, handed = self._hand_over(m, looked, has_work)
        self.free[:m] = np.where(has_work, free, looked)
        self.read[:m] = np.where(has_work, handed + work, self.read[:m])
        self.ended[:m] = np.maximum(looked, self.read[:m])

    def _hand_over(
        self, m: int, looked: np.ndarray, has_work: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """When pointer read is free again, and when matrix read takes the column."""
        if self.config.ahead_depth == 0:
            handed = np.maximum(looked, self.read[:m])
            return handed, handed
        slot = (self.moved_columns[:m] % self.config.ahead_depth)[None]
        ring = self.handed[:, :m]
        earlier = np.take_along_axis(ring, slot, 0)[0]
        moved = np.maximum(looked, earlier + 1)
        handed = np.maximum(moved + 1, self.read[:m])
        np.put_along_axis(ring, slot, np.where(has_work, handed, earlier)[None], 0)
        self.moved_columns[:m] += has_work
        return moved, handed
