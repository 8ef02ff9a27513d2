"""Packing: the tiles of a segment become the words of its memories, and one descriptor each."""

from collections.abc import Sequence

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import pack_lines
from spec.eie.descriptor import Descriptor
from spec.eie.program import Layer, Pass, Program, Segment, Slice
from sw.compile.quantize import IntegerLayer
from sw.compile.tile import Tile, fed


def pack_network(
    layers: Sequence[IntegerLayer], segments: Sequence[Sequence[Tile]], config: EieConfig
) -> Program:
    """The program of a network that was tiled by :func:`sw.compile.tile.tile_network`."""
    return Program(
        config=config,
        layers=tuple(_describe(layer) for layer in layers),
        segments=tuple(pack_segment(tiles, layers, config) for tiles in segments),
    )


def _describe(layer: IntegerLayer) -> Layer:
    return Layer(
        name=layer.name,
        inputs=layer.inputs,
        outputs=layer.outputs,
        input_scale=layer.input_scale,
        weight_scale=layer.weight_scale,
        output_scale=layer.output_scale,
        relu=layer.relu,
        weights=int(np.count_nonzero(layer.codes)),
    )


def pack_segment(
    tiles: Sequence[Tile], layers: Sequence[IntegerLayer], config: EieConfig
) -> Segment:
    """Memory contents and passes of one segment."""
    books = sorted({tile.layer for tile in tiles})
    first, count = fed(tiles)
    return Segment(
        passes=_passes(tiles, layers, config),
        feed=Slice(layer=tiles[0].layer, first=first, count=count),
        fetch=_fetch(tiles),
        codebooks=np.stack([layers[number].codebook for number in books]),
        biases=_biases(tiles, layers, config),
        pointers=_pointers(tiles),
        lines=_lines(tiles, config),
    )


def _fetch(tiles: Sequence[Tile]) -> Slice | None:
    """Outputs that the segment's last layer has drained."""
    strips = [t.strip for t in tiles if t.drains and t.layer == tiles[-1].layer]
    if not strips:
        return None
    first = strips[0].first_output
    count = strips[-1].first_output + strips[-1].outputs - first
    return Slice(layer=tiles[-1].layer, first=first, count=count)


def _passes(
    tiles: Sequence[Tile], layers: Sequence[IntegerLayer], config: EieConfig
) -> tuple[Pass, ...]:
    """One pass per tile; pointers, biases and codebooks stand in the order of their tiles."""
    books = sorted({tile.layer for tile in tiles})
    first_fed, _ = fed(tiles)
    pointer_base = bias_base = output_base = 0
    passes = []
    for tile, following in zip(tiles, [*tiles[1:], None], strict=True):
        layer = layers[tile.layer]
        swap = following is not None and following.layer != tile.layer
        # The first layer's inputs begin at what was fed, those of the others at their first.
        origin = first_fed if tile.layer == tiles[0].layer else 0
        descriptor = Descriptor(
            pointer_base=pointer_base,
            columns=tile.inputs,
            input_rows=-(-tile.inputs // config.pes),
            input_base=(tile.first_input - origin) // config.pes,
            rows=tile.strip.rows,
            output_base=output_base if tile.drains else 0,
            bias_base=bias_base if tile.drains else 0,
            codebook=books.index(tile.layer),
            multiplier=layer.multiplier,
            shift=layer.shift,
            relu=layer.relu,
            drain=tile.drains,
            swap=swap,
        )
        descriptor.pack(config)  # refuses a field that is too narrow
        passes.append(
            Pass(
                layer=tile.layer,
                first_input=tile.first_input,
                inputs=tile.inputs,
                first_output=tile.strip.first_output,
                outputs=tile.strip.outputs,
                descriptor=descriptor,
            )
        )
        pointer_base += tile.inputs + 1
        if tile.drains:
            bias_base += tile.strip.rows
            output_base = 0 if swap else output_base + tile.strip.rows
    return tuple(passes)


def _biases(tiles: Sequence[Tile], layers: Sequence[IntegerLayer], config: EieConfig) -> np.ndarray:
    """Biases of all strips that drain, zeros behind the last output of each."""
    words = [np.zeros((config.pes, 0), np.int64)]
    for strip in (tile.strip for tile in tiles if tile.drains):
        padded = np.zeros(strip.rows * config.pes, np.int64)
        first = strip.first_output
        padded[: strip.outputs] = layers[strip.layer].bias[first : first + strip.outputs]
        words.append(padded.reshape(strip.rows, config.pes).T)
    return np.concatenate(words, axis=1)


def _pointers(tiles: Sequence[Tile]) -> np.ndarray:
    """Pointers of all tiles, as addresses of entries in the segment's matrix memory."""
    bases = np.cumsum([np.zeros_like(tiles[0].entries), *(tile.entries for tile in tiles)], axis=0)
    words = [
        tile.pointers - tile.pointers[:, :1] + base[:, None]
        for tile, base in zip(tiles, bases, strict=False)
    ]
    return np.concatenate(words, axis=1).astype(np.uint32)


def _lines(tiles: Sequence[Tile], config: EieConfig) -> np.ndarray:
    """Lines of every PE, as many as the fullest takes; entries follow without gaps."""
    fullest = int(np.sum([tile.entries for tile in tiles], axis=0).max())
    lines = np.zeros((config.pes, -(-fullest // config.entries_per_line)), np.uint64)
    for pe in range(config.pes):
        codes, runs = zip(*(_entries(tile, pe) for tile in tiles), strict=True)
        words = pack_lines(
            np.concatenate(codes),
            np.concatenate(runs),
            code_bits=config.code_bits,
            run_bits=config.run_bits,
            per_line=config.entries_per_line,
        )
        lines[pe, : len(words)] = words
    return lines


def _entries(tile: Tile, pe: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and runs of a tile in one PE."""
    code, run = tile.strip.csc.of_pe(pe)
    span = slice(tile.pointers[pe, 0], tile.pointers[pe, -1])
    return code[span], run[span]
