"""The array's waiting lines, stepped clock by clock: a second, slow statement of the cycle model.

No recurrence and no NumPy: every register is a variable, every cycle looks at all registers first
and then changes them. It exists to be compared with :mod:`spec.eie.cycles`.
"""

from dataclasses import dataclass, field

from spec.eie.config import EieConfig

PIPELINE = 3
"""Registers between matrix read and the accumulators: decode, multiply, add."""


@dataclass
class Element:
    """Registers and counters of one PE. A column is its (weights, pads) in this PE."""

    config: EieConfig
    queue: list[tuple[int, int]] = field(default_factory=list)
    pointer: tuple[int, int] | None = None
    ahead: list[tuple[int, int]] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    flight: list[bool] = field(default_factory=lambda: [False] * PIPELINE)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("busy", "pads", "empty", "starved", "imbalance", "blocking"), 0
        )
    )

    @property
    def full(self) -> bool:
        return len(self.queue) >= self.config.queue_places

    @property
    def waiting(self) -> bool:
        """A column is in the queue, at pointer read, or ready for matrix read."""
        return bool(self.queue) or self.pointer is not None or bool(self.ahead)

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.entries or any(self.flight))

    def state(self, scanning: bool) -> str:
        """What this cycle is counted as."""
        if self.entries:
            return "pads" if self.entries[0] == "pad" else "busy"
        if self.pointer == (0, 0) and not self.ahead:
            return "empty"
        return "starved" if scanning or self.waiting else "imbalance"

    def clock(self, broadcast: tuple[int, int] | None) -> None:
        """One clock edge: decide from the registers as they are, then change them all."""
        reader_free = len(self.entries) <= 1
        has_work = self.pointer is not None and self.pointer != (0, 0)
        if self.config.ahead_depth:
            keep = has_work and len(self.ahead) < self.config.ahead_depth
            leaves = self.pointer == (0, 0) or keep
            taken = self.ahead[0] if reader_free and self.ahead else None
        else:
            keep = False
            leaves = self.pointer == (0, 0) or (has_work and reader_free)
            taken = self.pointer if has_work and reader_free else None
        pop = bool(self.queue) and (self.pointer is None or leaves)

        self.flight = [bool(self.entries), *self.flight[:-1]]
        self.entries = self.entries[1:]
        if taken is not None:
            weights, pads = taken
            self.entries = ["pad"] * pads + ["weight"] * weights
            self.ahead = self.ahead[1:]
        if keep and self.pointer is not None:
            self.ahead = [*self.ahead, self.pointer]
        if leaves:
            self.pointer = None
        if pop:
            self.pointer, self.queue = self.queue[0], self.queue[1:]
        if broadcast is not None:
            self.queue = [*self.queue, broadcast]


@dataclass
class Scan:
    """Position of non-zero detection: a row of activations, and the next PE to look at."""

    config: EieConfig
    nonzero: list[bool]
    row: int = 0
    pe: int = 0

    @property
    def rows(self) -> int:
        return -(-len(self.nonzero) // self.config.pes)

    @property
    def active(self) -> bool:
        return self.row < self.rows

    def find(self, start: int) -> int | None:
        """The first non-zero of the row at or behind PE ``start``."""
        base = self.row * self.config.pes
        for pe in range(start, self.config.pes):
            if base + pe < len(self.nonzero) and self.nonzero[base + pe]:
                return pe
        return None

    def advance(self, found: int | None) -> None:
        """Leave ``found`` behind, and the row when it is exhausted."""
        if found is None:
            self.row, self.pe = self.row + 1, 0
            return
        self.pe = found + 1
        ahead = self.config.scan_ahead and self.find(self.pe) is None
        if ahead or self.pe == self.config.pes:
            self.row, self.pe = self.row + 1, 0


def run_clocked(
    config: EieConfig, nonzero: list[bool], weights: list[list[int]], pads: list[list[int]]
) -> tuple[dict[str, int], list[dict[str, int]]]:
    """Compute one pass of one image.

    Parameters
    ----------
    nonzero : list of bool, one per column
    weights, pads : lists over columns of lists over PEs

    Returns
    -------
    array : dict
        ``compute``, ``broadcasts``, ``stalls``.
    pes : list of dict
        All counters of each PE.
    """
    scan = Scan(config, nonzero)
    elements = [Element(config) for _ in range(config.pes)]
    array = {"compute": 0, "broadcasts": 0, "stalls": 0}
    while True:
        array["compute"] += 1
        for element in elements:
            element.counts[element.state(scan.active)] += 1
        if not scan.active and all(element.idle for element in elements):
            return array, [element.counts for element in elements]
        column = None
        if scan.active:
            found = scan.find(scan.pe)
            blocked = found is not None and any(element.full for element in elements)
            if blocked:
                array["stalls"] += 1
                for element in elements:
                    element.counts["blocking"] += element.full
            elif found is not None:
                column = scan.row * config.pes + found
                array["broadcasts"] += 1
            if not blocked:
                scan.advance(found)
        for pe, element in enumerate(elements):
            element.clock(None if column is None else (weights[column][pe], pads[column][pe]))
