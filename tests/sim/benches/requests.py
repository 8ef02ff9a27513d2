"""The words of a host's requests to the array, and what the answers mean."""

from typing import Any, NamedTuple

import numpy as np

from spec.eie.config import IO_DATA_BITS, EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.iomap import (
    Memory,
    array_counter_bits,
    descriptor_word_bits,
    pack_reads,
    pack_writes,
    pe_counter_bits,
)
from spec.eie.program import Segment


def packed(config: EieConfig, memory: Memory, pe: Any, address: Any, data: Any) -> list[int]:
    """Payloads of writes; the arguments broadcast."""
    words = pack_writes(config, memory, pe, address, data)
    return [int(low) | int(high) << IO_DATA_BITS for low, high in words]


def arming(config: EieConfig, passes: int) -> list[int]:
    """The write that tells the number of passes."""
    return packed(config, Memory.CONTROL, 0, 0, passes)


def loading(config: EieConfig, segment: Segment) -> list[int]:
    """The writes that load a segment, the one that arms the array last."""
    every = np.arange(config.pes)[:, None]
    writes = []
    for memory, words in (
        (Memory.BIASES, segment.biases),
        (Memory.POINTERS, segment.pointers),
        (Memory.LINES, segment.lines),
    ):
        writes += packed(config, memory, every, np.arange(words.shape[1]), words)
    books, codes = segment.codebooks.shape
    address = np.arange(books)[:, None] << config.code_bits | np.arange(codes)
    writes += packed(config, Memory.CODEBOOK, every, address.ravel(), segment.codebooks.ravel())
    for number, step in enumerate(segment.passes):
        words = np.array(step.descriptor.pack(config), np.uint64)
        address = number << descriptor_word_bits(config) | np.arange(len(words))
        writes += packed(config, Memory.DESCRIPTORS, 0, address, words)
    return writes + arming(config, len(segment.passes))


def feeding(config: EieConfig, acts: np.ndarray) -> list[int]:
    """The writes that bring activations into half 0, zeros up to the end of their last row."""
    words = np.zeros(-(-len(acts) // config.pes) * config.pes, np.int64)
    words[: len(acts)] = acts
    row, pe = np.divmod(np.arange(len(words)), config.pes)
    return packed(config, Memory.ACTIVATIONS, pe, row, words)


class Results(NamedTuple):
    """What the host reads after a run."""

    outputs: np.ndarray
    in_pe: np.ndarray
    in_array: np.ndarray


class Questions:
    """The reads after a run, and what their answers mean."""

    def __init__(self, config: EieConfig, segment: Segment) -> None:
        self.config = config
        self.outputs = segment.fetch.count if segment.fetch else 0
        self.passes = len(segment.passes)
        row, pe = np.divmod(np.arange(self.outputs), config.pes)
        half = segment.final_half << config.act_row_bits
        number = np.arange(self.passes)[:, None, None]
        in_pe = number << pe_counter_bits() | np.arange(len(PE_COUNTERS))
        in_array = number[:, 0] << array_counter_bits() | np.arange(len(ARRAY_COUNTERS))
        self.reads = np.concatenate(
            [
                pack_reads(config, Memory.ACTIVATIONS, pe, half | row),
                pack_reads(config, Memory.COUNTERS, np.arange(config.pes)[None, :, None], in_pe),
                pack_reads(config, Memory.CONTROL, 0, in_array),
            ]
        )

    def results(self, answers: np.ndarray) -> Results:
        """Outputs, counters (passes, pes, counters), and central control's (passes, counters)."""
        in_pe = self.outputs + self.passes * self.config.pes * len(PE_COUNTERS)
        outputs, per_pe, per_array = np.split(answers, [self.outputs, in_pe])
        unused = IO_DATA_BITS - self.config.act_bits
        return Results(
            outputs << unused >> unused,
            per_pe.reshape(self.passes, self.config.pes, -1),
            per_array.reshape(self.passes, -1),
        )
