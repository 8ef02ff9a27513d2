"""Images that do not fit their own configuration are refused before they reach a device."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.checks import check_fits
from spec.eie.config import preset
from spec.eie.program import Program, Slice
from spec.errors import UserError
from tests.programs import random_case, random_program

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    return random_program(rng, preset("tiny"), [20, 12, 7], density=0.4)


def with_segment(program: Program, **changes) -> Program:
    return replace(program, segments=(replace(program.segments[0], **changes),))


def with_descriptor(program: Program, **changes) -> Program:
    first, *rest = program.segments[0].passes
    first = replace(first, descriptor=replace(first.descriptor, **changes))
    return with_segment(program, passes=(first, *rest))


def test_programs_fit(rng):
    for _ in range(30):
        check_fits(random_case(rng).program)


def test_the_segment_is_named(rng):
    program = random_program(rng, preset("tiny"), [20, 12, 7], segments=True)
    bad = replace(program.segments[1], lines=np.zeros((4, 999), np.uint64))
    with pytest.raises(UserError, match="segment 1 is not for its configuration: lines have shape"):
        check_fits(replace(program, segments=(program.segments[0], bad)))


@pytest.mark.parametrize(
    ("memory", "contents", "message"),
    [
        ("codebooks", np.zeros((5, 16), np.int64), r"\(5, 16\), there is room for \(4, 16\)"),
        ("codebooks", np.ones((2, 16), np.int64), "does not begin with zero"),
        ("codebooks", np.eye(2, 16, 1, np.int64) << 15, "reach 0...32768, 16 bits hold"),
        ("biases", np.zeros((3, 4), np.int64), r"shape \(3, 4\)"),
        ("biases", np.full((4, 9), -(1 << 40), np.int64), "40 bits hold"),
        ("biases", np.zeros(9, np.int64), r"shape \(9,\)"),
        ("pointers", np.zeros((4, 129), np.uint32), r"room for \(4, 128\)"),
        ("pointers", np.full((4, 60), 513, np.uint32), "a pointer is 513, there are 512"),
        ("pointers", np.zeros((4, 20), np.uint32), "pointers up to 21, there are only 20"),
        ("lines", np.zeros((4, 129), np.uint64), r"room for \(4, 128\)"),
    ],
)
def test_memories_are_held_against_the_configuration(program, memory, contents, message):
    with pytest.raises(UserError, match=message):
        check_fits(with_segment(program, **{memory: contents}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebook": 3}, "codebook up to 3, there are only 1"),
        ({"bias_base": 31}, "biases up to 34"),
        ({"output_base": 15}, "output rows up to 18, there are only 16"),
        ({"input_base": 12}, "input rows up to 17, there are only 16"),
        ({"rows": 4}, "its size and its descriptor disagree"),
        ({"rows": 9}, "rows up to 9, there are only 8"),
        ({"columns": 19}, "its size and its descriptor disagree"),
        ({"multiplier": 1 << 16}, "multiplier = 65536 does not fit in 16 bits"),
    ],
)
def test_passes_are_held_against_memories(program, changes, message):
    with pytest.raises(UserError, match=message):
        check_fits(with_descriptor(program, **changes))


def test_the_number_of_passes_is_checked(program):
    with pytest.raises(UserError, match="0 passes, the table holds 1 to 4"):
        check_fits(with_segment(program, passes=()))
    with pytest.raises(UserError, match="6 passes"):
        check_fits(with_segment(program, passes=program.segments[0].passes * 3))


def test_a_pass_of_no_layer_is_refused(program):
    step = replace(program.segments[0].passes[0], layer=2)
    with pytest.raises(UserError, match="layer up to 2, there are only 1"):
        check_fits(with_segment(program, passes=(step,)))


@pytest.mark.parametrize("name", ["feed", "fetch"])
def test_slices_are_held_against_vectors(program, name):
    with pytest.raises(UserError, match=f"{name} of 1 [+] 20 from a vector of"):
        check_fits(with_segment(program, **{name: Slice(layer=0, first=1, count=20)}))


def with_layer(program: Program, **changes) -> Program:
    first, *rest = program.layers
    return replace(program, layers=(replace(first, **changes), *rest))


def test_layers_mean_something(program):
    for bad, message in (
        (replace(program, layers=()), "has 0 layers"),
        (replace(program, segments=()), "0 segments"),
        (with_layer(program, name=program.layers[1].name), "share a name"),
        (with_layer(program, inputs=0), "0 inputs"),
        (with_layer(program, weight_scale=float("nan")), "scales"),
        (with_layer(program, outputs=11), "no part of layer"),
    ):
        with pytest.raises(UserError, match=message):
            check_fits(bad)


def test_sums_do_not_stay_behind(program):
    first, second = program.segments[0].passes
    last = replace(second, descriptor=replace(second.descriptor, drain=False))
    with pytest.raises(UserError, match="sums of 2 rows are never drained"):
        check_fits(with_segment(program, passes=(first, last)))
    early = replace(first, descriptor=replace(first.descriptor, drain=False))
    with pytest.raises(UserError, match="sums of 3 rows are never drained"):
        check_fits(with_segment(program, passes=(early, second)))


def test_unused_biases_are_zero(program):
    biases = program.segments[0].biases.copy()
    biases[3, program.segments[0].passes[1].descriptor.bias_base + 1] = 1  # output 7 of 7
    with pytest.raises(UserError, match="biases behind its last output"):
        check_fits(with_segment(program, biases=biases))


def test_words_have_their_type(program):
    lines = program.segments[0].lines.astype(np.float32)
    with pytest.raises(UserError, match="lines are float32"):
        check_fits(with_segment(program, lines=lines))


def test_rows_of_activations_follow_from_inputs(program):
    with pytest.raises(UserError, match="its size and its descriptor disagree"):
        check_fits(with_descriptor(program, input_rows=4))
