"""Packing: the tiles of a segment become the words of its memories, and one descriptor each."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, chain

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.descriptor import Descriptor
from spec.eie.lines import pack_lines, pack_pointers
from spec.eie.program import Bases, Layer, Pass, Program, Run, Segment, Slice
from sw.compile.eie.gates import StoredLayer, count_steps
from sw.compile.eie.gather import Runs, books, drained, fed, needs
from sw.compile.eie.strip import Tile
from sw.compile.eie.tile import Tiling


def pack_network(layers: Sequence[StoredLayer], tiling: Tiling, config: EieConfig) -> Program:
    """The program of a network that was tiled by :func:`sw.compile.eie.tile.tile_network`.

    Segments stand at the bottom and at the top of the memories in turn.
    """
    per_step, every_step = count_steps(layers)
    return Program(
        config=config,
        layers=tuple(_describe(layer) for layer in layers),
        segments=tuple(
            pack_segment(runs, layers, config, top=number % 2 == 1)
            for number, runs in enumerate(tiling.segments)
        ),
        orders=tiling.orders,
        per_step=per_step,
        every_step=every_step,
    )


def _describe(layer: StoredLayer) -> Layer:
    return Layer(
        name=layer.name,
        inputs=layer.inputs,
        outputs=layer.outputs,
        input_scale=layer.input_scale,
        weight_scale=layer.weight_scale,
        output_scale=layer.output_scale,
        relu=layer.relu,
        weights=int(np.count_nonzero(layer.codes)),
        cell=layer.cell,
    )


def pack_segment(
    runs: Runs, layers: Sequence[StoredLayer], config: EieConfig, *, top: bool = False
) -> Segment:
    """Memory contents and runs of one segment."""
    tiles = list(chain(*runs))
    words = Segment(
        runs=(),
        top=top,
        codebooks=np.stack([layers[number].codebooks[part] for number, part in books(tiles)]),
        biases=_biases(tiles, layers, config),
        pointers=np.zeros((config.pes, needs(tiles)["columns"]), np.uint32),
        lines=_lines(tiles, config),
    )
    # The sizes of its memories say where it stands, and so what its addresses are.
    bases = words.bases(config)
    return replace(
        words, runs=_runs(runs, layers, bases), pointers=_pointers(tiles, bases.lines, config)
    )


def _runs(runs: Runs, layers: Sequence[StoredLayer], bases: Bases) -> tuple[Run, ...]:
    """One pass per tile; pointers, biases and codebooks stand in the order of the tiles."""
    tiles = list(chain(*runs))
    codebooks = books(tiles)
    pointers = accumulate((tile.pointer_words for tile in tiles), initial=bases.pointers)
    biases = accumulate((tile.bias_words for tile in tiles), initial=bases.biases)
    places = zip(pointers, biases, strict=True)
    packed = []
    for run in runs:
        first, count = fed(run)
        passes = []
        for index, tile in enumerate(run):
            pointer_base, bias_base = next(places)
            descriptor = replace(
                _describe_place(run, index),
                pointer_base=pointer_base,
                bias_base=bias_base if tile.drains else 0,
                codebook=bases.codebooks + codebooks.index((tile.layer, tile.part)),
                multiplier=layers[tile.layer].multiplier,
                shift=layers[tile.layer].shift,
                relu=layers[tile.layer].relu,
            )
            descriptor.pack(tile.strip.config)  # refuses a field that is too narrow
            passes.append(_pass(tile, descriptor))
        feed = Slice(layer=run[0].layer, first=first, count=count)
        packed.append(Run(passes=tuple(passes), feed=feed, fetch=_fetch(run)))
    return tuple(packed)


def _describe_place(run: Sequence[Tile], index: int) -> Descriptor:
    """The descriptor of a run's tile, with the rows of activations that it reads and writes."""
    tile, config = run[index], run[index].strip.config
    # The first layer's inputs begin at what was fed, those of the others at their first.
    origin = fed(run)[0] if tile.layer == run[0].layer else 0
    written = sum(one.bias_words for one in run[:index] if one.layer == tile.layer)
    return replace(
        tile.descriptor,
        input_base=(tile.first_input - origin) // config.pes,
        output_base=written if tile.drains else 0,
        swap=index + 1 < len(run) and run[index + 1].layer != tile.layer,
    )


def _pass(tile: Tile, descriptor: Descriptor) -> Pass:
    return Pass(
        layer=tile.layer,
        first_input=tile.first_input,
        inputs=tile.inputs,
        first_output=tile.strip.first_output,
        outputs=tile.strip.outputs,
        descriptor=descriptor,
    )


def _fetch(run: Sequence[Tile]) -> Slice | None:
    """Outputs that the run's last layer has drained."""
    strips = [tile.strip for tile in drained(run)]
    if not strips:
        return None
    first = strips[0].first_output
    count = strips[-1].first_output + strips[-1].outputs - first
    return Slice(layer=run[-1].layer, first=first, count=count)


def _biases(tiles: Sequence[Tile], layers: Sequence[StoredLayer], config: EieConfig) -> np.ndarray:
    """Biases of all strips that drain, zeros behind the last output of each."""
    words = [np.zeros((config.pes, 0), np.int64)]
    for strip in (tile.strip for tile in tiles if tile.drains):
        padded = np.zeros(strip.act_rows * config.pes, np.int64)
        padded[: strip.outputs] = layers[strip.layer].bias[strip.order]
        words.append(padded.reshape(strip.act_rows, config.pes).T)
    return np.concatenate(words, axis=1)


def _pointers(tiles: Sequence[Tile], base: int, config: EieConfig) -> np.ndarray:
    """Pointers of all tiles; the first one's matrix begins at line ``base`` of every PE."""
    line, words = np.full(config.pes, base), []
    for tile in tiles:
        per_line = tile.strip.per_line
        entries = line[:, None] * per_line + tile.csc.pointers
        words.append(pack_pointers(config, entries, per_line))
        line = line + tile.lines
    return np.concatenate(words, axis=1).astype(np.uint32)


def _lines(tiles: Sequence[Tile], config: EieConfig) -> np.ndarray:
    """Lines of every PE, as many as the fullest takes; each tile begins with one of its own."""
    lines = np.zeros((config.pes, needs(tiles)["lines"]), np.uint64)
    ends = np.zeros(config.pes, np.int64)
    for tile in tiles:
        for pe in range(config.pes):
            code, run = tile.csc.of_pe(pe)
            words = pack_lines(
                code,
                run,
                code_bits=config.code_bits,
                run_bits=tile.csc.run_bits,
                per_line=tile.strip.per_line,
            )
            lines[pe, ends[pe] : ends[pe] + len(words)] = words
        ends += tile.lines
    return lines
