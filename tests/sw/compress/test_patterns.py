"""Masks: each against the plainest statement of its rule, on sizes that divide nothing."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.pruning.sparsifier.weight_norm_sparsifier import WeightNormSparsifier

from spec.errors import UserError
from spec.nm.config import Mode, preset
from spec.nm.groups import check_pattern
from spec.nm.tiles import keep, kept_by, place
from sw.compress.patterns import (
    block_mask,
    nm_mask,
    tile_mask,
    tile_vector_mask,
    unstructured_mask,
)
from sw.compress.prune import kept_count, magnitude
from tests.sw.compress.networks import tensor

pytestmark = pytest.mark.unit

SIZES = [(1, 1), (5, 7), (16, 8), (33, 50), (40, 97)]


def small_integers(rng, *shape: int) -> torch.Tensor:
    """Many equal magnitudes, of both signs, and zeros."""
    return torch.from_numpy(rng.integers(-2, 3, shape).astype(np.float32))


def sparsifier_mask(weight: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """What PyTorch's own sparsifier keeps."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data = weight.clone()
    model = nn.Sequential(layer)
    sparsifier = WeightNormSparsifier(1.0, sparse_block_shape=(1, m), zeros_per_block=m - n)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    return model.get_buffer("0.parametrizations.weight.0.mask").bool()


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (3, 4), (4, 8)])
@pytest.mark.parametrize("draw", [tensor, small_integers])
def test_nm_equals_pytorchs_sparsifier(rng, draw, n, m):
    for outputs, groups in ((1, 1), (7, 5), (32, 33)):
        weight = draw(rng, outputs, groups * m)
        assert torch.equal(nm_mask(weight, n, m), sparsifier_mask(weight, n, m))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 2), (2, 4), (4, 4), (3, 5)])
def test_nm_keeps_the_largest_of_every_group(rng, shape, n, m):
    weight = tensor(rng, *shape)
    mask = nm_mask(weight, n, m)
    for row, kept in zip(weight.abs().tolist(), mask.tolist(), strict=True):
        for first in range(0, shape[1], m):
            group, stays = row[first : first + m], kept[first : first + m]
            expected = sorted(group, reverse=True)[:n]
            assert [value for value, stay in zip(group, stays, strict=True) if stay] == [
                value for value in group if value in expected
            ]


def test_unstructured_is_magnitude_pruning(rng):
    layer = nn.Conv2d(3, 7, (2, 5))
    for density in (0.0, 0.1, 0.5, 1.0):
        ours = unstructured_mask(layer.weight, density)
        assert torch.equal(ours, magnitude(nn.Sequential(layer), density)["0"])


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("density", [0.0, 0.25, 0.6, 1.0])
@pytest.mark.parametrize(("rows", "inputs"), [(1, 1), (4, 3), (16, 8)])
def test_blocks_stay_or_go_as_a_whole(rng, shape, density, rows, inputs):
    weight = tensor(rng, *shape)
    mask = block_mask(weight, rows, inputs, density)
    found = {}
    for top in range(0, shape[0], rows):
        for left in range(0, shape[1], inputs):
            span = slice(top, top + rows), slice(left, left + inputs)
            assert mask[span].all() or not mask[span].any()
            found[float(weight[span].double().square().mean())] = bool(mask[span].all())
    count = kept_count(len(found), density, "")
    best = sorted(found, reverse=True)
    assert [found[score] for score in best] == [True] * count + [False] * (len(best) - count)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("density", [0.0, 0.25, 0.6, 1.0])
def test_tiles_keep_the_inputs_with_the_largest_norms(rng, shape, density):
    weight = tensor(rng, *shape)
    mask = tile_mask(weight, 16, density)
    count = kept_count(shape[1], density, "")
    for top in range(0, shape[0], 16):
        rows = mask[top : top + 16]
        assert (rows == rows[0]).all()
        norms = weight[top : top + 16].double().square().sum(0)
        best = norms.argsort(descending=True)[:count]
        assert sorted(rows[0].nonzero().flatten().tolist()) == sorted(best.tolist())


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("density", [0.1, 0.25, 0.6, 1.0])
def test_tiles_are_even_in_their_banks_and_the_best_such(rng, shape, density):
    weight, banks = tensor(rng, *shape), 8
    mask = tile_mask(weight, 16, density, banks)
    count = kept_count(shape[1], density, "")
    for top in range(0, shape[0], 16):
        kept = mask[top].numpy()
        assert int(kept.sum()) == count
        assert len(place(kept, banks)) == -(-count // banks) * banks
        norms = weight[top : top + 16].double().square().sum(0).numpy()
        # No dropped input may take the place of a weaker one without filling its bank too far.
        sizes = np.bincount(np.flatnonzero(kept) % banks, minlength=banks)
        for lost in np.flatnonzero(~kept):
            full = sizes[lost % banks] == -(-count // banks)
            rivals = (
                norms[kept & (np.arange(shape[1]) % banks == lost % banks)]
                if full
                else (norms[kept])
            )
            assert (rivals >= norms[lost]).all()


def test_among_equals_the_first_stay(rng):
    weight = torch.ones(4, 10)
    assert tile_mask(weight, 4, 0.5)[0].tolist() == [True] * 5 + [False] * 5
    assert block_mask(weight, 2, 5, 0.5).tolist() == [[True] * 10] * 2 + [[False] * 10] * 2
    assert tile_mask(weight, 4, 0.3, 2)[0].tolist() == [True] * 3 + [False] * 7

    wide = torch.ones(3, 5000)
    assert tile_mask(wide, 3, 0.3)[0].tolist() == [True] * 1500 + [False] * 3500


def test_as_many_of_each_bank_wherever_banks_divide(rng):
    mask = tile_mask(tensor(rng, 32, 128), 16, 0.25, 8)
    assert (mask[::16].reshape(2, -1, 8).sum(1) == 4).all()


TALL = preset("default", rows=64)
"""Tiles in which N:M leaves none of the inputs without a weight: too unlikely."""


@pytest.mark.parametrize("shape", [(64, 97), (130, 40)])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (1, 1)])
def test_tile_vectors_are_the_largest_where_the_array_places_them(rng, shape, n, m):
    weight, config = tensor(rng, *shape), TALL
    mask = tile_vector_mask(weight[:64], config.rows, 0.5 * n / m, n, m, config.line_inputs)
    kept = tile_mask(weight[:64], config.rows, 0.5, config.line_inputs)[0].numpy()
    places = keep(config, kept)
    values = np.abs(places.compact(torch.where(mask, weight[:64], 0).numpy()))
    groups = np.abs(places.compact(weight[:64].numpy())).reshape(64, -1, m)
    best = np.sort(groups, 2)[:, :, m - n :]
    assert np.array_equal(np.sort(values.reshape(groups.shape), 2)[:, :, m - n :], best)
    assert not (mask.numpy() & ~kept).any()


@pytest.mark.parametrize("outputs", [1, 2, 3, 16, 17, 20, 35])
@pytest.mark.parametrize("inputs", [1, 7, 40, 96])
@pytest.mark.parametrize("draw", [tensor, small_integers])
def test_the_zeros_alone_tell_where_tile_vectors_are(rng, draw, outputs, inputs):
    """Inputs that lost all their weights to their group would stand nowhere, and move others."""
    weight, config = draw(rng, outputs, inputs), preset("default")
    for n, m in ((2, 4), (1, 4)):
        mask = tile_vector_mask(weight, config.rows, 0.5 * n / m, n, m, config.line_inputs)
        pruned = torch.where(mask, weight, 0).numpy()
        for strip, kept in enumerate(kept_by(config, pruned)):
            rows = pruned[strip * config.rows : (strip + 1) * config.rows]
            check_pattern(keep(config, kept).compact(rows), Mode(n, m))


def test_an_input_that_would_lose_all_keeps_its_best_weight():
    weight = torch.tensor([[9.0, 8, 1, 2], [9, 7, 3, 4], [6, 5, 2, 3]])
    # Lost in squares: for input 2 at least 25 - 4, in row 2; then for input 3 at least 36 - 9.
    assert tile_vector_mask(weight, 3, 0.5, 2, 4, 4).tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, True],
    ]


def test_an_input_that_cannot_keep_a_weight_goes():
    # In row 1 all but one are zero: nothing to keep. In row 0 two of three can stay.
    weight = torch.tensor([[9.0, 8, 1, 2], [7, 0, 0, 0]])
    assert tile_vector_mask(weight, 2, 0.5, 2, 4, 4).tolist() == [
        [False, True, True, False],
        [True, False, False, False],
    ]
    assert not tile_vector_mask(torch.zeros(2, 4), 2, 0.5, 2, 4, 4).any()


def test_tile_vectors_have_the_density_that_was_asked_for(rng):
    weight = tensor(rng, 128, 256)
    for density in (0.5, 0.25, 0.125):
        mask = tile_vector_mask(weight, TALL.rows, density, 2, 4, TALL.line_inputs)
        assert int(mask.sum()) == density * mask.numel()
        kept = kept_by(TALL, torch.where(mask, weight, 0).numpy())
        assert all(len(place(one, 8)) == 2 * density * 256 for one in kept)
    assert not tile_vector_mask(weight, 16, 0.0, 2, 4).any()


@pytest.mark.parametrize(
    "choose",
    [
        lambda weight: nm_mask(weight, 2, 4),
        lambda weight: block_mask(weight, 3, 8, 0.4),
        lambda weight: tile_mask(weight, 4, 0.5, 8),
        lambda weight: tile_vector_mask(weight, 4, 0.25, 2, 4, 8),
    ],
)
def test_a_kernel_is_a_matrix_of_channels_last(rng, choose):
    kernel = tensor(rng, 10, 6, 3, 2)
    matrix = kernel.permute(0, 2, 3, 1).reshape(10, -1)
    expected = choose(matrix).reshape(10, 3, 2, 6).permute(0, 3, 1, 2)
    assert torch.equal(choose(kernel), expected)
    assert choose(nn.Parameter(kernel)).requires_grad is False


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda w: nm_mask(w, 5, 4), "the pattern 5:4 was given, allowed is N:M with N from 1"),
        (lambda w: nm_mask(w, 0, 4), "the pattern 0:4 was given"),
        (lambda w: nm_mask(w[0], 2, 4), r"a weight of shape \(8,\) was given, it must be"),
        (lambda w: nm_mask(w[:0], 2, 4), r"a weight of shape \(0, 8\) was given"),
        (lambda w: nm_mask(w.long(), 2, 4), "a weight must be of floating-point numbers"),
        (lambda w: unstructured_mask(w / 0, 0.5), "neither NaN nor inf"),
        (lambda w: unstructured_mask(w, 1.5), "a density of 1.5 was given, allowed is 0...1"),
        (lambda w: block_mask(w, 0, 4, 0.5), "rows = 0 was given, must be at least 1"),
        (lambda w: block_mask(w, 4, 4, -1), "blocks: a density of -1 was given"),
        (lambda w: tile_mask(w, 4, 0.5, 0), "banks = 0 was given, must be at least 1"),
        (lambda w: tile_mask(w, 4, 2), "inputs of a tile: a density of 2 was given"),
        (lambda w: tile_vector_mask(w, 4, 0.6, 2, 4), "0.6 was given, the pattern 2:4 allows 0"),
    ],
)
def test_mistakes_are_told(rng, choose, message):
    with pytest.raises(UserError, match=message):
        choose(tensor(rng, 8, 8))
