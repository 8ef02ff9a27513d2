"""Fields of a power of two of bits, as words of the load stream and back.

A word of ``load_bits`` is a row of 64-bit limbs, the lowest first. Fields stand in it one after
another, first field lowest; what is left of the last word of a section is zero.
"""

import numpy as np


def words_for(count: int, bits: int, load_bits: int) -> int:
    """Words that ``count`` fields of ``bits`` take."""
    return -(-count * bits // load_bits)


def pack_words(fields: np.ndarray, bits: int, load_bits: int) -> np.ndarray:
    """Integers, signed or not, as words; ``bits`` is a power of two of at most 64.

    Returns
    -------
    uint64, shape (words, load_bits / 64)
    """
    flat = np.asarray(fields).ravel().astype(np.int64).astype(np.uint64)
    words = words_for(len(flat), bits, load_bits)
    padded = np.zeros(words * load_bits // bits, np.uint64)
    padded[: len(flat)] = flat & np.uint64((1 << bits) - 1)
    shifts = np.uint64(bits) * np.arange(64 // bits, dtype=np.uint64)
    limbs = np.bitwise_or.reduce(padded.reshape(-1, 64 // bits) << shifts, axis=1)
    return limbs.reshape(words, load_bits // 64)


def unpack_words(words: np.ndarray, count: int, bits: int, *, signed: bool = False) -> np.ndarray:
    """The first ``count`` fields of words that :func:`pack_words` made; int64.

    Fields of 64 bits come as they are, as if signed.
    """
    shifts = np.uint64(bits) * np.arange(64 // bits, dtype=np.uint64)
    fields = words.reshape(-1, 1) >> shifts & np.uint64((1 << bits) - 1)
    values = fields.ravel()[:count].astype(np.int64)
    if signed and bits < 64:
        sign = np.int64(1 << (bits - 1))
        values = (values ^ sign) - sign
    return values
