"""Values: bits of wires and constants, joined."""

from collections.abc import Iterable
from typing import NamedTuple


class Chunk(NamedTuple):
    """Adjacent bits of a wire; or, when ``wire`` is empty, a constant ``value``."""

    wire: str
    start: int
    width: int
    value: int = 0


Spec = tuple[Chunk, ...]
"""A value: its chunks, the least significant first."""


def const(value: int, width: int) -> Spec:
    return (Chunk("", 0, width, value & ((1 << width) - 1)),) if width else ()


def spec_width(spec: Spec) -> int:
    return sum(chunk.width for chunk in spec)


def const_value(spec: Spec) -> int | None:
    """The number that ``spec`` always is, or ``None``."""
    total = position = 0
    for chunk in spec:
        if chunk.wire:
            return None
        total |= chunk.value << position
        position += chunk.width
    return total


def spec_slice(spec: Spec, start: int, width: int) -> Spec:
    """``width`` bits of ``spec`` from bit ``start``."""
    chunks, position = [], 0
    for chunk in spec:
        low = max(start, position)
        high = min(start + width, position + chunk.width)
        if low < high:
            skip = low - position
            value = chunk.value >> skip & ((1 << (high - low)) - 1)
            chunks.append(Chunk(chunk.wire, chunk.start + skip, high - low, value))
        position += chunk.width
    return tuple(chunks)


def extend(spec: Spec, width: int, signed: bool) -> Spec:
    """``spec`` widened (zeros, or copies of its sign) or cut to ``width`` bits."""
    have = spec_width(spec)
    if width <= have:
        return spec_slice(spec, 0, width)
    if not signed or have == 0:
        return merge(spec + const(0, width - have))
    (sign,) = spec_slice(spec, have - 1, 1)
    if not sign.wire:
        return merge(spec + const(-sign.value, width - have))
    return spec + (sign,) * (width - have)


def merge(parts: Iterable[Chunk]) -> Spec:
    """The same bits in as few chunks as possible."""
    merged: list[Chunk] = []
    for part in parts:
        last = merged[-1] if merged else None
        if last and not part.wire and not last.wire:
            value = last.value | part.value << last.width
            merged[-1] = Chunk("", 0, last.width + part.width, value)
        elif (
            last and part.wire and part.wire == last.wire and part.start == last.start + last.width
        ):
            merged[-1] = last._replace(width=last.width + part.width)
        else:
            merged.append(part)
    return tuple(merged)
