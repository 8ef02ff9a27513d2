"""Images that do not fit their own configuration are refused before they reach a device."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.checks import check_fits
from spec.eie.config import preset
from spec.eie.program import Pass, Program, Slice
from spec.errors import UserError
from tests.programs import random_case, random_program

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    return random_program(
        rng, preset("tiny"), [20, 12, 7], density=0.4, split=0, widen=0, orders=False
    )


def with_segment(program: Program, **changes) -> Program:
    return replace(program, segments=(replace(program.segments[0], **changes),))


def with_run(program: Program, **changes) -> Program:
    return with_segment(program, runs=(replace(program.segments[0].runs[0], **changes),))


def with_descriptor(program: Program, **changes) -> Program:
    first, *rest = program.segments[0].passes
    first = replace(first, descriptor=replace(first.descriptor, **changes))
    return with_run(program, passes=(first, *rest))


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
        ("pointers", np.full((4, 60), 513, np.uint32), "a pointer is 513, the last is 512"),
        ("pointers", np.zeros((4, 20), np.uint32), "pointers at or up to 0, must be 0...-1"),
        ("lines", np.zeros((4, 129), np.uint64), r"room for \(4, 128\)"),
    ],
)
def test_memories_are_held_against_the_configuration(program, memory, contents, message):
    with pytest.raises(UserError, match=message):
        check_fits(with_segment(program, **{memory: contents}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebook": 3}, "codebook at or up to 3, must be 0...1"),
        ({"bias_base": 31}, "biases 31...33 of the segment, there are 5"),
        ({"output_base": 15}, "output rows at or up to 18, must be 0...16"),
        ({"input_base": 12}, "input rows at or up to 17, must be 0...16"),
        ({"pointer_base": 14}, "pointers at or up to 14, must be 0...13"),
        ({"rows": 4}, "its size and its descriptor disagree"),
        ({"rows": 9}, "rows at or up to 9, must be 0...8"),
        ({"split": 1}, "its size and its descriptor disagree"),
        ({"widen": 3}, "runs of 7 bits, there are 4...6"),
        ({"columns": 19}, "its size and its descriptor disagree"),
        ({"multiplier": 1 << 16}, "multiplier = 65536 does not fit in 16 bits"),
    ],
)
def test_passes_are_held_against_memories(program, changes, message):
    with pytest.raises(UserError, match=message):
        check_fits(with_descriptor(program, **changes))


@pytest.mark.parametrize(("clusters", "split"), [(1, 1), (4, 3)])
def test_an_array_divides_so_far_and_no_further(rng, clusters, split):
    config = preset("tiny", clusters=clusters)
    program = random_program(rng, config, [20, 4], density=0.4, split=0)
    message = f"{1 << split} clusters, the array divides into {clusters} at most"
    with pytest.raises(UserError, match=message):
        check_fits(with_descriptor(program, split=split, rows=1 << split))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pointer_base": 0}, "pointers at or up to 0, must be 94...107"),
        ({"pointer_base": 108}, "pointers at or up to 108, must be 94...107"),
        ({"codebook": 1}, "codebook at or up to 1, must be 2...3"),
        ({"bias_base": 0}, "biases -27...-25 of the segment, there are 5"),
        ({"bias_base": 30}, "biases 3...5 of the segment, there are 5"),
    ],
)
def test_segments_at_the_top_stay_there(rng, changes, message):
    program = random_program(
        rng, preset("tiny"), [20, 12, 7], top=True, split=0, widen=0, density=0.4
    )
    check_fits(program)
    with pytest.raises(UserError, match=message):
        check_fits(with_descriptor(program, **changes))


def test_a_segment_is_not_moved_by_its_flag_alone(program):
    with pytest.raises(UserError, match="pointers at or up to 0, must be"):
        check_fits(with_segment(program, top=True))


def test_the_number_of_passes_is_checked(program):
    (run,) = program.segments[0].runs
    with pytest.raises(UserError, match="0 passes, the table holds 1 to 4"):
        check_fits(with_segment(program, runs=()))
    with pytest.raises(UserError, match="6 passes, the table holds 1 to 4"):
        check_fits(with_segment(program, runs=(run, run, run)))
    with pytest.raises(UserError, match="a run has no passes"):
        check_fits(with_segment(program, runs=(run, replace(run, passes=()))))


def test_a_pass_of_no_layer_is_refused(program):
    step = replace(program.segments[0].passes[0], layer=2)
    with pytest.raises(UserError, match="layer at or up to 2, must be 0...1"):
        check_fits(with_run(program, passes=(step,)))


@pytest.mark.parametrize("name", ["feed", "fetch"])
def test_slices_are_held_against_vectors(program, name):
    for first, count in ((1, 20), (-1, 3), (2, -1)):
        bad = with_run(program, **{name: Slice(layer=0, first=first, count=count)})
        with pytest.raises(UserError, match=f"{name} of {first} [+] {count} from a vector of"):
            check_fits(bad)
    for layer in (-1, 2):
        bad = with_run(program, **{name: Slice(layer=layer, first=0, count=1)})
        with pytest.raises(UserError, match=f"{name} of layer {layer}, must be 0...1"):
            check_fits(bad)


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
        (with_layer(program, outputs=11), "layer1 takes 12 inputs, layer layer0 makes 11 outputs"),
        (with_layer(program, inputs=19), "no part of layer"),
    ):
        with pytest.raises(UserError, match=message):
            check_fits(bad)


def test_orders_name_every_output_once(program):
    twelve, seven = np.arange(12), np.arange(7)[::-1]
    check_fits(replace(program, orders=()))
    check_fits(replace(program, orders=(twelve[:0], seven)))
    for orders, message in (
        ((twelve,), "1 orders of outputs for 2 layers"),
        ((twelve, seven, seven), "3 orders of outputs for 2 layers"),
        ((twelve, seven[1:]), "layer layer1: its order names not every output once"),
        ((twelve + 1, seven), "layer layer0: its order"),
        ((twelve // 2, seven), "layer layer0: its order"),
    ):
        with pytest.raises(UserError, match=message):
            check_fits(replace(program, orders=orders))


def test_sums_do_not_stay_behind(program):
    first, second = program.segments[0].passes
    last = replace(second, descriptor=replace(second.descriptor, drain=False))
    with pytest.raises(UserError, match="sums of 2 rows are never drained"):
        check_fits(with_run(program, passes=(first, last)))
    early = replace(first, descriptor=replace(first.descriptor, drain=False))
    with pytest.raises(UserError, match="sums of 3 rows are never drained"):
        check_fits(with_run(program, passes=(early, second)))


def test_sums_are_added_to_in_the_clusters_that_hold_them(rng):
    """Passes over other inputs of the same outputs; then one whose sums are all drained."""
    config = preset("tiny", layers=8)
    for together in (False, True):
        segments = {"segments": not together, "split": 0}
        program = random_program(rng, config, [20, 12, 7], tiles=(1, 2), **segments)
        check_fits(program)
        for number in (1, 3):
            bad = with_split(program, number)
            with pytest.raises(UserError, match="a pass of 2 clusters follows one of 1 whose sums"):
                check_fits(bad)
        check_fits(with_split(program, 2, 3))


def with_split(program: Program, *numbers: int) -> Program:
    """The passes of these numbers divide the array in two."""
    count = 0

    def change(step: Pass) -> Pass:
        nonlocal count
        count += 1
        descriptor = step.descriptor
        split = replace(descriptor, split=1, rows=descriptor.rows * 2)
        return replace(step, descriptor=split) if count - 1 in numbers else step

    segments = [
        replace(
            segment,
            runs=tuple(replace(run, passes=tuple(map(change, run.passes))) for run in segment.runs),
        )
        for segment in program.segments
    ]
    return replace(program, segments=tuple(segments))


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
