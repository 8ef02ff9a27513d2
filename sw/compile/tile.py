"""Tiling: layers larger than a memory become several passes, and passes are gathered into segments.

A layer is cut into *strips* of outputs; each strip is encoded on its own, and cut into tiles of
inputs. The tiles of a strip follow each other and add to the same accumulators; the last one
drains. Tiles begin at multiples of the number of PEs: their first row and column belong to PE 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import Csc, encode
from spec.errors import UserError
from sw.compile.quantize import IntegerLayer


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """All inputs of some outputs of a layer, in stored form."""

    layer: int
    first_output: int
    csc: Csc

    @property
    def outputs(self) -> int:
        return self.csc.rows

    @property
    def rows(self) -> int:
        """Rows per PE."""
        return self.csc.local_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """Some inputs of a strip: what one pass works on."""

    strip: Strip
    first_input: int
    inputs: int

    @property
    def layer(self) -> int:
        return self.strip.layer

    @property
    def drains(self) -> bool:
        return self.first_input + self.inputs == self.strip.csc.columns

    @property
    def pointers(self) -> np.ndarray:
        """Where columns begin among the PE's entries of the whole strip; (pes, inputs + 1)."""
        return self.strip.csc.pointers[:, self.first_input : self.first_input + self.inputs + 1]

    @property
    def entries(self) -> np.ndarray:
        """Entries in each PE, pads included."""
        return self.pointers[:, -1] - self.pointers[:, 0]


def tile_network(layers: Sequence[IntegerLayer], config: EieConfig) -> list[list[Tile]]:
    """The tiles of each segment, in order of execution.

    A segment takes further tiles as long as they fit. The next layer joins only as a whole, behind
    a layer whose outputs all lie in the activation store; else the host hands its input over.
    """
    segments: list[list[Tile]] = []
    current: list[Tile] = []
    for number, layer in enumerate(layers):
        tiles = tile_layer(layer, number, config)
        if current and _complete(current) and fits([*current, *tiles], config):
            current += tiles
            continue
        if current:
            segments.append(current)
        current = []
        for tile in tiles:
            if current and not fits([*current, tile], config):
                segments.append(current)
                current = []
            current.append(tile)
    return [*segments, current]


def _complete(tiles: Sequence[Tile]) -> bool:
    """Whether a segment that ends with a layer computes all of its outputs."""
    first = next(tile for tile in tiles if tile.layer == tiles[-1].layer and tile.drains)
    return first.strip.first_output == 0


def fits(tiles: Sequence[Tile], config: EieConfig) -> bool:
    """Whether one segment can hold these consecutive tiles."""
    return all(need <= getattr(config, memory) for memory, need in needs(tiles, config).items())


def needs(tiles: Sequence[Tile], config: EieConfig) -> dict[str, int]:
    """What a segment of these tiles takes, by the configuration's field that limits it."""
    fed_rows = -(-fed(tiles)[1] // config.pes)
    drained: dict[int, int] = {}
    for tile in tiles:
        if tile.drains:
            drained[tile.layer] = drained.get(tile.layer, 0) + tile.strip.rows
    return {
        "columns": sum(tile.inputs + 1 for tile in tiles),
        "entries": int(np.sum([tile.entries for tile in tiles], axis=0).max()),
        "biases": sum(drained.values()),
        "act_rows": max([fed_rows, *drained.values()]),
        "layers": len(tiles),
        "codebooks": len({tile.layer for tile in tiles}),
    }


def fed(tiles: Sequence[Tile]) -> tuple[int, int]:
    """First and count of the inputs that the host writes before the segment runs."""
    spans = [(t.first_input, t.first_input + t.inputs) for t in tiles if t.layer == tiles[0].layer]
    first, end = min(first for first, _ in spans), max(end for _, end in spans)
    return first, end - first


def tile_layer(layer: IntegerLayer, number: int, config: EieConfig) -> list[Tile]:
    """Cut a layer into as few tiles as fit one by one, in order of execution.

    Raises
    ------
    UserError
        If even the smallest tile is larger than a memory.
    """
    narrowest = min(config.pes, layer.inputs)
    if narrowest >= config.columns:
        raise UserError(
            f"layer {layer.name} cannot be tiled: {narrowest} columns, the fewest in a tile on "
            f"{config.pes} PEs, need a pointer each and one more, "
            f"the pointer memory holds {config.columns} (columns)"
        )
    rows = -(-layer.outputs // config.pes)
    strips = -(-rows // min(config.rows, config.act_rows, config.biases))
    while True:
        height = -(-rows // strips)
        try:
            return [
                tile
                for strip in _strips(layer, number, height * config.pes, config)
                for tile in _cut(strip, config)
            ]
        except _TooManyEntriesError as dense:
            if height == 1:
                raise UserError(f"layer {layer.name} cannot be tiled: {dense}") from None
        strips = -(-rows // (height // 2))


class _TooManyEntriesError(Exception):
    """The narrowest tile of a strip overfills the matrix memory of a PE; a lower strip may not."""


def _strips(layer: IntegerLayer, number: int, outputs: int, config: EieConfig) -> Iterator[Strip]:
    for first in range(0, layer.outputs, outputs):
        csc = encode(layer.codes[first : first + outputs], config.pes, config.run_bits)
        yield Strip(layer=number, first_output=first, csc=csc)


def _cut(strip: Strip, config: EieConfig) -> list[Tile]:
    """Cut a strip, each tile as wide as pointers, activations and entries allow."""
    inputs, pes = strip.csc.columns, config.pes
    bounds = np.append(np.arange(0, inputs, pes), inputs)
    entries = strip.csc.pointers[:, bounds]
    widest = min(config.columns - 1, config.acts)
    tiles, at = [], 0
    while at < len(bounds) - 1:
        wide = int(np.searchsorted(bounds, bounds[at] + widest, "right")) - 1
        filled = (entries[:, at : wide + 1] - entries[:, at : at + 1]).max(axis=0)
        end = at + int(np.searchsorted(filled, config.entries, "right")) - 1
        if end == at:
            pe = int(np.argmax(entries[:, at + 1] - entries[:, at]))
            raise _TooManyEntriesError(
                f"columns {bounds[at]}...{bounds[at + 1] - 1} of outputs {strip.first_output}..."
                f"{strip.first_output + strip.outputs - 1} take {filled[1]} entries in PE {pe}, "
                f"its matrix memory holds {config.entries} (entries)"
            )
        first = int(bounds[at])
        tiles.append(Tile(strip=strip, first_input=first, inputs=int(bounds[end]) - first))
        at = end
    return tiles
