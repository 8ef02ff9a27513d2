"""Forms of a layer: which hold, which one is taken, and what is said if none does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spec.errors import UserError
from spec.nm.config import DENSE, Mode, preset
from spec.nm.golden import GoldenModel
from spec.nm.pack import Matrix, pack_layer
from spec.nm.unfold import Unfold
from sw.compile.nm.forms import Form, arrange, best_form, check_gather, predict
from sw.compile.nm.kept import follows
from sw.compress.patterns import nm_mask, tile_mask, tile_vector_mask, unstructured_mask
from tests.spec.nm.cases import program_of, random_config

pytestmark = pytest.mark.unit

CONFIG = preset("default")
TWO_FOUR = Mode(2, 4)


def weight_of(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def pack(config, form: Form, mask: np.ndarray, windows: Unfold | None = None):
    """A program of a layer of ones; raises if the form does not hold them."""
    ones = np.ones(len(mask), np.int64)
    dense = arrange(mask.astype(np.int64), windows, form.channels_last)
    matrix = Matrix(dense=dense, bias=ones, multiplier=ones, shift=ones)
    layer, weights = pack_layer(config, "layer", matrix, form.mode, kept=form.kept)
    return program_of(config, (layer, weights))


@pytest.mark.parametrize("number", range(12))
def test_predictions_are_the_golden_model_s(rng, number):
    """Cycles and words of every form, on any array, whatever is cut into parts."""
    config = random_config(rng)
    config = replace(config, weight_steps=config.phases(DENSE) * int(rng.integers(1, 4)))
    outputs, inputs, tokens = (int(one) for one in rng.integers(1, 60, 3))
    mask = rng.random((outputs, inputs)) < rng.choice([0.05, 0.3, 1.0])
    form = best_form(config, "layer", mask, tokens=tokens)
    program = pack(config, form, mask)
    _, counts = GoldenModel(program).run_layer(0, np.zeros((tokens, inputs), int))
    assert form.cycles == counts.of("cycles")
    assert form.words == len(program.weights[0].strips)
    again = predict(config, mask, form.mode, form.kept, tokens)
    assert again == (form.cycles, form.words)


@pytest.mark.parametrize("mode", CONFIG.modes, ids=str)
def test_the_sparsest_pattern_that_holds(rng, mode):
    mask = nm_mask(weight_of(rng, 40, 128), mode.n, mode.m).numpy()
    form = best_form(CONFIG, "layer", mask, tokens=64)
    assert form.mode == mode
    assert form.kept is None
    declared = best_form(CONFIG, "layer", mask, tokens=64, pattern=DENSE)
    assert declared.mode == DENSE
    assert form.cycles <= declared.cycles


def test_sizes_that_are_no_multiple_of_anything(rng):
    for inputs in (1, 2, 3, 5, 7, 130):
        mask = nm_mask(weight_of(rng, 17, inputs), 2, 4).numpy()
        form = best_form(CONFIG, "layer", mask, tokens=3, pattern=TWO_FOUR)
        assert pack(CONFIG, form, mask).layers[0].inputs == inputs


def test_tile_wise_layers_are_gathered(rng):
    banks = CONFIG.line_inputs
    weight = weight_of(rng, 48, 256)
    dropped = tile_mask(weight, CONFIG.rows, 0.5, banks).numpy()
    form = best_form(CONFIG, "layer", dropped, tokens=64)
    assert form.mode == DENSE
    assert form.kept is not None
    assert form.kept.sum(axis=1).tolist() == [128, 128, 128]
    both = tile_vector_mask(weight, CONFIG.rows, 0.25, 2, 4, banks).numpy()
    assert not follows(both, TWO_FOUR)
    form = best_form(CONFIG, "layer", both, tokens=64)
    assert (form.mode, form.kept is not None) == (TWO_FOUR, True)
    pack(CONFIG, form, both)
    dense = best_form(CONFIG, "layer", both, tokens=64, gather="off")
    assert (dense.mode, dense.kept) == (DENSE, None)
    assert form.cycles < 0.4 * dense.cycles


def test_a_declared_pattern_is_one_of_the_layer_as_it_is_given(rng):
    both = tile_vector_mask(weight_of(rng, 32, 128), CONFIG.rows, 0.25, 2, 4, 8).numpy()
    with pytest.raises(UserError, match=r"layer fc: row \d+, group \d+: . non-zeros"):
        best_form(CONFIG, "fc", both, tokens=8, pattern=TWO_FOUR)
    form = best_form(CONFIG, "fc", both, tokens=8, pattern=TWO_FOUR, gather="on")
    assert (form.mode, form.kept is not None) == (TWO_FOUR, True)
    # Whole groups of inputs that a strip has no weight for may go nevertheless.
    mask = nm_mask(weight_of(rng, 32, 128), 2, 4).numpy()
    mask[:16, 16:120] = False
    form = best_form(CONFIG, "fc", mask, tokens=8, pattern=TWO_FOUR)
    assert form.kept is not None
    assert form.kept.sum(axis=1).tolist() == [24, 128]
    assert best_form(CONFIG, "fc", mask, tokens=8, pattern=TWO_FOUR, gather="off").kept is None


def test_gather_is_on_even_where_nothing_is_dropped(rng):
    mask = np.ones((16, 64), bool)
    assert best_form(CONFIG, "fc", mask, tokens=8).kept is None
    form = best_form(CONFIG, "fc", mask, tokens=8, gather="on")
    assert form.kept is not None
    assert form.kept.all()


def test_an_array_without_a_gather_stage(rng):
    config = preset("default", gather_lines=0)
    mask = tile_mask(weight_of(rng, 32, 64), 16, 0.5).numpy()
    assert best_form(config, "fc", mask, tokens=8).kept is None
    with pytest.raises(UserError, match="gather is on, but the array has no gather stage"):
        check_gather("on", config)
    with pytest.raises(UserError, match="gather 'maybe' is unknown, there are auto, on, off"):
        check_gather("maybe", config)


def test_strips_of_zeros(rng):
    mask = np.zeros((40, 32), bool)
    form = best_form(CONFIG, "fc", mask, tokens=8)
    assert pack(CONFIG, form, mask).layers[0].weights == 0


WINDOWS = Unfold(channels=8, height=6, width=6, kernel=(3, 3))


def test_neighbours_along_the_window_or_along_the_channels(rng):
    """What the compression package prunes along channels, and what anyone prunes along rows."""
    along_channels = nm_mask(weight_of(rng, 16, 8, 3, 3), 2, 4).numpy().reshape(16, -1)
    form = best_form(CONFIG, "conv", along_channels, tokens=36, windows=WINDOWS, pattern=TWO_FOUR)
    assert form.channels_last
    pack(CONFIG, form, along_channels, WINDOWS)
    along_window = nm_mask(weight_of(rng, 16, 72), 2, 4).numpy()
    form = best_form(CONFIG, "conv", along_window, tokens=36, windows=WINDOWS, pattern=TWO_FOUR)
    assert not form.channels_last
    pack(CONFIG, form, along_window, WINDOWS)
    for mask in (along_channels, along_window):
        assert best_form(CONFIG, "conv", mask, tokens=36, windows=WINDOWS).mode == TWO_FOUR
    one_place = replace(WINDOWS, kernel=(1, 1))
    mask = along_window[:, :8]
    assert not best_form(CONFIG, "conv", mask, tokens=36, windows=one_place).channels_last


def test_channel_groups(rng):
    """Gathered strips keep their own groups' inputs; depth-wise ones are sparse along channels."""
    groups = np.kron(np.eye(2), np.ones((16, 36))).astype(bool)
    form = best_form(CONFIG, "conv", groups, tokens=36, windows=WINDOWS)
    assert form.kept is not None
    assert form.kept.sum(axis=1).tolist() == [36, 36]
    assert form.mode == DENSE
    depthwise = np.kron(np.eye(8), np.ones((1, 9))).astype(bool)
    form = best_form(CONFIG, "conv", depthwise, tokens=36, windows=WINDOWS)
    assert form.channels_last
    assert form.mode == Mode(1, 4)
    without = preset("default", gather_lines=0)
    assert best_form(without, "conv", groups, tokens=36, windows=WINDOWS).kept is None


# Refusals -------------------------------------------------------------------------------------


def test_a_broken_pattern_is_told_with_row_and_group(rng):
    mask = nm_mask(weight_of(rng, 20, 32), 2, 4).numpy()
    mask[13, 20:24] = [True, True, False, True]
    with pytest.raises(
        UserError,
        match=r"layer fc: row 13, group 5: 3 non-zeros in the inputs 20...23, the pattern 2:4 "
        r"allows 2; prune it to 2:4 .*, or declare another pattern: its zeros follow dense$",
    ):
        best_form(CONFIG, "fc", mask, tokens=8, pattern=TWO_FOUR)
    with pytest.raises(UserError, match="pattern 1:4 allows 1.*its zeros follow dense, 2:4$"):
        best_form(
            CONFIG,
            "fc",
            nm_mask(weight_of(rng, 20, 32), 2, 4).numpy(),
            tokens=8,
            pattern=Mode(1, 4),
        )
    kernels = np.ones((4, 72), bool)
    with pytest.raises(
        UserError, match="layer conv: row 0, group 0: 4 .*nor does it hold along th"
    ):
        best_form(CONFIG, "conv", kernels, tokens=8, windows=WINDOWS, pattern=TWO_FOUR)


def test_more_inputs_than_the_array_holds(rng):
    config = preset("tiny")
    most = config.act_lines * config.line_inputs
    with pytest.raises(
        UserError, match=f"layer fc: {most + 1} inputs are .*: at most {most} inputs, or more act_l"
    ):
        best_form(config, "fc", np.ones((4, most + 1), bool), tokens=1)
    assert best_form(config, "fc", np.ones((4, most), bool), tokens=1).cycles
    no_line = preset("tiny", weight_steps=2)
    with pytest.raises(UserError, match="layer fc: .*build it with more weight_steps"):
        best_form(no_line, "fc", np.ones((4, 64), bool), tokens=1)
    # A sparser mode, whose lines are of fewer steps, may fit where a dense one does not.
    assert best_form(no_line, "fc", np.eye(4, 64, dtype=bool), tokens=1).mode != DENSE


def test_very_sparse_layers_of_no_pattern(rng):
    mask = unstructured_mask(weight_of(rng, 32, 256), 0.03).numpy()
    form = best_form(CONFIG, "fc", mask, tokens=64)
    pack(CONFIG, form, mask)
    assert form.cycles < best_form(CONFIG, "fc", mask, tokens=64, gather="off").cycles
