"""The waiting lines of a cluster: when every column is broadcast, looked up and worked off.

Every moment is a maximum of earlier moments plus a constant. For the k-th broadcast column, with
all times counted from the first look at a row of activations::

    found[k]  = left[k-1] + 1 + rows left without a find
    left[k]   = sent[k]                                                 the column leaves its row
    sent[k]   = max(found[k], taken[k - queue_places] + 1 in every PE)   into all queues at once
    taken[k]  = max(sent[k] + 1, free[k-1])                              leaves the queue
    looked[k] = taken[k] + 1                                             pointers known
    handed[k] = max(kept[k], read[k'])                                   matrix read takes it
    read[k]   = handed[k] + cycles in this PE                            last entry handed on

where k' is the last column before k that has entries in this PE; a column without any is done, and
pointer read free again, at ``looked``. Without an ahead queue ``kept`` is ``looked``, and pointer
read is free again at ``handed``. With one of A places the column moves into that queue in between::

    free[k]   = max(looked[k], handed[A columns with entries ago] + 1)
    kept[k]   = free[k] + 1

A pipelined scan looks a cycle later, and has a place of its own between row and queues::

    left[k]   = max(found[k], sent[k-1])
    sent[k]   = max(left[k] + 1, taken[k - queue_places] + 1 in every PE)

Registers at the ports of PEs make ways longer: :data:`TO_PES` cycles for a column to all queues,
:data:`FROM_PES` until it is known that a place is free::

    sent[k]   = max(left[k] + 1, taken[k - queue_places] + 1 + FROM_PES in every PE)
    taken[k]  = max(sent[k] + TO_PES + 1, free[k-1])

A block of columns that is no longer than either queue depends only on blocks before it, but for
running sums and running maxima. So a block is a few NumPy operations over its columns, all PEs and
several series of broadcasts at once.
"""

import numpy as np

from spec.eie.config import EieConfig

MAC_CYCLES = 3
"""Cycles from an entry's leaving matrix read until its accumulator is written: decode, multiply,
add."""

TO_PES, FROM_PES = 2, 3
"""Registers on the way to every PE and back, with ``pe_registers``: of its station and at its
ports; and on the way back also that of the decision whether the next column may go."""

ROW_CYCLES = TO_PES + 2
"""Cycles by which a row of activations then comes later: to the PE, and back over the register at
its port and the queue of rows."""

NEVER = -(1 << 40)
"""Earlier than every moment, also after adding some."""


class Queues:
    """Follows some series of broadcasts, each of one cluster at one time.

    Parameters
    ----------
    config : EieConfig
    wait : int64, shape (columns of the longest series, series)
        Rows without a find in front of each column.
    lengths : int64, shape (series,)
        Columns of each series.
    pes : int
        Of a cluster.

    Attributes
    ----------
    left, sent, stalls : int64, shape (series,)
        When the last column left its row, and was broadcast; cycles that columns had to wait for
        the queues.
    read, ended, empty, blocking : int64, shape (series, pes)
        When the last entry was handed on; when the last column was done; cycles that go to empty
        columns; cycles in which a broadcast waited for this PE.
    """

    def __init__(self, config: EieConfig, wait: np.ndarray, lengths: np.ndarray, pes: int) -> None:
        series = len(lengths)
        self.config = config
        self.wait = wait
        self.lengths = lengths
        self.done = 0
        self.there, self.back = (config.pe_registers * way for way in (TO_PES, FROM_PES))
        first_look = config.scan_pipeline + config.pe_registers * ROW_CYCLES
        self.left = np.full(series, first_look - 1, np.int64)
        self.sent = np.full(series, -1, np.int64)
        self.stalls = np.zeros(series, np.int64)
        # Before the pass nothing is in flight, not even behind matrix read.
        self.read = np.full((series, pes), -1 - MAC_CYCLES, np.int64)
        self.ended = np.full((series, pes), -1, np.int64)
        self.empty = np.zeros((series, pes), np.int64)
        self.blocking = np.zeros((series, pes), np.int64)
        self._free = np.full((series, pes), -2, np.int64)
        self._taken = np.full((config.queue_places, series, pes), -2 - self.back, np.int64)
        self._handed = np.full((max(1, config.ahead_depth), series, pes), -2, np.int64)
        self._moved = np.zeros((series, pes), np.int64)

    @property
    def block(self) -> int:
        """Most columns that :meth:`follow` takes at once."""
        return min(self.config.queue_places, self.config.ahead_depth or self.config.queue_places)

    def follow(self, work: np.ndarray) -> None:
        """Follow the next columns.

        Parameters
        ----------
        work : int64, shape (columns, series, pes)
            Cycles of each column in each PE; zeros behind the end of a series.
        """
        number = self.done + np.arange(len(work))
        valid = (number[:, None] < self.lengths)[:, :, None]
        slots = number % self.config.queue_places
        sent = self._broadcast(self._taken[slots] + 1 + self.back, valid)[:, :, None]
        comes = sent + self.there
        look = self._look_ahead if self.config.ahead_depth else self._look
        free, read = look(comes, work)

        # A column leaves the queue as soon as pointer read is free.
        taken = np.maximum(comes + 1, _before(free, self._free))
        self._taken[slots] = taken
        looked = np.where(valid, taken + 1, NEVER)
        self.empty += ((work == 0) & (looked > _before(read, self.read))).sum(axis=0)
        self.ended = np.maximum(self.ended, np.maximum(looked.max(axis=0), read[-1]))
        self._free, self.read = free[-1], read[-1]
        self.done += len(work)

    def _broadcast(self, places: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Send a column as soon as every queue has a place; returns when, (columns, series).

        ``places`` says when the queues have one, (columns, series, pes).
        """
        steps = self.wait[self.done : self.done + len(places)] + 1
        least = np.cumsum(np.where(valid[:, :, 0], steps, 0), axis=0)
        room = np.where(valid[:, :, 0], places.max(axis=2), NEVER)
        if self.config.scan_pipeline:
            # A column leaves its row when the one before it is sent, which waits for room.
            freed = np.where(valid[:, :, 0], _before(room, self.sent), NEVER)
            left = least + np.maximum(self.left, np.maximum.accumulate(freed - least, axis=0))
            offered = left + 1
            sent = np.where(valid[:, :, 0], np.maximum(offered, room), NEVER)
            sent = np.maximum(np.maximum.accumulate(sent, axis=0), self.sent)
        else:
            sent = least + np.maximum(self.left, np.maximum.accumulate(room - least, axis=0))
            offered, left = _before(sent, self.sent) + steps, sent
        offered = np.where(valid[:, :, 0], offered, sent)
        self.stalls += (sent - offered).sum(axis=0)
        late = np.where(valid, places - offered[:, :, None], 0)
        self.blocking += np.maximum(late, 0).sum(axis=0)
        self.left, self.sent = left[-1], sent[-1]
        return sent

    def _look(self, comes: np.ndarray, work: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hand columns over to matrix read itself: ``free`` and ``read`` behind each.

        From one column with entries to the next it takes its entries or the lookups in between,
        whichever are more.
        """
        busy, place = work > 0, np.arange(len(work))[:, None, None]
        following = np.minimum.accumulate(np.where(busy, place, len(work))[::-1], axis=0)[::-1]
        following = np.concatenate([following[1:], np.full_like(following[:1], len(work))])
        lasts = np.where(busy, np.maximum(work, following - place), 0)
        least = np.cumsum(lasts, axis=0) - lasts
        first = np.maximum(self.read, self._free + 1 + busy.argmax(axis=0))
        handed = least + np.maximum(_latest(busy, comes + 2 - least), first)
        read = np.maximum(_latest(busy, handed + work), self.read)
        free = place + np.maximum(_latest(busy, handed - place), self._free + 1)
        return np.maximum(comes + 2, free), read

    def _look_ahead(self, comes: np.ndarray, work: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hand columns over to the ahead queue: ``free`` and ``read`` behind each."""
        busy, place = work > 0, np.arange(len(work))[:, None, None]
        slot = (self._moved + np.cumsum(busy, axis=0) - busy) % self.config.ahead_depth
        room = np.where(busy, np.take_along_axis(self._handed, slot, 0) + 1, NEVER)
        latest = np.maximum.accumulate(np.maximum(comes + 2, room) - place, axis=0)
        free = place + np.maximum(latest, self._free + 1)

        total = np.cumsum(work, axis=0)
        read = total + np.maximum(_latest(busy, free + 1 - (total - work)), self.read)
        at = np.nonzero(busy)
        self._handed[(slot[at], *at[1:])] = (read - work)[at]
        self._moved += busy.sum(axis=0)
        return free, read


def _before(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """What stood before each column."""
    return np.concatenate([first[None], values[:-1]])


def _latest(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Running maximum over the chosen columns."""
    return np.maximum.accumulate(np.where(chosen, values, NEVER), axis=0)
