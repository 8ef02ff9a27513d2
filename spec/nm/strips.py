"""A strip as words of the load stream: sections one after another, each of whole words.

========== =========================================================================
header     one word; its low 16 bits are the strip's steps (or the part's)
parameters one 64-bit field per row: bias, then multiplier, then shift, lowest first
values     a weight per step, row and multiplier, in this order, in its slot
places     a plane per bit of a place, lowest bit first; a bit per step, row and
           multiplier; as many planes as the mode's places have bits
offsets    an offset per line and input of a line, in its slot; only of gathered strips
========== =========================================================================

A strip with more steps than a bank holds is stored as several parts, one behind the other, each
like a strip; only the last one's parameters are used. All but the last are whole lines.

Multiplier k of a row takes weight ``k % n`` of the step's group ``k // n``.
"""

from dataclasses import dataclass

import numpy as np

from spec.config import IO_DATA_BITS
from spec.errors import UserError
from spec.nm.config import HEADER_BITS, Mode, NmConfig
from spec.nm.words import pack_words, unpack_words, words_for


@dataclass(frozen=True, eq=False)
class Strip:
    """``rows`` outputs.

    Attributes
    ----------
    bias, multiplier, shift : int64, shape (rows,)
    values, places : int64, shape (steps, rows, multipliers)
    offsets : int64, shape (lines, line_inputs)
        In lines; no lines if the strip is not gathered.
    """

    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    values: np.ndarray
    places: np.ndarray
    offsets: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.values)


def strip_lines(config: NmConfig, mode: Mode, steps: int) -> int:
    """Lines of activations that some steps take."""
    return -(-steps // config.phases(mode))


def sections(config: NmConfig, mode: Mode, gather: bool, steps: int) -> dict[str, int]:
    """Words of each section of a strip, in order; ``places`` is one plane of several."""
    lines = strip_lines(config, mode, steps) if gather else 0
    weights = steps * config.step_weights
    return {
        "header": 1,
        "parameters": words_for(config.rows, IO_DATA_BITS, config.load_bits),
        "values": words_for(weights, config.weight_slot_bits, config.load_bits),
        "places": words_for(weights, 1, config.load_bits),
        "offsets": words_for(lines * config.line_inputs, config.offset_slot_bits, config.load_bits),
    }


def strip_words(config: NmConfig, mode: Mode, gather: bool, steps: int) -> int:
    """Words of a whole strip."""
    words = sections(config, mode, gather, steps)
    return sum(words.values()) + words["places"] * (mode.place_bits - 1)


def pack_strip(config: NmConfig, mode: Mode, gather: bool, strip: Strip) -> np.ndarray:
    """A strip's words; uint64, shape (words, limbs)."""
    acc, multiplier = np.uint64(config.acc_bits), np.uint64(config.multiplier_bits)
    rows = strip.bias.astype(np.uint64) & np.uint64((1 << config.acc_bits) - 1)
    rows |= strip.multiplier.astype(np.uint64) << acc
    rows |= strip.shift.astype(np.uint64) << (acc + multiplier)
    planes = [strip.places >> bit & 1 for bit in range(mode.place_bits)]
    parts = [
        (np.array([strip.steps]), IO_DATA_BITS),
        (rows, IO_DATA_BITS),
        (strip.values, config.weight_slot_bits),
        *((plane, 1) for plane in planes),
        *([(strip.offsets, config.offset_slot_bits)] if gather else []),
    ]
    return np.concatenate([pack_words(part, bits, config.load_bits) for part, bits in parts])


def steps_of(words: np.ndarray) -> int:
    """Steps that a strip's header tells."""
    return int(words[0, 0]) & ((1 << HEADER_BITS) - 1)


def unpack_strip(config: NmConfig, mode: Mode, gather: bool, words: np.ndarray) -> Strip:
    """The inverse of :func:`pack_strip`; words behind the strip's last are left alone."""
    steps = steps_of(words)
    length = sections(config, mode, gather, steps)
    at = length["header"]

    def take(section: str, count: int, bits: int, *, signed: bool = False) -> np.ndarray:
        nonlocal at
        part = words[at : at + length[section]]
        at += length[section]
        return unpack_words(part, count, bits, signed=signed)

    rows = take("parameters", config.rows, IO_DATA_BITS).astype(np.uint64)
    shape = (steps, config.rows, config.multipliers)
    count = steps * config.step_weights
    values = take("values", count, config.weight_slot_bits, signed=True)
    places = np.zeros(count, np.int64)
    for bit in range(mode.place_bits):
        places |= take("places", count, 1) << bit
    lines = strip_lines(config, mode, steps) if gather else 0
    offsets = take("offsets", lines * config.line_inputs, config.offset_slot_bits)
    bias, multiplier, shift = _split_parameters(config, rows)
    return Strip(
        bias,
        multiplier,
        shift,
        values.reshape(shape),
        places.reshape(shape),
        offsets.reshape(lines, config.line_inputs),
    )


def _split_parameters(
    config: NmConfig, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bias, multiplier and shift of each row."""
    above = np.uint64(64 - config.acc_bits)
    bias = (rows << above).astype(np.int64) >> np.int64(above)
    multiplier = rows >> np.uint64(config.acc_bits) & np.uint64((1 << config.multiplier_bits) - 1)
    shift = rows >> np.uint64(config.acc_bits + config.multiplier_bits)
    return bias, multiplier.astype(np.int64), shift.astype(np.int64)


def unpack_strips(
    config: NmConfig, mode: Mode, gather: bool, count: int, words: np.ndarray
) -> list[Strip]:
    """All strips of a layer.

    Raises
    ------
    UserError
        Words are missing or left over, or a header tells steps that no bank holds.
    """
    return [
        unpack_strip(config, mode, gather, words[span])
        for span in strip_spans(config, mode, gather, count, words)
    ]


def strip_spans(
    config: NmConfig, mode: Mode, gather: bool, count: int, words: np.ndarray
) -> list[slice]:
    """Where each strip of a layer lies in its words; errors are those of :func:`unpack_strips`."""
    spans, at = [], 0
    for number in range(count):
        if at >= len(words):
            raise UserError(f"strip {number} of {count} is missing, there are {at} words")
        steps = steps_of(words[at:])
        if not 1 <= steps <= config.weight_steps:
            raise UserError(
                f"strip {number} has {steps} steps, the weight buffer holds 1 to "
                f"{config.weight_steps}"
            )
        end = at + strip_words(config, mode, gather, steps)
        spans.append(slice(at, end))
        at = end
    if at != len(words):
        raise UserError(f"{count} strips take {at} words, there are {len(words)}")
    return spans
