"""The first counter of an EIE array in which two results differ."""

from collections.abc import Sequence

from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import PassCounts
from spec.eie.program import Program
from sw.host.difference import Difference, first_index

OF_PACE = ("hidden",)
"""Counters that are not compared with those of a device which is not paced."""


def first_difference(
    program: Program,
    one: Sequence[PassCounts],
    other: Sequence[PassCounts],
    images: int,
    *,
    paced: bool,
) -> Difference | None:
    """Counters of the array come before those of PEs, earlier passes first.

    Parameters
    ----------
    one, other : sequences of PassCounts
        Of every pass, for a batch of so many ``images``.
    paced : bool
        Both have the counters that depend on the host's pace exactly.
    """
    skipped = [] if paced else [ARRAY_COUNTERS.index(name) for name in OF_PACE]
    for number, (_, _, step) in enumerate(program.passes()):
        place = f"pass {number} ({program.layers[step.layer].name})"
        mine, theirs = one[number], other[number]
        found = first_index(mine.array, theirs.array, skipped)
        if found is not None:
            at = _images(program, found[0], len(mine.array), images)
            where = f"{place}, {at}, {ARRAY_COUNTERS[found[1]]}"
            return Difference(where, mine.array[found], theirs.array[found])
        found = first_index(mine.pe, theirs.pe)
        if found is not None:
            time, pe, counter = found
            at = _images(program, time, len(mine.array), images)
            where = f"{place}, {at}, PE {pe}, {PE_COUNTERS[counter]}"
            return Difference(where, mine.pe[found], theirs.pe[found])
    return None


def _images(program: Program, time: int, times: int, images: int) -> str:
    """The images that were computed at that time, and the step if the pass ran at several."""
    lanes = program.config.lanes
    groups = -(-images // lanes)
    group, step = divmod(time, times // groups)
    first, last = group * lanes, min((group + 1) * lanes, images) - 1
    place = f"image {first}" if first == last else f"images {first} to {last}"
    return f"{place}, step {step}" if times > groups else place
