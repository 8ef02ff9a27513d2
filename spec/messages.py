"""Messages on the shell's input stream, and what comes back.

A message is a header word and then items, all of one kind and for one engine; TLAST ends it. An
item has as many bits as the array's own stream, in whole words of 32 bits, the lowest ones first;
what is left of its last word means nothing. A message without items does nothing, and brings a
receiver that has lost its place back to the beginning of one.

What comes back has no headers: answers to reads are 64 bits each, two words, with TLAST on that of
a message's last item; results are the words of the array's result stream, with TLAST where the
register ``RESULTS`` says.
"""

from enum import IntEnum

import numpy as np

from spec.config import IO_DATA_BITS, Config
from spec.eie import iomap as eie_iomap
from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm import iomap as nm_iomap
from spec.nm.config import NmConfig
from spec.registers.table import ENGINES

WORD_BITS = 32


class Kind(IntEnum):
    """What the items of a message are.

    WRITE
        Requests to write, as ``pack_writes`` of the engine's ``iomap`` makes them.
    READ
        Requests to read, as ``pack_reads`` makes them.
    LOAD
        Words of the load stream of an N:M array. Those that come while it does not run, and those
        that are left when a run ends, are dropped.
    """

    WRITE = 0
    READ = 1
    LOAD = 2


KIND_BITS = 8
ENGINE_BITS = 8
"""Fields of a header, the kind in the lowest bits. The engine is its place in
:data:`spec.registers.table.ENGINES`. The other bits are zero."""


def words_for(bits: int) -> int:
    """Words that so many bits take."""
    return -(-bits // WORD_BITS)


def header(engine: str, kind: Kind) -> int:
    """The first word of a message."""
    return number(engine) << KIND_BITS | kind


def number(engine: str) -> int:
    """Of an engine in a header."""
    return [one.engine for one in ENGINES].index(engine)


def item_bits(config: Config) -> dict[Kind, int]:
    """Bits of the items that an engine takes, by kind."""
    if isinstance(config, EieConfig):
        write, read = eie_iomap.write_fields(config), eie_iomap.read_fields(config)
        return {Kind.WRITE: sum(write.values()), Kind.READ: sum(read.values())}
    assert isinstance(config, NmConfig)
    write, read = nm_iomap.write_fields(config), nm_iomap.read_fields(config)
    return {
        Kind.WRITE: sum(write.values()),
        Kind.READ: sum(read.values()),
        Kind.LOAD: config.load_bits,
    }


def answer_words() -> int:
    """Words of an answer."""
    return words_for(IO_DATA_BITS)


def message(config: Config, kind: Kind, items: np.ndarray) -> np.ndarray:
    """A message of items, as words; the last one goes with TLAST.

    Parameters
    ----------
    items : uint64, shape (count,) or (count, limbs)
        The lowest 64 bits of each first, as the packing functions make them.

    Returns
    -------
    uint32, shape (words,)
    """
    bits = item_bits(config)
    if kind not in bits:
        raise UserError(f"the engine {config.engine} takes no messages of kind {kind.name}")
    head = np.array([header(config.engine, kind)], np.uint32)
    return np.concatenate([head, split(items, bits[kind]).ravel()])


def split(items: np.ndarray, bits: int) -> np.ndarray:
    """Items as words: uint32, shape (count, words)."""
    limbs = items.reshape(len(items), -1).astype("<u8")
    return limbs.view("<u4")[:, : words_for(bits)].astype(np.uint32)


def join(words: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of :func:`split`: uint64, shape (count, limbs)."""
    per_item = words_for(bits)
    limbs = -(-per_item // 2)
    padded = np.zeros((len(words) // per_item, 2 * limbs), "<u4")
    padded[:, :per_item] = np.asarray(words, np.uint32).reshape(-1, per_item)
    return padded.view("<u8").astype(np.uint64)
