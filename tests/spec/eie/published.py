"""The control of the published machine, clock by clock, as its authors' public simulator behaves.

Written from that simulator's behaviour (RalphMao/EIE-simulator), apart from our cycle model, as a
second statement to hold preset ``isca16`` against. Its registers have the same meaning: a register
row of activations with the index of the last find, a ring of places per PE that keeps one empty, a
pointer stage, a matrix stage, and three stages of arithmetic. Bias is one more column behind the
last full row. It differs in one thing on purpose: it ends when all work is done, where the original
ends in the first cycle without a write, which may come early.
"""

from dataclasses import dataclass, field

import numpy as np

ARITHMETIC_STAGES = 3


@dataclass
class Pe:
    """Registers of one PE. ``pointers`` has one more item than there are columns."""

    pointers: list[int]
    places: int
    ring: list[int] = field(default_factory=list)
    read_at: int = 0
    write_at: int = 0
    column: int | None = None
    entries: int = 0
    entry: int = 0
    in_flight: list[bool] = field(default_factory=lambda: [False] * ARITHMETIC_STAGES)

    def __post_init__(self) -> None:
        self.ring = [0] * self.places

    @property
    def full(self) -> bool:
        return (self.write_at + 1) % self.places == self.read_at

    @property
    def waiting(self) -> bool:
        return self.write_at != self.read_at

    @property
    def length(self) -> int:
        """Entries of the column in the pointer stage."""
        if self.column is None:
            return 0
        return self.pointers[self.column + 1] - self.pointers[self.column]

    @property
    def done(self) -> bool:
        work = self.waiting or self.column is not None or self.entry < self.entries
        return not (work or any(self.in_flight))

    def tick(self, pushed: int | None) -> None:
        """One clock edge; all conditions are those before it."""
        busy = self.entry < self.entries
        matrix_free = not busy or self.entry == self.entries - 1
        pointer_free = self.length == 0 or matrix_free
        head = self.ring[self.read_at] if self.waiting else None
        self.in_flight = [busy, *self.in_flight[:-1]]
        if busy:
            self.entry += 1
        if matrix_free and self.length:
            self.entries, self.entry = self.length, 0
        if pointer_free:
            self.column = head
            if head is not None:
                self.read_at = (self.read_at + 1) % self.places
        if pushed is not None:
            self.ring[self.write_at] = pushed
            self.write_at = (self.write_at + 1) % self.places


def run(entries: np.ndarray, acts: np.ndarray, places: int) -> tuple[int, int]:
    """Cycles from the first look at a row until the last write, and cycles that a find waited.

    Parameters
    ----------
    entries : integers, shape (columns, pes)
        The last column is the bias.
    acts : shape (columns - 1,)
        Whole rows of activations; positive ones are broadcast.
    """
    count = entries.shape[1]
    pointers = np.concatenate([np.zeros((1, count), int), np.cumsum(entries, axis=0)]).T.tolist()
    pes = [Pe(own, places) for own in pointers]
    rows = [*np.reshape(acts, (-1, count)).tolist(), [1.0] + [0.0] * (count - 1)]
    row, last_find, cycles, stalls = 0, count - 1, 0, 0
    while row < len(rows) or not all(pe.done for pe in pes):
        blocked = any(pe.full for pe in pes)
        pushed = None
        if row < len(rows):
            start = (last_find + 1) % count
            finds = [place for place in range(start, count) if rows[row][place] > 0]
            if finds and blocked:
                stalls += 1
            elif finds:
                pushed, last_find = row * count + finds[0], finds[0]
                row += last_find == count - 1
            else:
                row, last_find = row + 1, count - 1
        for pe in pes:
            pe.tick(pushed)
        cycles += 1
    return cycles, stalls
