"""The words of a host's requests to the array, and what the answers mean."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from spec.config import IO_DATA_BITS
from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.iomap import Memory, array_counter_bits, pack_reads, pack_writes, pe_counter_bits
from spec.eie.program import Run, Segment, Slice
from sw.host.eie.words import Writes, arming_writes, feed_writes, segment_writes


def packed(config: EieConfig, memory: Memory, pe: Any, address: Any, data: Any) -> list[int]:
    """Payloads of writes; the arguments broadcast."""
    words = pack_writes(config, memory, pe, address, data)
    return [int(low) | int(high) << IO_DATA_BITS for low, high in words]


def _payloads(config: EieConfig, writes: Iterable[Writes]) -> list[int]:
    return [payload for one in writes for payload in packed(config, *one)]


def loading(config: EieConfig, segment: Segment | None) -> list[int]:
    """The writes that load a segment."""
    return _payloads(config, segment_writes(config, segment)) if segment else []


def arming(config: EieConfig, segment: Segment, run: Run) -> list[int]:
    """The write that names the passes of a run."""
    return _payloads(config, [arming_writes(config, segment, run)])


def feeding(config: EieConfig, vectors: np.ndarray, feed: Slice | None = None) -> list[int]:
    """The writes that bring vectors, (lanes, inputs), or a slice of them, into half 0."""
    feed = feed or Slice(layer=0, first=0, count=vectors.shape[1])
    return _payloads(config, [feed_writes(config, vectors, feed)])


class Results(NamedTuple):
    """What the host reads after a run.

    ``outputs`` is (lanes, outputs), ``in_pe`` (passes, pes, counters), ``in_array`` (passes,
    counters).
    """

    outputs: np.ndarray
    in_pe: np.ndarray
    in_array: np.ndarray

    def of_array(self, name: str) -> np.ndarray:
        """A counter of the array in every pass."""
        return self.in_array[:, ARRAY_COUNTERS.index(name)]


class Questions:
    """The reads after a run, and what their answers mean."""

    def __init__(self, config: EieConfig, segment: Segment, run: Run) -> None:
        self.config = config
        self.outputs = run.fetch.count if run.fetch else 0
        self.passes = len(run.passes)
        row, pe = np.divmod(np.arange(self.outputs), config.pes)
        half = np.arange(config.lanes)[:, None] * 2 + run.final_half
        number = (segment.first_pass(config, run) + np.arange(self.passes))[:, None, None]
        in_pe = number << pe_counter_bits() | np.arange(len(PE_COUNTERS))
        in_array = number[:, 0] << array_counter_bits() | np.arange(len(ARRAY_COUNTERS))
        self.reads = np.concatenate(
            [
                pack_reads(config, Memory.ACTIVATIONS, pe, half << config.act_row_bits | row),
                pack_reads(config, Memory.COUNTERS, np.arange(config.pes)[None, :, None], in_pe),
                pack_reads(config, Memory.CONTROL, 0, in_array),
            ]
        )

    def results(self, answers: np.ndarray) -> Results:
        """The answers by what was asked for."""
        outputs = self.outputs * self.config.lanes
        in_pe = outputs + self.passes * self.config.pes * len(PE_COUNTERS)
        acts, per_pe, per_array = np.split(answers, [outputs, in_pe])
        unused = IO_DATA_BITS - self.config.act_bits
        return Results(
            acts.reshape(self.config.lanes, -1) << unused >> unused,
            per_pe.reshape(self.passes, self.config.pes, -1),
            per_array.reshape(self.passes, -1),
        )
