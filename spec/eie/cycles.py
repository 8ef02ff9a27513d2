"""The cycle model: how long a pass takes and why, exactly as the hardware counts it.

The array is a chain of waiting lines, :mod:`spec.eie.queues`. Clusters are waiting lines of their
own, which end together. :mod:`spec.eie.work` says how many cycles a column takes in a PE.
"""

from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.descriptor import Descriptor, cluster_columns, descriptor_words
from spec.eie.queues import MAC_CYCLES, Queues
from spec.eie.work import Work

REQUANTIZE_CYCLES = 4
"""Cycles from a sum's address until its activation is stored: add bias, multiply, round, store."""


def control_cycles(config: EieConfig, before: np.ndarray | int = 0) -> np.ndarray | int:
    """Cycles from a pass's beginning to its first look: the descriptor's words, one to take it, the
    first row.

    The descriptor is fetched behind the pass before, which took ``before`` cycles from its first
    row on; 0 for a run's first pass.
    """
    return 1 + np.maximum(0, descriptor_words(config) + 2 - before)


def drain_latency(config: EieConfig) -> int:
    """Cycles from a row's address until its activation is stored: the sums of the clusters are
    added up in one step per halving."""
    return config.splits + REQUANTIZE_CYCLES


def drain_cycles(config: EieConfig, descriptor: Descriptor) -> int:
    """Cycles that draining takes: a row of a cluster in a cycle, and the pipeline."""
    return descriptor.rows + drain_latency(config) if descriptor.drain else 0


@dataclass(frozen=True)
class PassCounts:
    """Counters of one pass, for every time that it ran: ``config.lanes`` images at once.

    Attributes
    ----------
    pe : int64, shape (times, pes, len(PE_COUNTERS))
    array : int64, shape (times, len(ARRAY_COUNTERS))
    """

    pe: np.ndarray
    array: np.ndarray

    def of(self, name: str) -> np.ndarray:
        """One counter: shape (times, pes), or (times,) for one of the array."""
        if name in PE_COUNTERS:
            return self.pe[:, :, PE_COUNTERS.index(name)]
        return self.array[:, ARRAY_COUNTERS.index(name)]

    @property
    def from_first_row(self) -> np.ndarray:
        """Cycles from the read of the first row on: ``before`` of the next pass. Shape (times,)."""
        return self.of("cycles") - self.of("control") + 1


def count_pass(
    config: EieConfig,
    descriptor: Descriptor,
    live: np.ndarray,
    work: Work,
    before: np.ndarray | int = 0,
) -> PassCounts:
    """Predict every counter of one pass, but for ``loads`` and ``hidden``, which stay 0.

    Parameters
    ----------
    descriptor : Descriptor
        Of the pass.
    live : integers, shape (times, columns)
        In how many lanes each activation is not zero.
    work : Work
        Of the pass's matrix.
    before : integer or shape (times,)
        Cycles of the pass before in the same run, from its first row on; 0 if there is none.
    """
    times, clusters = len(live), 1 << descriptor.split
    if times == 0:
        shape = (0, config.pes, len(PE_COUNTERS))
        return PassCounts(np.zeros(shape, np.int64), np.zeros((0, len(ARRAY_COUNTERS)), np.int64))
    pes = config.cluster_pes(descriptor.split)
    active = _split_active(config, live, clusters)
    ran = _follow(config, active, work.cycles.reshape(-1, clusters, pes))

    # From here on per time and PE, or per time and cluster.
    found_all = ran.left + _rows_after(config, descriptor, pes, active)
    found_all = np.maximum(found_all, ran.sent).reshape(times, clusters)
    finished = np.maximum(ran.read, ran.ended).reshape(times, -1)
    written = (ran.read.reshape(times, -1) + MAC_CYCLES).max(axis=1) + 1
    looked = ran.ended.reshape(times, -1).max(axis=1) + 1
    idle = np.maximum(written, looked) + config.pe_registers  # it is told a cycle later
    end = np.maximum(found_all.max(axis=1) + 1, idle)
    end = end + config.scan_pipeline  # it is seen a cycle later
    compute = end + 1
    control = np.broadcast_to(control_cycles(config, before), times)
    drain = drain_cycles(config, descriptor)
    in_array = {
        "cycles": control + compute + drain,
        "control": control,
        "compute": compute,
        "drain": np.full(times, drain),
        "broadcasts": (live > 0).sum(axis=1),
        "stalls": ran.stalls.reshape(times, clusters).sum(axis=1),
        "loads": np.zeros(times, np.int64),
        "hidden": np.zeros(times, np.int64),
    }

    in_pe = _count_entries(config, live, work, clusters)
    empty, blocking = (one.reshape(times, -1) for one in (ran.empty, ran.blocking))
    # A PE hears late that the scan and the pass have ended.
    imbalance = end[:, None] - np.maximum(np.repeat(found_all, pes, axis=1), finished - ran.there)
    in_pe |= {"empty": empty, "blocking": blocking, "imbalance": imbalance}
    told = in_pe["busy"] + in_pe["pads"] + empty + imbalance
    in_pe["starved"] = compute[:, None] - told
    return PassCounts(
        np.stack([in_pe[name] for name in PE_COUNTERS], axis=-1),
        np.stack([in_array[name] for name in ARRAY_COUNTERS], axis=-1),
    )


def dense_cycles(config: EieConfig, descriptor: Descriptor) -> int:
    """Cycles of the same pass if no weight and no activation were zero (and no pads, of course)."""
    columns = cluster_columns(config, descriptor.columns, descriptor.split)
    every = np.full((columns, config.pes), descriptor.rows)
    none = np.zeros_like(every)
    live = np.full((1, descriptor.columns), config.lanes)
    return int(count_pass(config, descriptor, live, Work(every, none, none)).of("cycles")[0])


def _split_active(config: EieConfig, live: np.ndarray, clusters: int) -> list[np.ndarray]:
    """Active columns of every cluster at every time, as columns of that cluster."""
    pes, active = config.pes // clusters, []
    for row in live:
        columns = np.flatnonzero(row)
        cluster = columns % config.pes // pes
        local = columns // config.pes * pes + columns % pes
        active += [local[cluster == one] for one in range(clusters)]
    return active


def _count_entries(
    config: EieConfig, live: np.ndarray, work: Work, clusters: int
) -> dict[str, np.ndarray]:
    """What depends on the active columns, but not on time; each of shape (times, pes)."""
    pes = config.pes // clusters
    # Which lanes work on each column of each cluster, zeros behind the last.
    padded = np.zeros((len(live), len(work.weights) // pes + 1, config.pes), np.int64)
    padded.reshape(len(live), -1)[:, : live.shape[1]] = live
    lanes = padded.reshape(len(live), -1, clusters, pes).swapaxes(1, 2)
    lanes = lanes.reshape(len(live), clusters, -1)[:, :, : len(work.weights)]

    def add_up(per_column: np.ndarray, weight: np.ndarray) -> np.ndarray:
        split = per_column.reshape(-1, clusters, pes)
        # As floats, for which a product of matrices is fast: the sums are far below 2**53.
        sums = [weight[:, one].astype(float) @ split[:, one] for one in range(clusters)]
        return np.concatenate(sums, axis=1).astype(np.int64)

    active = lanes > 0
    return {
        "busy": add_up(work.weights, active),
        "pads": add_up(work.pads, active),
        "lines": add_up(work.lines, active),
        "gated": add_up(work.weights, active * (config.lanes - lanes)),
    }


def _rows_before(config: EieConfig, pes: int, columns: np.ndarray) -> np.ndarray:
    """Cycles that a cluster of ``pes`` spends on rows without a find, before each active column."""
    row, pe = np.divmod(columns, pes)
    steps = np.diff(row, prepend=0)
    if config.scan_ahead:
        # A row is left together with its last find: only rows without any cost a cycle.
        steps[1:] -= steps[1:] > 0
    else:
        # A row costs a cycle to leave, unless its last PE held the last find.
        steps[1:] -= (steps[1:] > 0) & (pe[:-1] == pes - 1)
    return steps


def _rows_after(
    config: EieConfig, descriptor: Descriptor, pes: int, active: list[np.ndarray]
) -> np.ndarray:
    """Cycles spent on rows behind the last find (all rows, less the first look, without any
    find)."""
    rest = []
    for columns in active:
        if len(columns) == 0:
            rest.append(descriptor.input_rows)
            continue
        row, pe = divmod(int(columns[-1]), pes)
        left_with_it = config.scan_ahead or pe == pes - 1
        rest.append(descriptor.input_rows - row - left_with_it)
    return np.array(rest, np.int64)


def _follow(config: EieConfig, active: list[np.ndarray], cycles: np.ndarray) -> Queues:
    """Send every series of columns through the waiting lines.

    Parameters
    ----------
    active : list of int64 arrays
        Columns of each series; those of the clusters in turn.
    cycles : int64, shape (columns, clusters, pes of a cluster)
        What a column takes in a PE.
    """
    clusters, pes = cycles.shape[1:]
    lengths = np.array([len(columns) for columns in active])
    # Behind the end of a series stands a column without work.
    column = np.full((lengths.max(), len(active)), len(cycles))
    wait = np.zeros(column.shape, np.int64)
    for series, columns in enumerate(active):
        column[: len(columns), series] = columns
        wait[: len(columns), series] = _rows_before(config, pes, columns)
    cycles = np.concatenate([cycles, np.zeros((1, clusters, pes), np.int64)])
    cluster = np.arange(len(active)) % clusters
    queues = Queues(config, wait, lengths, pes)
    for first in range(0, len(column), queues.block):
        queues.follow(cycles[column[first : first + queues.block], cluster])
    return queues
