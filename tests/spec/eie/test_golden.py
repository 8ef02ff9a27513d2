"""The golden model against dense matrix products, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.golden import GoldenModel, check_batch
from spec.eie.program import Program, Slice
from spec.errors import UserError
from spec.numbers import signed_bounds
from tests.packing import Builder, Plan
from tests.programs import (
    DENSITIES,
    dense_reference,
    random_acts,
    random_case,
    random_codes,
    random_config,
    random_program,
)

pytestmark = pytest.mark.unit


def assert_right(program: Program, batch: np.ndarray) -> np.ndarray:
    outputs, _ = GoldenModel(program).run(check_batch(program, batch))
    assert np.array_equal(outputs, dense_reference(program, batch)), program.config
    return outputs


@pytest.mark.parametrize("trial", range(10))
def test_agrees_with_dense_products_on_anything(rng, trial):
    for _ in range(20):
        case = random_case(rng)
        assert_right(case.program, case.batch)


@pytest.mark.parametrize("act_density", DENSITIES)
@pytest.mark.parametrize("density", DENSITIES)
def test_agrees_at_every_density(rng, density, act_density):
    config = preset("default", pes=8)
    program = random_program(rng, config, [100, 60, 30], density=density)
    assert_right(program, random_acts(rng, config, 3, 100, density=act_density))


@pytest.mark.parametrize("pes", [1, 2, 3, 8, 64, 100, 256])
@pytest.mark.parametrize("tiles", [(1, 1), (3, 2)])
def test_agrees_with_any_number_of_elements(rng, pes, tiles):
    """Divided as far as the number goes."""
    config = preset("default", pes=pes, clusters=pes & -pes)
    program = random_program(rng, config, [150, 80, 10], density=0.2, tiles=tiles)
    assert_right(program, random_acts(rng, config, 2, 150))


@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("split", [0, 1, 2, 3])
def test_agrees_with_any_number_of_clusters_and_lanes(rng, split, lanes):
    config = preset("default", pes=24, clusters=8, lanes=lanes, layers=32)
    for segments in (False, True):
        program = random_program(
            rng, config, [150, 80, 10], density=0.2, tiles=(2, 2), split=split, segments=segments
        )
        assert {step.descriptor.split for _, _, step in program.passes()} == {split}
        assert_right(program, random_acts(rng, config, 3, 150))


def same_network(config: EieConfig, **options) -> Program:
    """The same weights each time, however they are packed."""
    return random_program(np.random.default_rng(5), config, [50, 40, 30], density=0.3, **options)


@pytest.mark.parametrize("runs", [1, 3])
def test_segments_give_what_one_segment_gives(rng, runs):
    config = preset("default", pes=4, layers=32)
    batch = random_acts(rng, config, 2, 50)
    for tiles in ((1, 1), (1, 3), (2, 1), (3, 3)):
        together = same_network(config, tiles=tiles)
        alone = same_network(config, tiles=tiles, segments=True, runs=runs)
        passes = sum(1 for _ in together.passes())
        assert len(alone.segments) == -(-passes // runs)
        assert [segment.top for segment in alone.segments[:3]] == [False, True, False][
            : len(alone.segments)
        ]
        assert np.array_equal(assert_right(together, batch), assert_right(alone, batch))


@pytest.mark.parametrize(
    "options",
    [
        {"gaps": True},
        {"top": True},
        {"gaps": True, "top": True},
        {"split": 2},
        {"widen": 2},
        {"orders": True},
    ],
)
def test_gaps_and_places_and_orders_change_nothing(rng, options):
    config = preset("default", pes=4)
    plain = {"gaps": False, "top": False, "split": 0, "widen": 0, "orders": False}
    batch = random_acts(rng, config, 2, 50)
    outputs = assert_right(same_network(config, **plain), batch)
    assert np.array_equal(outputs, assert_right(same_network(config, **plain | options), batch))


def test_long_runs_bring_pads_and_change_nothing(rng):
    config = preset("default", pes=2, clusters=1, run_bits=2)
    program = random_program(rng, config, [40, 200], density=0.05, long_runs=0.5, widen=0)
    (decoded,) = GoldenModel(program).decoded
    assert decoded.entries - len(decoded.row) > 100
    assert_right(program, random_acts(rng, config, 3, 40, density=0.8))


def test_outputs_saturate_somewhere(rng):
    """Otherwise these tests would not see a missing saturation."""
    config = preset("default", pes=4, act_bits=8, acc_bits=36)
    program = random_program(rng, config, [60, 40], density=0.5, relu=False)
    outputs = assert_right(program, random_acts(rng, config, 50, 60))
    low, high = signed_bounds(8)
    assert ((outputs == low) | (outputs == high)).any()
    assert ((outputs > low) & (outputs < high)).any()
    assert (outputs < 0).any()


def test_drain_leaves_the_sums_of_other_rows(rng):
    """Three rows of sums; a pass drains one of them, and a last one adds to what is left."""
    config = preset("tiny", clusters=1)
    codes = random_codes(rng, config, 12, 12, density=0.5).astype(int)
    builder = Builder(config)
    plan = Plan(codes, 0, np.zeros(12, np.int64), 1, 0, False)
    for output, part in (((0, 12), (0, 4)), ((0, 4), (8, 4)), ((0, 12), (8, 4))):
        builder.add_pass(0, plan, output, part, (part[0] // 4, 0), swap=False)
    whole = Slice(layer=0, first=0, count=12)
    program = random_program(rng, config, [12, 12], orders=False)
    segment = builder.segment(np.arange(16)[None], whole, whole)
    outputs, _ = GoldenModel(replace(program, segments=(segment,))).run(np.ones((1, 12), int))
    told = codes[:, 8:].sum(axis=1)
    told[4:] += codes[4:, :4].sum(axis=1)
    assert outputs[0].tolist() == told.tolist()


def test_a_feed_fills_its_last_row_with_zeros(rng):
    """A pass over eight inputs, of which the host feeds five: none is left from the run before."""
    config = preset("tiny", clusters=1)
    codes = random_codes(rng, config, 4, 12, density=0.8).astype(int)
    builder = Builder(config)
    plan = Plan(codes, 0, np.zeros(4, np.int64), 1, 0, False)
    for first, fed in ((0, 8), (4, 5)):
        builder.add_pass(0, plan, (0, 4), (first, 8), (0, 0), swap=False)
        feed = Slice(layer=0, first=first, count=fed)
        builder.end_run(feed, Slice(layer=0, first=0, count=4) if first else None)
    program = random_program(rng, config, [12, 4], orders=False)
    segment = builder.segment(np.arange(16)[None])
    outputs, _ = GoldenModel(replace(program, segments=(segment,))).run(np.ones((1, 12), int))
    told = codes[:, :8].sum(axis=1) + codes[:, 4:9].sum(axis=1)
    assert outputs[0].tolist() == told.tolist()


def test_relu_leaves_no_negative_output(rng):
    program = random_program(rng, preset("tiny"), [30, 20], density=0.5, relu=True)
    assert assert_right(program, random_acts(rng, program.config, 5, 30)).min() == 0


def test_biases_alone(rng):
    """No activation at all: the outputs are requantized biases, with every sum zero."""
    program = random_program(rng, preset("tiny"), [30, 20], density=0.5, relu=False)
    assert assert_right(program, np.zeros((1, 30), int)).any()


@pytest.mark.parametrize(("lanes", "expected"), [(1, [1] * 5), (2, [2, 2, 1]), (8, [5])])
def test_ticks_for_every_image(rng, lanes, expected):
    case = random_case(rng, random_config(rng, lanes=lanes), images=5)
    ticks: list[int] = []
    GoldenModel(case.program).run(case.batch, ticks.append)
    assert ticks == expected


def test_sums_that_leave_an_accumulator_are_refused(rng):
    config = preset("tiny", pes=1, clusters=1, act_bits=4, weight_bits=4, acc_bits=8)
    program = random_program(rng, config, [8, 1], density=1.0, widen=0)
    book = np.full((1, 16), 7)
    book[0, 0] = 0
    model = altered(program, codebooks=book)
    model.run(np.full((1, 8), 2))
    with pytest.raises(UserError, match="pass 0: sums of 0...392 leave the 8 bits"):
        model.run(np.full((1, 8), 7))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64])
def test_a_batch_of_any_integers(rng, dtype):
    program = random_program(rng, preset("tiny"), [6, 4], density=0.5)
    assert check_batch(program, np.ones((2, 6), dtype)).dtype == np.int64


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 5), int), r"\(2, 5\), must be \(images, 6\)"),
        (np.zeros((2, 6, 1), int), "must be"),
        (np.zeros((2, 6)), "float64; quantize it first"),
        (np.zeros((2, 6), bool), "bool"),
        (np.full((1, 6), 32768), "reaches 32768...32768, must stay within -32768...32767"),
        (np.full((1, 6), -32769), "reaches -32769"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(rng, batch, message):
    program = random_program(rng, preset("tiny"), [6, 4], density=0.5)
    with pytest.raises(UserError, match=message):
        check_batch(program, batch)


def altered(program: Program, **memories: np.ndarray) -> GoldenModel:
    return GoldenModel(replace(program, segments=(replace(program.segments[0], **memories),)))


@pytest.fixture
def program(rng):
    config: EieConfig = preset("tiny")
    return random_program(rng, config, [20, 12], density=0.5, split=0, widen=0)


def test_backward_pointers_are_refused(program):
    pointers = program.segments[0].pointers.copy()
    pointers[2, 5] = pointers[2, 4] - 1
    with pytest.raises(UserError, match="PE 2, column 4: its pointers go backwards"):
        _ = altered(program, pointers=pointers).decoded


def test_entries_behind_the_last_row_are_refused(program):
    lines = program.segments[0].lines | np.uint64(0xF1)
    with pytest.raises(
        UserError, match="PE 0, column .*an entry stands in row 60, the matrix has 12"
    ):
        _ = altered(program, lines=lines).decoded
