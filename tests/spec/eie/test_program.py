"""Where results end up, and matrices read back out of memory words."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.csc import decode
from spec.eie.program import matrix_of
from tests.packing import Builder, Plan
from tests.programs import random_case, random_codes, random_program

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("steps", "half"),
    [
        ([(True, True)], 1),
        ([(True, True), (True, True)], 0),
        ([(True, True), (True, True), (True, True)], 1),
        ([(True, False)], 1),
        ([(True, False), (True, False)], 1),
        ([(False, False), (True, True)], 1),
        ([(True, True), (False, False), (True, False)], 0),
        ([(True, True), (False, False)], 1),
    ],
)
def test_the_half_that_holds_the_result(rng, steps, half):
    """``steps`` are (drain, swap) of each pass; it drains into the half that it does not read."""
    segment = random_program(rng, preset("tiny"), [4, 4], density=1.0).segments[0]
    (step,) = segment.passes
    passes = tuple(
        replace(step, descriptor=replace(step.descriptor, drain=drain, swap=swap))
        for drain, swap in steps
    )
    assert replace(segment, passes=passes).final_half == half


def test_matrices_are_read_back(rng):
    for _ in range(30):
        config = preset("default", pes=3, run_bits=2)
        builder = Builder(config)
        matrices = [
            random_codes(rng, config, *rng.integers(1, 40, 2), density=0.2) for _ in range(3)
        ]
        for index, codes in enumerate(matrices):
            builder.add_rubbish(rng)
            plan = Plan(codes, 0, np.zeros(len(codes), np.int64), 1, 0, False)
            whole = (0, codes.shape[0]), (0, codes.shape[1])
            builder.add_pass(index, plan, *whole, (0, 0), swap=True)
        segment = builder.segment(np.zeros((1, 16), np.int64), None, None)
        for step, codes in zip(segment.passes, matrices, strict=True):
            assert np.array_equal(decode(matrix_of(config, segment, step)), codes)


def test_passes_come_in_order(rng):
    program = random_case(rng).program
    steps = [step for segment in program.segments for step in segment.passes]
    assert [step for _, _, step in program.passes()] == steps
    assert program.inputs == program.layers[0].inputs
    assert program.outputs == program.layers[-1].outputs
