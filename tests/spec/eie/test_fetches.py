"""Outputs that the host takes are fetched whole and in order."""

from dataclasses import replace

import pytest

from spec.eie.checks import check_fits
from spec.eie.config import preset
from spec.eie.program import Program, Slice
from spec.errors import UserError
from tests.programs import random_program

pytestmark = pytest.mark.unit


def with_fetch(program: Program, fetch: Slice | None) -> Program:
    """The program, its last run's fetch replaced."""
    *segments, segment = program.segments
    *runs, run = segment.runs
    segment = replace(segment, runs=(*runs, replace(run, fetch=fetch)))
    return replace(program, segments=(*segments, segment))


@pytest.mark.parametrize(
    ("fetch", "message"),
    [
        (None, "layer0: 0 of 12 outputs are fetched"),
        (Slice(layer=0, first=0, count=8), "layer0: 8 of 12 outputs are fetched"),
        (Slice(layer=0, first=4, count=8), "fetched from 4 on, out of order"),
    ],
)
def test_what_is_not_fetched_is_told(rng, fetch, message):
    program = random_program(rng, preset("tiny"), [8, 12], tiles=(1, 1), runs=False)
    check_fits(program)
    with pytest.raises(UserError, match=message):
        check_fits(with_fetch(program, fetch))
