"""The words that a host writes: segments, inputs, and what arms a start.

They are exactly those that :mod:`spec.eie.loading` counts, as the array counts them, too.
"""

from typing import NamedTuple

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.iomap import Memory, arming, descriptor_word_bits, pack_writes
from spec.eie.program import Run, Segment, Slice


class Writes(NamedTuple):
    """Words for one memory; the arrays broadcast against each other. ``data`` is uint64."""

    memory: Memory
    pe: np.ndarray
    address: np.ndarray
    data: np.ndarray


def segment_writes(config: EieConfig, segment: Segment) -> list[Writes]:
    """All memories of a segment and its descriptors, where it stands."""
    bases = segment.bases(config)
    books, codes = segment.codebooks.shape
    book = bases.codebooks + np.arange(books)
    addresses = (book[:, None] << config.code_bits | np.arange(codes)).ravel()
    writes = [
        _rows(config, Memory.CODEBOOK, addresses, segment.codebooks.reshape(1, -1)),
        _from(config, Memory.BIASES, bases.biases, segment.biases),
        _from(config, Memory.POINTERS, bases.pointers, segment.pointers),
        _from(config, Memory.LINES, bases.lines, segment.lines),
    ]
    words = np.array([step.descriptor.pack(config) for step in segment.passes], np.uint64)
    number = bases.passes + np.arange(words.shape[0])
    addresses = number[:, None] << descriptor_word_bits(config) | np.arange(words.shape[1])
    return [*writes, Writes(Memory.DESCRIPTORS, np.zeros(1, np.int64), addresses, words)]


def feed_writes(config: EieConfig, vectors: np.ndarray, feed: Slice) -> Writes:
    """Part of a layer's inputs, one vector per lane, in whole rows of half 0, zeros behind it."""
    pes, lanes = config.pes, config.lanes
    rows = -(-feed.count // pes)
    padded = np.zeros((lanes, rows * pes), np.int64)
    padded[:, : feed.count] = vectors[:, feed.first : feed.first + feed.count]
    lane, row = np.arange(lanes)[:, None], np.arange(rows)
    addresses = (lane * 2 << config.act_row_bits | row).ravel()
    # From lanes, rows, PEs to PEs first.
    words = padded.reshape(lanes * rows, pes).T
    return _rows(config, Memory.ACTIVATIONS, addresses, words)


def arming_writes(config: EieConfig, segment: Segment, run: Run) -> Writes:
    """The word that names the passes of the next start."""
    none = np.zeros(1, np.int64)
    word = arming(segment.first_pass(config, run), len(run.passes))
    return Writes(Memory.CONTROL, none, none, np.array([word], np.uint64))


def pack(config: EieConfig, writes: list[Writes]) -> np.ndarray:
    """All of them as packed requests, uint64, shape (n, 2)."""
    return np.concatenate([pack_writes(config, *one) for one in writes])


def _from(config: EieConfig, memory: Memory, base: int, words: np.ndarray) -> Writes:
    """A row of words for each PE, from address ``base`` on."""
    return _rows(config, memory, base + np.arange(words.shape[1]), words)


def _rows(config: EieConfig, memory: Memory, addresses: np.ndarray, words: np.ndarray) -> Writes:
    """A row of words for each PE, or one for all; signed words in two's complement."""
    pes = np.arange(config.pes)[:, None]
    return Writes(memory, pes, addresses[None, :], words.astype(np.uint64))
