"""What goes in and out during a run, in order.

The load stream brings, for every block of tiles and every strip, the strip; behind a block's first
strip what is still missing of the block's activations; and behind each other strip
``ahead_lines`` lines of the next block. Lines go tile by tile. A line holds, lowest bits first,
``line_inputs`` inputs, each with the activations of all columns. (A strip of several parts comes
part by part; what is said of strips here holds for each.)

The result stream gives, for every block, strip and tile, a word for each of the strip's rows: the
results of all columns, column 0 lowest, each sign-extended to its slot. Rows behind the last output
and columns behind the last token come, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spec.nm.config import NmConfig
from spec.nm.descriptor import Descriptor
from spec.nm.program import Program
from spec.nm.words import pack_words, unpack_words


@dataclass(frozen=True)
class StripLoad:
    """A strip, into the weight bank that the strip before did not take."""

    block: int
    strip: int


@dataclass(frozen=True)
class LineLoad:
    """Lines ``first`` to ``first + count - 1`` of a block, into the bank of its parity."""

    block: int
    first: int
    count: int


def schedule(descriptor: Descriptor) -> Iterator[StripLoad | LineLoad]:
    """Everything that is loaded, in order. Loader, cycle model and host follow it."""
    loaded = 0
    for block in range(descriptor.blocks):
        lines = descriptor.tiles_of(block) * descriptor.input_lines
        following = 0
        if block + 1 < descriptor.blocks:
            following = descriptor.tiles_of(block + 1) * descriptor.input_lines
        for strip in range(descriptor.strips):
            yield StripLoad(block, strip)
            if strip == 0:
                if loaded < lines:
                    yield LineLoad(block, loaded, lines - loaded)
                loaded = 0
                continue
            count = min(descriptor.ahead_lines, following - loaded)
            if count:
                yield LineLoad(block + 1, loaded, count)
                loaded += count


def pack_acts(config: NmConfig, descriptor: Descriptor, acts: np.ndarray) -> np.ndarray:
    """Activations (tokens, inputs) as the words of all lines; zeros behind inputs and tokens.

    uint64, shape (tiles * input_lines, words of a line, limbs)
    """
    tokens, inputs = acts.shape
    padded = np.zeros(
        (descriptor.tiles * config.columns, descriptor.input_lines * config.line_inputs), np.int64
    )
    padded[:tokens, :inputs] = acts
    lines = padded.reshape(descriptor.tiles, config.columns, -1, config.line_inputs)
    words = pack_words(lines.transpose(0, 2, 3, 1), config.act_slot_bits, config.load_bits)
    return words.reshape(descriptor.tiles * descriptor.input_lines, -1, config.limbs)


def load_words(
    program: Program, number: int, descriptor: Descriptor, acts: np.ndarray
) -> np.ndarray:
    """The whole load stream of a run of a layer; uint64, shape (words, limbs)."""
    strips, spans = program.weights[number].strips, program.spans[number]
    lines = pack_acts(program.config, descriptor, acts)
    block_lines = descriptor.block_tiles * descriptor.input_lines
    parts = []
    for load in schedule(descriptor):
        if isinstance(load, StripLoad):
            parts.append(strips[spans[load.strip]])
        else:
            first = load.block * block_lines + load.first
            parts.append(lines[first : first + load.count].reshape(-1, program.config.limbs))
    return np.concatenate(parts)


def result_count(config: NmConfig, descriptor: Descriptor) -> int:
    """Words of the result stream of a run."""
    return descriptor.strips // descriptor.parts * config.rows * descriptor.tiles


def order_results(
    config: NmConfig, descriptor: Descriptor, results: np.ndarray, outputs: int, tokens: int
) -> np.ndarray:
    """Results in the order of the stream, (words, columns), as (tokens, outputs) of the array's
    order of outputs."""
    strips = descriptor.strips // descriptor.parts
    ordered = np.empty((descriptor.tiles, config.columns, strips, config.rows), results.dtype)
    at = 0
    for block in range(descriptor.blocks):
        tiles = descriptor.tiles_of(block)
        count = strips * tiles * config.rows
        part = results[at : at + count].reshape(-1, tiles, config.rows, config.columns)
        first = block * descriptor.block_tiles
        ordered[first : first + tiles] = part.transpose(1, 3, 0, 2)
        at += count
    whole = ordered.reshape(descriptor.tiles * config.columns, -1)
    return whole[:tokens, :outputs]


def pack_results(config: NmConfig, results: np.ndarray) -> np.ndarray:
    """Words of the result stream, from results (words, columns); uint64, shape (words, limbs)."""
    room = 64 * config.result_limbs
    slots = np.zeros((len(results), room // config.act_slot_bits), np.int64)
    slots[:, : config.columns] = results
    return pack_words(slots, config.act_slot_bits, room)


def unpack_results(config: NmConfig, words: np.ndarray) -> np.ndarray:
    """The inverse of :func:`pack_results`; int64, shape (words, columns)."""
    slots = 64 * config.result_limbs // config.act_slot_bits
    fields = unpack_words(words, len(words) * slots, config.act_slot_bits, signed=True)
    return fields.reshape(len(words), slots)[:, : config.columns]
