"""The first counter of an N:M array in which two results differ."""

from collections.abc import Sequence

from spec.nm.counters import COUNTERS, OF_PACE
from spec.nm.cycles import RunCounts
from spec.nm.program import Program
from sw.host.difference import Difference


def first_difference(
    program: Program,
    one: Sequence[RunCounts],
    other: Sequence[RunCounts],
    images: int,
    *,
    paced: bool,
) -> Difference | None:
    """Earlier runs first; of a chain they are the layers.

    Parameters
    ----------
    one, other : sequences of RunCounts
        Of every run, each with all ``images``.
    paced : bool
        Both served the streams without a pause; else
        :data:`spec.nm.counters.OF_PACE` are not compared.
    """
    skipped = () if paced else OF_PACE
    for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        place = f"run {number}"
        if program.chained:
            place = f"layer {number} ({program.layers[number].name})"
        for name in COUNTERS:
            if name not in skipped and mine.of(name) != theirs.of(name):
                return Difference(f"{place}, {name}", mine.of(name), theirs.of(name))
    return None
