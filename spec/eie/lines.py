"""Entries as words of the matrix memory, and the pointers to them.

A line holds as many entries as fit, the first one lowest, an entry's code below its run; what is
left of it is zero. A pointer is a line and a slot in it, ``line << slot_bits | slot``.
"""

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import UserError


def pack_lines(
    code: np.ndarray, run: np.ndarray, *, code_bits: int, run_bits: int, per_line: int
) -> np.ndarray:
    """Entries of one PE as lines, uint64, from the first slot of the first line on."""
    entry_bits = code_bits + run_bits
    padded = np.zeros(-(-len(code) // per_line) * per_line, np.uint64)
    padded[: len(code)] = code.astype(np.uint64) | run.astype(np.uint64) << np.uint64(code_bits)
    shifts = np.arange(per_line, dtype=np.uint64) * np.uint64(entry_bits)
    return np.bitwise_or.reduce(padded.reshape(-1, per_line) << shifts, axis=1)


def unpack_lines(
    lines: np.ndarray, count: int, *, code_bits: int, run_bits: int, per_line: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first ``count`` entries of lines that :func:`pack_lines` made: codes and runs, uint8."""
    shifts = np.arange(per_line, dtype=np.uint64) * np.uint64(code_bits + run_bits)
    entries = (lines[:, None] >> shifts).ravel()[:count]
    code = entries & np.uint64((1 << code_bits) - 1)
    run = entries >> np.uint64(code_bits) & np.uint64((1 << run_bits) - 1)
    return code.astype(np.uint8), run.astype(np.uint8)


def pack_pointers(config: EieConfig, entries: np.ndarray, per_line: int) -> np.ndarray:
    """Pointers to entries that are counted from the first slot of line 0. int64."""
    line, slot = np.divmod(np.asarray(entries, np.int64), per_line)
    return line << config.slot_bits | slot


def unpack_pointers(config: EieConfig, pointers: np.ndarray, per_line: int) -> np.ndarray:
    """The inverse of :func:`pack_pointers`; refuses slots that no line has."""
    pointers = np.asarray(pointers, np.int64)
    line, slot = pointers >> config.slot_bits, pointers & ((1 << config.slot_bits) - 1)
    if (slot >= per_line).any():
        raise UserError(f"a pointer to slot {slot.max()}, a line holds {per_line} entries")
    return line * per_line + slot
