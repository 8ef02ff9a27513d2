"""Tiling: rows in an order that goes on as the next layer's columns, and halves of memories."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from spec.eie.config import preset
from spec.errors import UserError
from sw.compile.eie.gather import fits
from sw.compile.eie.quantize import IntegerLayer
from sw.compile.eie.strip import Room
from sw.compile.eie.tile import Tiling, tile_network
from tests.sw.compile.eie.tiles import AMPLE, PLAIN, check_cover, full, plain_layer

pytestmark = pytest.mark.unit


def uneven(rng: np.random.Generator, *sizes: int) -> list[IntegerLayer]:
    """Layers in which every fourth row is heavy: plainly interleaved, they all meet in one PE."""
    return [
        plain_layer(
            rng.random((outputs, inputs)) < np.resize([0.9, 0.1, 0.2, 0.3], (outputs, 1)),
            f"fc{number}",
        )
        for number, (inputs, outputs) in enumerate(pairwise(sizes))
    ]


def check_tiling(tiling: Tiling, layers: Sequence[IntegerLayer]) -> None:
    """Every layer is covered, its columns in the order of the rows in front of it."""
    columns = np.arange(layers[0].inputs)
    for layer, division in zip(layers, tiling.divisions, strict=True):
        check_cover(division.tiles, layer.codes[:, columns], division.strips[0].config)
        columns = division.order
    in_order = [tile for runs in tiling.segments for run in runs for tile in run]
    assert in_order == [tile for division in tiling.divisions for tile in division.tiles]


@pytest.mark.parametrize("clusters", [None, 1, 2])
@pytest.mark.parametrize("limit", [{}, {"rows": 4}, {"layers": 1}, {"columns": 30}])
def test_the_order_of_rows_is_that_of_the_next_columns(rng, clusters, limit):
    layers = uneven(rng, 20, 40, 30, 9)
    tiling = tile_network(layers, replace(AMPLE, **limit), clusters=clusters)
    check_tiling(tiling, layers)
    assert [len(order) for order in tiling.orders] == [40, 30, 9]
    if clusters:
        assert {t.csc.clusters for division in tiling.divisions for t in division.tiles} == {
            clusters
        }


def test_a_plain_interleave_leaves_all_in_place(rng):
    layers = uneven(rng, 20, 40, 30)
    tiling = tile_network(layers, AMPLE, balance=False)
    check_tiling(tiling, layers)
    assert tiling.orders == ()


def test_only_layers_that_moved_have_an_order(rng):
    (layer,) = uneven(rng, 12, 40)
    tiling = tile_network([full(12, 20), layer], AMPLE)
    check_tiling(tiling, [full(12, 20), layer])
    assert [len(order) for order in tiling.orders] == [0, 40]


def test_activity_follows_the_columns(rng):
    """Behind layer 0, whose rows change places, only the inputs with work in them live."""
    first = uneven(rng, 12, 40)[0]
    codes = np.ones((64, 40))
    lively = rng.random(40) < 0.5
    codes[::4, lively] = 0
    second = plain_layer(codes)
    activity = [np.ones((99, 12), bool), np.tile(lively, (99, 1))]
    tiling = tile_network([first, second], PLAIN, activity=activity)
    check_tiling(tiling, [first, second])
    assert len(tiling.orders[0])
    assert tiling.divisions[1].work_before > 1.3
    assert tiling.divisions[1].work_after < 1.02


# Segments -----------------------------------------------------------------------------------------


def all_fit(tiling: Tiling, room: Room) -> bool:
    """Whether the room is enough for each segment."""
    return all(fits([tile for run in runs for tile in run], room) for runs in tiling.segments)


@pytest.mark.parametrize(
    "limit", [{"lines": 50}, {"columns": 60}, {"biases": 16}, {"layers": 2}, {"codebooks": 2}]
)
def test_segments_that_follow_each_other_get_half_of_the_memories(rng, limit):
    layers = uneven(rng, 20, 40, 30, 9)
    config = replace(AMPLE, **limit)
    config = replace(config, clusters=1)
    whole = tile_network(layers, replace(config, double_buffer=False))
    assert len(whole.segments) > 1
    assert not all_fit(whole, Room.of(config).half())
    halves = tile_network(layers, config)
    check_tiling(halves, layers)
    assert all_fit(halves, Room.of(config).half())
    assert len(halves.segments) > len(whole.segments)


def test_a_network_of_one_segment_may_take_all(rng):
    layers = uneven(rng, 20, 40, 30, 9)
    tiling = tile_network(layers, AMPLE)
    assert len(tiling.segments) == 1
    words = sum(tile.pointer_words for tile in tiling.segments[0][0])
    tiling = tile_network(layers, replace(AMPLE, columns=words))
    assert len(tiling.segments) == 1


@pytest.mark.parametrize(
    "limit", [{"lines": 7}, {"columns": 5}, {"codebooks": 1}, {"layers": 1}, {"biases": 1}]
)
def test_where_a_half_is_too_small_segments_take_all(rng, limit):
    layers = [full(12, 20), full(8, 12)]
    config = replace(PLAIN, **limit)
    whole, either = (
        tile_network(layers, replace(config, double_buffer=double)) for double in (False, True)
    )
    assert len(whole.segments) > 1
    check_tiling(either, layers)
    assert [len(runs) for runs in either.segments] == [len(runs) for runs in whole.segments]


def test_a_layer_that_fits_no_memory_is_refused():
    for double in (False, True):
        with pytest.raises(UserError, match=r"fc cannot be tiled: .* holds 3 \(lines\)"):
            tile_network([full(12, 20)], replace(PLAIN, lines=3, double_buffer=double))


def test_clusters_are_checked():
    with pytest.raises(UserError, match="clusters = 3"):
        tile_network([full(12, 20)], AMPLE, clusters=3)


def test_wide_layers_are_divided_so_that_all_fit_together():
    """Dense layers are best left whole, but then need 41, 25 and 13 pointers."""
    layers = [full(24, 40), full(12, 24), full(8, 12)]

    def clusters(columns: int, **options) -> tuple[list[int], int]:
        config = replace(AMPLE, columns=columns, double_buffer=False, **options)
        tiling = tile_network(layers, config)
        check_tiling(tiling, layers)
        return [division.clusters for division in tiling.divisions], len(tiling.segments)

    assert clusters(79) == ([1, 1, 1], 1)
    assert clusters(78) == ([2, 1, 1], 1)
    assert clusters(21 + 13 + 13) == ([2, 2, 1], 1)
    assert clusters(21 + 13 + 7) == ([2, 2, 2], 1)
    # Nothing is divided in vain, be it for pointers or for something else.
    assert clusters(40) == ([2, 1, 1], 2)
    assert clusters(79, layers=2) == ([1, 1, 1], 2)
    # Six rows of accumulators are too few for two clusters in layer 0.
    assert clusters(78, rows=6) == ([1, 2, 1], 1)


@pytest.mark.parametrize(
    ("clusters", "expected"), [(1, [[[16320]], [[8768]]]), (2, [[[25088]]]), (4, [[[25088]]])]
)
def test_vgg_6(rng, clusters, expected):
    """Too many pointers for the published machine; clusters share them out."""
    codes = np.zeros((256, 25088), np.uint8)
    codes.reshape(-1)[rng.integers(0, codes.size, codes.size // 500)] = 1
    config = preset("isca16", clusters=clusters)
    tiling = tile_network([plain_layer(codes)], config, clusters=clusters)
    assert [[[t.inputs for t in run] for run in runs] for runs in tiling.segments] == expected
