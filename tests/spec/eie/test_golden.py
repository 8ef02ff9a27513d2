"""The golden model against dense matrix products, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.golden import GoldenModel, check_batch
from spec.eie.program import Program
from spec.errors import UserError
from spec.numbers import signed_bounds
from tests.programs import DENSITIES, dense_reference, random_acts, random_case, random_program

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
    config = preset("default", pes=pes)
    program = random_program(rng, config, [150, 80, 10], density=0.2, tiles=tiles)
    assert_right(program, random_acts(rng, config, 2, 150))


def test_segments_give_what_one_segment_gives():
    config = preset("default", pes=4, layers=32)
    for tiles in ((1, 1), (1, 3), (2, 1), (3, 3)):
        together, alone = (
            random_program(
                np.random.default_rng(5),
                config,
                [50, 40, 30],
                density=0.3,
                tiles=tiles,
                segments=segments,
            )
            for segments in (False, True)
        )
        batch = random_acts(np.random.default_rng(6), config, 2, 50)
        assert len(alone.segments) == sum(1 for _ in together.passes())
        assert np.array_equal(assert_right(together, batch), assert_right(alone, batch))


def test_gaps_and_places_change_nothing():
    config = preset("default", pes=4)
    plain, gappy = (
        random_program(np.random.default_rng(5), config, [50, 40, 30], density=0.3, gaps=gaps)
        for gaps in (False, True)
    )
    batch = random_acts(np.random.default_rng(6), config, 2, 50)
    assert np.array_equal(assert_right(plain, batch), assert_right(gappy, batch))


def test_long_runs_bring_pads_and_change_nothing(rng):
    config = preset("default", pes=2, run_bits=2)
    program = random_program(rng, config, [40, 200], density=0.05, long_runs=0.5)
    model = GoldenModel(program)
    assert model.decoded[0].pads.sum() > 100
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


def test_relu_leaves_no_negative_output(rng):
    program = random_program(rng, preset("tiny"), [30, 20], density=0.5, relu=True)
    assert assert_right(program, random_acts(rng, program.config, 5, 30)).min() == 0


def test_biases_alone(rng):
    """No activation at all: the outputs are requantized biases, with every sum zero."""
    program = random_program(rng, preset("tiny"), [30, 20], density=0.5, relu=False)
    assert assert_right(program, np.zeros((1, 30), int)).any()


def test_ticks_for_every_image(rng):
    case = random_case(rng, images=4)
    ticks: list[int] = []
    GoldenModel(case.program).run(case.batch, ticks.append)
    assert ticks == [1] * 4


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
    return random_program(rng, config, [20, 12], density=0.5)


def test_backward_pointers_are_refused(program):
    pointers = program.segments[0].pointers.copy()
    pointers[2, 5] = pointers[2, 4] - 1
    with pytest.raises(UserError, match="PE 2, column 4: its pointers go backwards"):
        _ = altered(program, pointers=pointers).decoded


def test_pointers_behind_the_lines_are_refused(program):
    pointers = program.segments[0].pointers.copy()
    pointers[1, -1] = 400
    with pytest.raises(UserError, match="PE 1: a pointer lies behind the last line"):
        _ = altered(program, pointers=pointers).decoded


def test_missing_pointers_are_refused(program):
    with pytest.raises(UserError, match="needs pointers up to 20, there are 20"):
        _ = altered(program, pointers=program.segments[0].pointers[:, :-1]).decoded


def test_entries_behind_the_last_row_are_refused(program):
    lines = program.segments[0].lines | np.uint64(0xF1)
    with pytest.raises(
        UserError, match="PE 0, column .*an entry stands in row 60, the matrix has 12"
    ):
        _ = altered(program, lines=lines).decoded
