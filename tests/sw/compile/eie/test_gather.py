"""Gathering: which tiles share a segment, and which a run, under each limit."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from spec.eie.config import EieConfig
from sw.compile.eie.divide import divide_layer
from sw.compile.eie.gather import Runs, fits, gather, needs
from sw.compile.eie.strip import Room, Tile
from tests.sw.compile.eie.tiles import AMPLE, PLAIN, full, sparse

pytestmark = pytest.mark.unit

SIZES = ((12, 20), (8, 12), (4, 8))


def divided(sizes: Sequence[tuple[int, int]], config: EieConfig) -> list[list[Tile]]:
    """Tiles of full layers of so many outputs and inputs."""
    layers = []
    for number, (outputs, inputs) in enumerate(sizes):
        layer = replace(sparse(full(outputs, inputs).codes), number=number)
        layers.append(list(divide_layer(layer, config, Room.of(config)).tiles))
    return layers


def shape_of(segments: list[Runs]) -> list[list[list[int]]]:
    """Layers of the tiles of each run of each segment."""
    return [[[tile.layer for tile in run] for run in runs] for runs in segments]


def gathered(sizes: Sequence[tuple[int, int]], config: EieConfig) -> list[list[list[int]]]:
    return shape_of(gather(divided(sizes, config), Room.of(config)))


def test_a_network_that_fits_is_one_run_with_one_pass_per_layer():
    exactly = {"lines": 60 + 24 + 8, "columns": 21 + 13 + 9, "biases": 3 + 2 + 1, "layers": 3}
    config = replace(PLAIN, **exactly, codebooks=3, rows=3, act_rows=5)
    tiles = [tile for tiles in divided(SIZES, config) for tile in tiles]
    assert needs(tiles) == exactly | {"codebooks": 3}
    assert gathered(SIZES, config) == [[[0, 1, 2]]]


@pytest.mark.parametrize(
    ("limit", "value", "expected"),
    [
        ("lines", 91, [[[0, 1]], [[2]]]),
        ("columns", 42, [[[0, 1]], [[2]]]),
        ("columns", 33, [[[0]], [[1, 2]]]),
        ("biases", 5, [[[0, 1]], [[2]]]),
        ("layers", 2, [[[0, 1]], [[2]]]),
        ("layers", 1, [[[0]], [[1]], [[2]]]),
        ("codebooks", 2, [[[0, 1]], [[2]]]),
        ("codebooks", 1, [[[0]], [[1]], [[2]]]),
        # Several passes over a layer stay together, and the next layer follows them.
        ("rows", 2, [[[0, 0, 1, 2]]]),
        ("rows", 1, [[[0, 0, 0, 1, 1, 2]]]),
        # Its inputs do not fit at once: the host feeds them in parts, sums stay in between.
        ("act_rows", 4, [[[0], [0, 1, 2]]]),
        # Nor do the outputs of layer 0: it takes all three parts of the input twice. Layer 1 takes
        # its own in two parts, the second of them together with what it drains.
        ("act_rows", 2, [[[0], [0], [0], [0], [0], [0], [1], [1, 2]]]),
    ],
)
def test_runs_and_segments_under_each_limit(limit, value, expected):
    config = replace(PLAIN, **{limit: value})
    segments = gather(divided(SIZES, config), Room.of(config))
    assert shape_of(segments) == expected
    for runs in segments:
        assert fits([tile for run in runs for tile in run], Room.of(config))


def test_each_pass_begins_at_a_fresh_line():
    """Layers of 60, 24 and 8 entries in lines of 7."""
    config = replace(PLAIN, line_bits=56, lines=9 + 4 + 2)
    assert gathered(SIZES, config) == [[[0, 1, 2]]]
    assert gathered(SIZES, replace(config, lines=14)) == [[[0, 1]], [[2]]]


def test_pointers_are_those_of_a_cluster():
    """In two clusters of two PEs the layers have 10, 6 and 4 columns each."""
    config = replace(AMPLE, columns=11 + 7 + 5, run_bits_most=4)
    layers = [
        list(
            divide_layer(
                replace(sparse(full(*size).codes), number=number),
                config,
                Room.of(config),
                clusters=2,
            ).tiles
        )
        for number, size in enumerate(SIZES)
    ]
    assert shape_of(gather(layers, Room.of(config))) == [[[0, 1, 2]]]
    assert shape_of(gather(layers, replace(Room.of(config), columns=22))) == [[[0, 1]], [[2]]]


def test_a_layer_does_not_begin_where_only_its_first_tiles_fit():
    assert gathered(((4, 4), (8, 4)), replace(PLAIN, rows=1, layers=2)) == [[[0]], [[1, 1]]]


def test_a_layer_that_fits_the_memories_but_not_the_run_is_handed_over():
    """Outputs of layer 0 are drained in two runs; layer 1 needs all of them at once."""
    config = replace(PLAIN, rows=1, act_rows=1)
    assert gathered(((8, 4), (4, 8)), config) == [[[0], [0], [1], [1]]]
    # Its own outputs overfill the store, although its inputs are there.
    config = replace(PLAIN, act_rows=2)
    assert gathered(((4, 4), (12, 4)), config) == [[[0], [1], [1]]]


def test_a_layer_does_not_follow_outputs_that_are_already_gone():
    """Only the last third of layer 0's outputs is computed in the second segment."""
    config = replace(PLAIN, rows=1, columns=18, layers=2)
    assert gathered(((12, 4), (4, 12)), config) == [[[0, 0]], [[0], [1]]]
