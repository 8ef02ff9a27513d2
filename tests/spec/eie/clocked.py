"""The array's waiting lines, stepped clock by clock: a second, slow statement of the cycle model.

No recurrence and no NumPy: every register is a variable, every cycle looks at all registers first
and then changes them. It exists to be compared with :mod:`spec.eie.cycles`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from spec.eie.config import EieConfig
from spec.eie.counters import PE_COUNTERS
from spec.eie.queues import FROM_PES, ROW_CYCLES, TO_PES

PIPELINE = 3
"""Registers between matrix read and the accumulators: decode, multiply, add."""


class Column(NamedTuple):
    """A broadcast column in one PE: its weights, the pads that stand alone, the lines that it
    touches; and in how many lanes its activation is zero."""

    weights: int
    pads: int
    lines: int
    zeros: int

    @property
    def empty(self) -> bool:
        return self.weights + self.pads == 0


@dataclass
class Element:
    """Registers and counters of one PE."""

    config: EieConfig
    queue: list[Column] = field(default_factory=list)
    pointer: Column | None = None
    ahead: list[Column] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    zeros: int = 0
    flight: list[bool] = field(default_factory=lambda: [False] * PIPELINE)
    way: list[Column | None] = field(default_factory=list)
    """Columns on the way here."""
    promised: int = 0
    """Places that are taken, or not yet known to be free."""
    freed: list[bool] = field(default_factory=list)
    """Places on the way back."""
    was_idle: bool = True
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PE_COUNTERS, 0))

    def __post_init__(self) -> None:
        self.way = [None] * (TO_PES * self.config.pe_registers)
        self.freed = [False] * (FROM_PES * self.config.pe_registers)

    @property
    def full(self) -> bool:
        return self.promised >= self.config.queue_places

    @property
    def waiting(self) -> bool:
        """A column is in the queue, at pointer read, or ready for matrix read."""
        return bool(self.queue) or self.pointer is not None or bool(self.ahead)

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.entries or any(self.flight))

    @property
    def awaits(self) -> bool:
        """A column is on the way here."""
        return any(column is not None for column in self.way)

    @property
    def looks_at_nothing(self) -> bool:
        """Pointer read holds a column that has no entry here."""
        return self.pointer is not None and self.pointer.empty

    def state(self, scanning: bool) -> str:
        """What this cycle is counted as; ``scanning`` says whether its cluster still broadcasts."""
        if self.entries:
            return "pads" if self.entries[0] == "pad" else "busy"
        if self.looks_at_nothing and not self.ahead:
            return "empty"
        return "starved" if scanning or self.waiting else "imbalance"

    def count(self, scanning: bool) -> None:
        state = self.state(scanning)
        self.counts[state] += 1
        self.counts["gated"] += self.zeros if state == "busy" else 0

    def clock(self, broadcast: Column | None) -> None:
        """One clock edge: decide from the registers as they are, then change them all."""
        self.was_idle = self.idle and not self.awaits
        reader_free = len(self.entries) <= 1
        has_work = self.pointer is not None and not self.pointer.empty
        if self.config.ahead_depth:
            keep = has_work and len(self.ahead) < self.config.ahead_depth
            leaves = self.looks_at_nothing or keep
            taken = self.ahead[0] if reader_free and self.ahead else None
        else:
            keep = False
            leaves = self.looks_at_nothing or (has_work and reader_free)
            taken = self.pointer if has_work and reader_free else None
        pop = bool(self.queue) and (self.pointer is None or leaves)

        self.flight = [bool(self.entries), *self.flight[:-1]]
        self.entries = self.entries[1:]
        if taken is not None:
            self.entries = ["pad"] * taken.pads + ["weight"] * taken.weights
            self.counts["lines"] += taken.lines
            self.zeros = taken.zeros
            self.ahead = self.ahead[1:]
        if keep and self.pointer is not None:
            self.ahead = [*self.ahead, self.pointer]
        if leaves:
            self.pointer = None
        if pop:
            self.pointer, self.queue = self.queue[0], self.queue[1:]
        *self.way, comes = [broadcast, *self.way]
        if comes is not None:
            self.queue = [*self.queue, comes]
        *self.freed, free = [pop, *self.freed]
        self.promised += (broadcast is not None) - free


@dataclass
class Scan:
    """Position of a cluster's non-zero detection: a row of activations, and the next PE to look at.

    ``live`` says in how many lanes each activation is not zero, in rows of the cluster's ``pes``.
    """

    config: EieConfig
    pes: int
    live: list[list[int]]
    row: int = 0
    pe: int = 0

    @property
    def active(self) -> bool:
        return self.row < len(self.live)

    def find(self, start: int) -> int | None:
        """The first non-zero of the row at or behind PE ``start``."""
        return next((pe for pe in range(start, self.pes) if self.live[self.row][pe]), None)

    def advance(self, found: int | None) -> None:
        """Leave ``found`` behind, and the row when it is exhausted."""
        if found is None:
            self.row, self.pe = self.row + 1, 0
            return
        self.pe = found + 1
        ahead = self.config.scan_ahead and self.find(self.pe) is None
        if ahead or self.pe == self.pes:
            self.row, self.pe = self.row + 1, 0


@dataclass
class Cluster:
    """PEs that hear the same broadcasts. ``works[j][pe]`` is (weights, pads, lines) of column j."""

    config: EieConfig
    scan: Scan
    elements: list[Element]
    works: list[list[tuple[int, int, int]]]
    broadcasts: int = 0
    stalls: int = 0
    reads_ahead: int = 0
    held: list[Column] | None = None
    heard: list[bool | None] = field(default_factory=list)
    """Whether it scanned, on the way to the PEs, which have heard of no pass before."""

    def __post_init__(self) -> None:
        far = self.config.pe_registers
        self.reads_ahead = self.config.scan_pipeline + far * ROW_CYCLES
        self.heard = [None] * (far * TO_PES)

    @property
    def scanning(self) -> bool:
        return self.scan.active or self.held is not None

    @property
    def idle(self) -> bool:
        if self.scanning or any(element.awaits for element in self.elements):
            return False
        told = (one.was_idle if self.config.pe_registers else one.idle for one in self.elements)
        return all(told)

    def count(self) -> None:
        """What every PE does in this cycle, by what it has heard."""
        *self.heard, scanning = [self.scanning, *self.heard]
        if scanning is not None:
            for element in self.elements:
                element.count(scanning)

    def clock(self) -> None:
        """One clock edge: broadcast what is found, or was found before, unless a queue is full."""
        offered = self.held if self.config.scan_pipeline else self._find()
        blocked = offered is not None and any(element.full for element in self.elements)
        if blocked:
            self.stalls += 1
            for element in self.elements:
                element.counts["blocking"] += element.full
        elif offered is not None:
            self.broadcasts += 1
        if self.reads_ahead:
            self.reads_ahead -= 1
        elif not blocked and self.scan.active:
            found, self.held = self._find(), None
            self.scan.advance(self.scan.find(self.scan.pe))
            self.held = found if self.config.scan_pipeline else None
        elif not blocked:
            self.held = None
        elif self.scan.active and self._find() is None:
            self.scan.advance(None)  # a row without a find waits for nobody
        for number, element in enumerate(self.elements):
            element.clock(None if blocked or offered is None else offered[number])

    def _find(self) -> list[Column] | None:
        """The first non-zero that was not broadcast, of the row that is looked at."""
        scan = self.scan
        found = scan.find(scan.pe) if scan.active else None
        if found is None:
            return None
        zeros = self.config.lanes - scan.live[scan.row][found]
        work = self.works[scan.row * scan.pes + found]
        return [Column(*own, zeros) for own in work]


def run_clocked(
    config: EieConfig, split: int, live: list[int], work: list[list[tuple[int, int, int]]]
) -> tuple[dict[str, int], list[dict[str, int]]]:
    """Compute one pass of one image per lane.

    Parameters
    ----------
    live : list of int, one per column of the matrix
        In how many lanes its activation is not zero.
    work : list over columns of a cluster of lists over PEs of (weights, lone pads, lines)

    Returns
    -------
    array : dict
        ``compute``, ``broadcasts``, ``stalls``.
    pes : list of dict
        All counters of each PE.
    """
    pes = config.pes >> split
    padded = live + [0] * (-len(live) % config.pes)
    rows = [padded[at : at + config.pes] for at in range(0, len(padded), config.pes)]
    clusters = []
    for first in range(0, config.pes, pes):
        span = slice(first, first + pes)
        scan = Scan(config, pes, [row[span] for row in rows])
        elements = [Element(config) for _ in range(pes)]
        clusters.append(Cluster(config, scan, elements, [column[span] for column in work]))
    compute, left = 0, 1 + config.scan_pipeline
    while left:
        compute += 1
        for cluster in clusters:
            cluster.count()
        done = all(cluster.idle for cluster in clusters)
        left -= done
        if not done:
            for cluster in clusters:
                cluster.clock()
    for _ in range(TO_PES * config.pe_registers):
        for cluster in clusters:
            cluster.count()
    array = {
        "compute": compute,
        "broadcasts": sum(cluster.broadcasts for cluster in clusters),
        "stalls": sum(cluster.stalls for cluster in clusters),
    }
    return array, [element.counts for cluster in clusters for element in cluster.elements]
