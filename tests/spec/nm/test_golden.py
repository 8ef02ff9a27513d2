"""The golden model: chains, convolutions, padding, extremes, and what it refuses."""

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, Mode, preset
from spec.nm.golden import GoldenModel
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import useful_slots
from spec.nm.unfold import Unfold
from tests.spec.nm.cases import program_of, random_case, random_matrix, random_rows

pytestmark = pytest.mark.unit

CONFIG = preset("tiny", acc_bits=24)


def plain(dense: np.ndarray) -> Matrix:
    """No bias, and a factor of one."""
    ones = np.ones(len(dense), int)
    return Matrix(dense=dense, bias=0 * ones, multiplier=ones, shift=0 * ones)


def test_random_layers(rng):
    for _ in range(60):
        case = random_case(rng)
        outputs, counts = GoldenModel(case.program).run_layer(0, case.acts)
        assert np.array_equal(outputs, case.expected())
        slots = counts.of("busy") * case.program.config.slots
        assert useful_slots(case.layer, len(case.acts)) <= slots


def test_both_operands_at_their_most_negative():
    dense = np.full((4, 8), -128)
    bias = np.full(4, -8 * 128 * 128)
    matrix = Matrix(dense=dense, bias=bias, multiplier=np.ones(4, int), shift=np.zeros(4, int))
    program = program_of(CONFIG, pack_layer(CONFIG, "extremes", matrix, DENSE))
    outputs, _ = GoldenModel(program).run_layer(0, np.full((3, 8), -128))
    assert not outputs.any()
    outputs, _ = GoldenModel(program).run_layer(0, np.full((3, 8), 127))
    assert (outputs == -128).all()


def test_a_chain(rng):
    first = random_rows(rng, (10, 12), Mode(2, 4), 8)
    second = random_rows(rng, (3, 10), Mode(1, 2), 8)
    one, two = random_matrix(rng, CONFIG, first), random_matrix(rng, CONFIG, second)
    program = program_of(
        CONFIG,
        pack_layer(CONFIG, "one", one, Mode(2, 4), relu=True, order=rng.permutation(10)),
        pack_layer(CONFIG, "two", two, Mode(1, 2)),
    )
    model, batch = GoldenModel(program), rng.integers(-128, 128, (7, 12))
    outputs, counts = model.run(batch)
    between = model.run_layer(0, batch)[0]
    assert between.min() >= 0
    assert np.array_equal(outputs, model.run_layer(1, between)[0])
    assert len(counts) == 2


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution(rng, groups):
    """Channel groups become dropped inputs."""
    channels, outputs = 4, 8
    unfold = Unfold(
        channels=channels, height=6, width=5, kernel=(3, 2), stride=(2, 1), padding=(1, 0)
    )
    kernels = rng.integers(-8, 8, (outputs, channels // groups, 3, 2))
    dense = np.zeros((outputs, channels, 3, 2), int)
    for output in range(outputs):
        first = output // (outputs // groups) * (channels // groups)
        dense[output, first : first + channels // groups] = kernels[output]
    layer = pack_layer(
        CONFIG, "conv", plain(dense.reshape(outputs, -1)), DENSE, gather=groups > 1, unfold=unfold
    )
    images = rng.integers(-4, 4, (2, channels, 6, 5))
    found, _ = GoldenModel(program_of(CONFIG, layer)).run(images.reshape(2, -1))
    down, across = unfold.windows
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (0, 0)))
    expected = np.empty((2, outputs, down, across), int)
    for y in range(down):
        for x in range(across):
            window = padded[:, :, 2 * y : 2 * y + 3, x : x + 2]
            expected[:, :, y, x] = np.einsum("bchw,ochw->bo", window, dense)
    assert np.array_equal(found, expected.clip(-128, 127).reshape(2, -1))


def test_padding_is_told():
    layer = pack_layer(CONFIG, "odd", plain(np.ones((5, 9), int)), DENSE)
    _, counts = GoldenModel(program_of(CONFIG, layer)).run_layer(0, np.ones((3, 9), int))
    assert useful_slots(layer[0], 3) == 5 * 9 * 3
    # 2 strips, 2 tiles, 5 steps of 4 x 2 x 2.
    assert counts.of("busy") * CONFIG.slots == 2 * 2 * 5 * 16


@pytest.mark.parametrize(
    ("acts", "message"),
    [
        (np.zeros((2, 5), int), r"shape \(2, 5\), must be \(tokens, 4\)"),
        (np.zeros((0, 4), int), r"shape \(0, 4\)"),
        (np.zeros((2, 4)), "takes integers, the input is float64"),
        (np.full((2, 4), 128), r"reaches 128\.\.\.128, must stay within -128\.\.\.127"),
    ],
)
def test_activations_that_are_refused(acts, message):
    program = program_of(CONFIG, pack_layer(CONFIG, "layer", plain(np.ones((2, 4), int)), DENSE))
    with pytest.raises(UserError, match=message):
        GoldenModel(program).run_layer(0, acts)


def test_layers_that_are_no_chain_are_not_run_as_one():
    layer = pack_layer(CONFIG, "layer", plain(np.ones((2, 4), int)), DENSE)
    with pytest.raises(UserError, match="no chain"):
        GoldenModel(program_of(CONFIG, layer, chained=False)).run(np.zeros((1, 4), int))


def test_a_sum_that_leaves_its_accumulator():
    config = preset("tiny", acc_bits=17)
    program = program_of(config, pack_layer(config, "wide", plain(np.full((1, 8), -128)), DENSE))
    with pytest.raises(UserError, match="leave the 17 bits"):
        GoldenModel(program).run_layer(0, np.full((1, 8), -128))


def test_a_batch_with_more_tokens_than_a_run_counts():
    """Said before anything runs, in images: a run of `tiny` counts 131,070 tokens."""
    unfold = Unfold(channels=1, height=300, width=300, kernel=(1, 1))
    layer = pack_layer(CONFIG, "wide", plain(np.ones((1, 1), int)), DENSE, unfold=unfold)
    model = GoldenModel(program_of(CONFIG, layer))
    assert len(model.run(np.ones((1, 90_000), int))[0]) == 1
    with pytest.raises(UserError, match="2 images at once, must be at most 1: layer wide"):
        model.run(np.ones((2, 90_000), int))
