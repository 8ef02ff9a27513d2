"""Small arrays and layers for the tests of tiling."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spec.eie.config import EieConfig, preset
from spec.eie.csc import decode
from sw.compile.eie.divide import Sparse
from sw.compile.eie.quantize import IntegerLayer
from sw.compile.eie.strip import Tile
from tests.sw.compile.networks import integer_layers

AMPLE = preset(
    "tiny", rows=64, act_rows=64, lines=4096, columns=512, biases=64, layers=16, codebooks=16
)

PLAIN = replace(AMPLE, clusters=1, run_bits_most=4, line_bits=8, double_buffer=False)
"""One cluster, one width of runs, a line for each entry, and each segment has all of it."""


def plain_layer(codes: np.ndarray, name: str = "fc") -> IntegerLayer:
    """A layer of which only the codes matter."""
    (layer,) = integer_layers(np.random.default_rng(0), AMPLE, (4, 3))
    return replace(layer, name=name, codes=codes.astype(np.uint8), bias=np.zeros(len(codes), int))


def full(outputs: int, inputs: int) -> IntegerLayer:
    """A layer without zeros."""
    return plain_layer(np.ones((outputs, inputs)))


def sparse(codes: np.ndarray, activity: np.ndarray | None = None) -> Sparse:
    """A network's first layer, to be divided."""
    return Sparse(number=0, name="fc", codes=codes.astype(np.uint8), activity=activity)


def spans(tiles: Sequence[Tile]) -> list[tuple[int, int, int, int]]:
    """First output, outputs, first input and inputs of each tile."""
    return [(t.strip.first_output, t.strip.outputs, t.first_input, t.inputs) for t in tiles]


def codes_of(tiles: Sequence[Tile]) -> np.ndarray:
    """A layer's codes out of its tiles, its rows in place again."""
    outputs = sum(tile.strip.outputs for tile in tiles if tile.drains)
    codes = np.zeros((outputs, tiles[0].strip.csc.columns), np.uint8)
    for tile in tiles:
        columns = slice(tile.first_input, tile.first_input + tile.inputs)
        codes[tile.strip.order, columns] += decode(tile.csc)
    return codes


def check_cover(tiles: Sequence[Tile], codes: np.ndarray, config: EieConfig) -> None:
    """Every weight in one tile, strips and tiles in order and aligned, within the accumulators."""
    np.testing.assert_array_equal(codes_of(tiles), codes)
    for tile in tiles:
        assert tile.strip.first_output % config.pes == 0
        assert tile.first_input % config.pes == 0
        assert tile.strip.csc.local_rows <= config.rows
    assert spans(tiles) == sorted(spans(tiles))
    assert [tile.drains for tile in tiles] == [
        tile.first_input + tile.inputs == codes.shape[1] for tile in tiles
    ]
