"""Where results end up, where segments stand, and matrices read back out of memory words."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.csc import decode
from spec.eie.program import Pass, Program, Segment, capacities, matrix_of
from spec.errors import UserError
from tests.packing import Builder, Plan, Tile
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
    (run,) = random_program(rng, preset("tiny"), [4, 4], density=1.0).segments[0].runs
    (step,) = run.passes
    passes = tuple(
        replace(step, descriptor=replace(step.descriptor, drain=drain, swap=swap))
        for drain, swap in steps
    )
    assert replace(run, passes=passes).final_half == half


@pytest.mark.parametrize("top", [False, True])
def test_matrices_are_read_back(rng, top):
    """At any slot, with runs of any width, divided into any number of clusters."""
    for _ in range(30):
        config = preset("default", pes=12, run_bits=2)
        builder = Builder(config)
        matrices = [
            random_codes(rng, config, *rng.integers(1, 40, 2), density=0.2) for _ in range(3)
        ]
        for index, codes in enumerate(matrices):
            builder.add_rubbish(rng, int(rng.integers(5)))
            plan = Plan(codes, 0, np.zeros(len(codes), np.int64), 1, 0, False)
            tile = Tile((0, codes.shape[0]), (0, codes.shape[1]), *rng.integers((3, 5)).tolist())
            builder.add_tile(index, plan, tile, (0, 0), swap=True)
        segment = builder.segment(np.zeros((1, 16), np.int64), top=top)
        for step, codes in zip(segment.passes, matrices, strict=True):
            assert np.array_equal(decode(matrix_of(config, segment, step)), codes)


def test_a_segment_at_the_top_ends_where_the_memories_end(rng):
    config = preset("tiny")
    program = random_program(rng, config, [9, 6], density=0.5, segments=True)
    (bottom,) = program.segments
    assert set(asdict(bottom.bases(config)).values()) == {0}
    top = replace(bottom, top=True)
    bases, sizes = asdict(top.bases(config)), top.sizes()
    ends = {name: bases[name] + size for name, size in sizes.items()}
    assert ends == capacities(config)
    assert ends == {"codebooks": 4, "biases": 32, "pointers": 128, "lines": 128, "passes": 4}
    assert sizes["passes"] == 1


def test_runs_stand_in_the_table_one_after_another(rng):
    config = preset("tiny", layers=8)
    for top in (False, True):
        program = random_program(
            rng, config, [20, 12, 7], tiles=(1, 2), segments=True, runs=4, widen=0
        )
        (segment,) = program.segments
        segment = replace(segment, top=top)
        assert [len(run.passes) for run in segment.runs] == [1, 1, 1, 1]
        first = [segment.first_pass(config, run) for run in segment.runs]
        assert first == ([4, 5, 6, 7] if top else [0, 1, 2, 3])
    whole = random_program(rng, config, [20, 12, 7])
    assert [len(run.passes) for run in whole.segments[0].runs] == [2]


def test_passes_come_in_order(rng):
    program = random_case(rng).program
    steps = [step for segment in program.segments for step in segment.passes]
    assert [step for _, _, step in program.passes()] == steps
    assert [step for _, run in program.runs() for step in run.passes] == steps
    assert [number for number, _, _ in program.passes()] == [
        number for number, segment in enumerate(program.segments) for _ in segment.passes
    ]
    assert program.inputs == program.layers[0].inputs
    assert program.outputs == program.layers[-1].outputs


def test_orders_are_undone(rng):
    program = random_program(rng, preset("tiny"), [9, 6, 5], orders=True)
    for layer, outputs in enumerate((6, 5)):
        order = program.order(layer)
        network = rng.integers(0, 99, (3, outputs))
        assert np.array_equal(program.in_place(layer, network[:, order]), network)
        assert np.array_equal(program.in_place(layer, order), np.arange(outputs))


def test_without_an_order_all_is_in_place(rng):
    program = random_program(rng, preset("tiny"), [9, 6, 5], orders=False)
    assert [len(order) for order in program.orders] == [0, 0]
    for same in (program, replace(program, orders=())):
        assert same.order(0).tolist() == list(range(6))
        assert same.in_place(1, np.arange(5)).tolist() == list(range(5))


@pytest.fixture
def program(rng):
    return random_program(rng, preset("tiny"), [20, 12], density=0.5, split=0, widen=0)


def altered(program: Program, **memories: np.ndarray) -> tuple[EieConfig, Segment, Pass]:
    """The program's only segment and pass, with other contents of a memory."""
    segment = replace(program.segments[0], **memories)
    return program.config, segment, segment.passes[0]


def test_pointers_outside_the_lines_are_refused(program):
    pointers = program.segments[0].pointers.copy()
    pointers[1, -1] = 400
    with pytest.raises(UserError, match="PE 1: a pointer lies outside the segment's lines"):
        matrix_of(*altered(program, pointers=pointers))
    lines = program.segments[0].lines
    with pytest.raises(UserError, match="a pointer lies outside the segment's lines"):
        matrix_of(*altered(program, lines=lines[:, :-1]))


def test_pointers_below_a_segment_at_the_top_are_refused(rng):
    config = preset("tiny")
    program = random_program(rng, config, [20, 12], density=0.5, top=True, split=0, widen=0)
    pointers = program.segments[0].pointers.copy()
    base = program.segments[0].bases(config).lines << config.slot_bits
    assert (pointers[:, 0] == base).all()
    pointers[2, 0] -= 8
    with pytest.raises(UserError, match="PE 2: a pointer lies outside the segment's lines"):
        matrix_of(*altered(program, pointers=pointers))


def test_missing_pointers_are_refused(program):
    with pytest.raises(UserError, match="needs pointers 0...20 of the segment, there are 20"):
        matrix_of(*altered(program, pointers=program.segments[0].pointers[:, :-1]))
    config, segment, step = altered(program)
    lower = replace(step, descriptor=replace(step.descriptor, pointer_base=5))
    with pytest.raises(UserError, match=r"needs pointers 5...25"):
        matrix_of(config, segment, lower)
    top = replace(segment, top=True)
    with pytest.raises(UserError, match=r"needs pointers -107...-87"):
        matrix_of(config, top, step)


def test_slots_that_no_line_has_are_refused(program):
    """Runs of 6 bits: entries of 10, three in a line of 32 bits."""
    pointers = program.segments[0].pointers.copy()
    pointers[3, 7] = 3
    config, segment, step = altered(program, pointers=pointers)
    wide = replace(step, descriptor=replace(step.descriptor, widen=2))
    with pytest.raises(UserError, match="a pointer to slot 3, a line holds 3 entries"):
        matrix_of(config, segment, wide)
