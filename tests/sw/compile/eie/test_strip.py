"""Strips: every memory as the one that makes a tile too wide."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig
from spec.eie.csc import encode
from sw.compile.eie.strip import Room, Strip, Tile, TooDenseError, TooSmallError, cut_strip
from tests.sw.compile.eie.tiles import AMPLE, PLAIN, codes_of, spans

pytestmark = pytest.mark.unit


def strip_of(codes: np.ndarray, config: EieConfig, split: int = 0) -> Strip:
    csc = encode(codes.astype(np.uint8), config.pes, config.run_bits, 1 << split)
    order = np.arange(len(codes))
    return Strip(config=config, layer=0, first_output=0, order=order, csc=csc)


def cut(codes: np.ndarray, config: EieConfig, split: int = 0) -> list[Tile]:
    return cut_strip(strip_of(codes, config, split), Room.of(config))


@pytest.mark.parametrize(
    ("limit", "value", "inputs"),
    [
        ("act_rows", 5, [20]),
        ("act_rows", 4, [16, 4]),
        ("act_rows", 2, [8, 8, 4]),
        ("columns", 21, [20]),
        ("columns", 20, [16, 4]),
        ("columns", 5, [4, 4, 4, 4, 4]),
        ("lines", 60, [20]),
        ("lines", 59, [16, 4]),
        ("lines", 12, [4, 4, 4, 4, 4]),
    ],
)
def test_each_limit(limit, value, inputs):
    codes, config = np.ones((12, 20)), replace(PLAIN, **{limit: value})
    tiles = cut(codes, config)
    assert [tile.inputs for tile in tiles] == inputs
    np.testing.assert_array_equal(codes_of(tiles), codes)


def test_clusters_share_the_pointers_out():
    """Two clusters of two PEs: each has half of the columns, 10 and then 8 of 18."""
    codes, config = np.ones((12, 18)), replace(AMPLE, columns=11)
    assert spans(cut(codes, config, split=1)) == [(0, 12, 0, 18)]
    config = replace(AMPLE, columns=10)
    tiles = cut(codes, config, split=1)
    assert spans(tiles) == [(0, 12, 0, 16), (0, 12, 16, 2)]
    assert [tile.pointer_words for tile in tiles] == [9, 3]
    np.testing.assert_array_equal(codes_of(tiles), codes)


def test_lines_are_counted_in_the_fullest_pe_pads_included():
    codes = np.zeros((4 * 40, 8))
    codes[4 * 39 + 1] = 1  # local row 39 of PE 1: two pads before it
    tiles = cut(codes, replace(PLAIN, lines=12))
    assert [tile.inputs for tile in tiles] == [4, 4]
    assert tiles[0].lines.tolist() == [0, 12, 0, 0]
    # Five entries fit in a line of 40 bits; what is left of the last one is the tile's.
    tiles = cut(codes, replace(PLAIN, line_bits=40, lines=3))
    assert [tile.lines.max() for tile in tiles] == [3, 3]


def test_uneven_columns_fill_the_memory_as_far_as_it_goes():
    codes = np.zeros((8, 40))
    codes[:, :8] = 1
    assert [tile.inputs for tile in cut(codes, replace(PLAIN, lines=10))] == [4, 36]


def test_what_cannot_be_cut():
    codes = np.ones((9, 12))
    codes[3:, :4] = 0
    with pytest.raises(
        TooDenseError,
        match=r"columns 4\.\.\.7 of outputs 0\.\.\.8 take 6 lines of 2 entries in PE 0, "
        r"its matrix memory holds 2 \(lines\)",
    ):
        cut(codes, replace(PLAIN, line_bits=16, lines=2))
    with pytest.raises(TooSmallError, match=r"4 columns, .* 4 PEs in 1 .* holds 4 \(columns\)"):
        cut(np.ones((9, 9)), replace(PLAIN, columns=4))
    with pytest.raises(TooSmallError, match=r"2 columns, .* 4 PEs in 2 .* holds 2 \(columns\)"):
        cut(np.ones((9, 9)), replace(AMPLE, columns=2), split=1)
    assert len(cut(np.ones((9, 3)), replace(PLAIN, columns=4))) == 1


def test_a_tile_describes_its_pass():
    """The second of two tiles of nine outputs in two clusters, with runs of 5 bits."""
    csc = encode(np.ones((9, 18), np.uint8), 4, 5, 2)
    strip = Strip(config=AMPLE, layer=0, first_output=0, order=np.arange(9), csc=csc)
    first, second = cut_strip(strip, replace(Room.of(AMPLE), act_rows=3))
    told = second.descriptor
    assert (told.split, told.widen, told.drain) == (1, 1, True)
    assert (told.columns, told.input_rows, told.rows) == (6, 2, 6)
    assert (first.descriptor.drain, first.bias_words, second.bias_words) == (False, 0, 3)
    assert second.work.cycles.sum() == 9 * 6


def test_half_a_room():
    half = Room.of(AMPLE).half()
    assert (half.rows, half.act_rows) == (AMPLE.rows, AMPLE.act_rows)
    assert (half.lines, half.columns, half.biases) == (2048, 256, 32)
    assert (half.layers, half.codebooks) == (8, 8)
