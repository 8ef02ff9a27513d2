"""Tiling and segments: every memory as the one that is too small, and what fits stays whole."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.errors import UserError
from sw.compile.quantize import IntegerLayer
from sw.compile.tile import Tile, fits, needs, tile_layer, tile_network
from tests.sw.compile.networks import integer_layers

pytestmark = pytest.mark.unit

AMPLE = preset(
    "tiny", rows=64, act_rows=64, entries=4096, columns=512, biases=64, layers=16, codebooks=16
)


def plain_layer(codes: np.ndarray) -> IntegerLayer:
    """A layer of which only the codes matter."""
    (layer,) = integer_layers(np.random.default_rng(0), AMPLE, (4, 3))
    return replace(layer, name="fc", codes=codes.astype(np.uint8))


def full(outputs: int, inputs: int) -> IntegerLayer:
    return plain_layer(np.ones((outputs, inputs)))


def spans(tiles: list[Tile]) -> list[tuple[int, int, int, int]]:
    """First output, outputs, first input and inputs of each tile."""
    return [(t.strip.first_output, t.strip.outputs, t.first_input, t.inputs) for t in tiles]


def check_cover(tiles: list[Tile], layer: IntegerLayer, config: EieConfig) -> None:
    """Every weight in one tile, each tile within every memory, strips and tiles in order."""
    count = np.zeros(layer.codes.shape, int)
    for tile in tiles:
        first = tile.strip.first_output
        count[first : first + tile.strip.outputs, tile.first_input :][:, : tile.inputs] += 1
        assert first % config.pes == 0
        assert tile.first_input % config.pes == 0
        assert tile.strip.rows <= config.rows
        assert fits([tile], config)
    assert (count == 1).all()
    assert spans(tiles) == sorted(spans(tiles))
    assert [tile.drains for tile in tiles] == [
        tile.first_input + tile.inputs == layer.inputs for tile in tiles
    ]


def test_a_layer_that_fits_is_one_tile():
    layer = full(12, 20)
    exactly = {"rows": 3, "act_rows": 5, "entries": 60, "columns": 21, "biases": 3, "layers": 1}
    config = replace(AMPLE, **exactly, codebooks=1)
    (tile,) = tile_layer(layer, 0, config)
    assert needs([tile], config) == {key: exactly[key] for key in exactly if key != "rows"} | {
        "codebooks": 1
    }
    check_cover([tile], layer, config)


@pytest.mark.parametrize(
    ("limit", "value", "expected"),
    [
        ("rows", 2, [(0, 8, 0, 20), (8, 4, 0, 20)]),
        ("biases", 2, [(0, 8, 0, 20), (8, 4, 0, 20)]),
        ("act_rows", 4, [(0, 12, 0, 16), (0, 12, 16, 4)]),
        (
            "act_rows",
            2,
            [(o, n, i, m) for o, n in ((0, 8), (8, 4)) for i, m in ((0, 8), (8, 8), (16, 4))],
        ),
        ("columns", 20, [(0, 12, 0, 16), (0, 12, 16, 4)]),
        ("columns", 5, [(0, 12, i, 4) for i in range(0, 20, 4)]),
        ("entries", 59, [(0, 12, 0, 16), (0, 12, 16, 4)]),
        ("entries", 12, [(0, 12, i, 4) for i in range(0, 20, 4)]),
        # Not even four columns fit at full height, nor at half of it.
        ("entries", 7, [(o, 4, i, 4) for o in (0, 4, 8) for i in range(0, 20, 4)]),
        ("entries", 8, [(o, 4, i, m) for o in (0, 4, 8) for i, m in ((0, 8), (8, 8), (16, 4))]),
    ],
)
def test_each_limit(limit, value, expected):
    layer, config = full(12, 20), replace(AMPLE, **{limit: value})
    tiles = tile_layer(layer, 0, config)
    assert spans(tiles) == expected
    check_cover(tiles, layer, config)


def test_entries_are_counted_with_pads_in_the_fullest_pe():
    codes = np.zeros((4 * 40, 8))
    codes[4 * 39 + 1] = 1  # local row 39 of PE 1: two pads before it
    tiles = tile_layer(plain_layer(codes), 0, replace(AMPLE, entries=12))
    assert spans(tiles) == [(0, 160, 0, 4), (0, 160, 4, 4)]
    assert tiles[0].entries.tolist() == [0, 12, 0, 0]


def test_uneven_columns_fill_the_memory_as_far_as_it_goes():
    codes = np.zeros((8, 40))
    codes[:, :8] = 1
    tiles = tile_layer(plain_layer(codes), 0, replace(AMPLE, entries=10))
    assert spans(tiles) == [(0, 8, 0, 4), (0, 8, 4, 36)]


@pytest.mark.parametrize("outputs", [1, 3, 4, 30])
def test_layers_that_cannot_be_tiled(outputs):
    with pytest.raises(
        UserError,
        match=r"layer fc cannot be tiled: columns 0\.\.\.3 of outputs 0\.\.\..* take 4 entries in "
        r"PE 0, its matrix memory holds 3 \(entries\)",
    ):
        tile_layer(full(outputs, 9), 0, replace(AMPLE, entries=3))
    with pytest.raises(
        UserError, match=r"fc cannot be tiled: 4 columns, .* 4 PEs, .* holds 4 \(columns\)"
    ):
        tile_layer(full(outputs, 9), 0, replace(AMPLE, columns=4))
    tile_layer(full(outputs, 3), 0, replace(AMPLE, columns=4))


def test_random_layers_under_random_limits(rng):
    for _ in range(60):
        inputs, outputs = (int(size) for size in rng.integers(1, 50, 2))
        layer = plain_layer(rng.random((outputs, inputs)) < rng.choice([0, 0.05, 0.4, 1]))
        config = replace(
            AMPLE,
            pes=int(rng.integers(1, 7)),
            rows=int(rng.integers(1, 8)),
            act_rows=int(rng.integers(1, 8)),
            entries=int(rng.integers(6, 40)),
            columns=int(rng.integers(7, 40)),
            run_bits=int(rng.integers(1, 4)),
        )
        check_cover(tile_layer(layer, 0, config), layer, config)


# Segments -----------------------------------------------------------------------------------------


def shape_of(segments: list[list[Tile]]) -> list[list[int]]:
    """Layers of the tiles of each segment."""
    return [[tile.layer for tile in tiles] for tiles in segments]


@pytest.fixture
def layers() -> list[IntegerLayer]:
    return [full(12, 20), full(8, 12), full(4, 8)]


def test_a_network_that_fits_is_one_segment_with_one_pass_per_layer(layers):
    exactly = {"entries": 60 + 24 + 8, "columns": 21 + 13 + 9, "biases": 3 + 2 + 1, "layers": 3}
    config = replace(AMPLE, **exactly, codebooks=3, rows=3, act_rows=5)
    assert shape_of(tile_network(layers, config)) == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("limit", "value", "expected"),
    [
        ("entries", 91, [[0, 1], [2]]),
        ("columns", 42, [[0, 1], [2]]),
        ("columns", 33, [[0], [1, 2]]),
        ("biases", 5, [[0, 1], [2]]),
        ("layers", 2, [[0, 1], [2]]),
        ("layers", 1, [[0], [1], [2]]),
        ("codebooks", 2, [[0, 1], [2]]),
        ("codebooks", 1, [[0], [1], [2]]),
        # Several passes over a layer stay together, and the next layer follows them.
        ("rows", 2, [[0, 0, 1, 2]]),
        ("rows", 1, [[0, 0, 0, 1, 1, 2]]),
        # Its inputs do not fit at once: the host feeds them in parts, sums stay in between.
        ("act_rows", 4, [[0], [0, 1, 2]]),
        # Nor do the outputs of layer 0: it takes both parts of the input twice.
        ("act_rows", 2, [[0], [0], [0], [0], [0], [0], [1], [1, 2]]),
    ],
)
def test_segments_under_each_limit(layers, limit, value, expected):
    config = replace(AMPLE, **{limit: value})
    segments = tile_network(layers, config)
    assert shape_of(segments) == expected
    assert all(fits(tiles, config) for tiles in segments)


def test_a_layer_does_not_begin_where_only_its_first_tiles_fit():
    """Its later tiles need an input that only the array has."""
    layers = [full(4, 4), full(8, 4)]
    config = replace(AMPLE, rows=1, layers=2)
    assert shape_of(tile_network(layers, config)) == [[0], [1, 1]]


def test_a_layer_does_not_follow_outputs_that_are_already_gone():
    """Only the second half of layer 0's outputs is computed in the second segment."""
    layers = [full(8, 4), full(4, 8)]
    config = replace(AMPLE, rows=1, columns=9)
    assert shape_of(tile_network(layers, config)) == [[0], [0], [1]]
    config = replace(AMPLE, rows=1, columns=10, biases=1)
    assert shape_of(tile_network(layers, config)) == [[0], [0], [1]]


def test_the_published_machine_takes_vgg_6_in_two_tiles(rng):
    codes = np.zeros((1024, 25088), np.uint8)
    codes.reshape(-1)[rng.integers(0, codes.size, codes.size // 500)] = 1
    config = preset("isca16")
    segments = tile_network([plain_layer(codes)], config)
    assert [[tile.inputs for tile in tiles] for tiles in segments] == [[16320], [8768]]
