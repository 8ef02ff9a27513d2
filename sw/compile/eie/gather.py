"""Gathering: tiles become runs, and runs segments.

A *run* ends where the host has to hand activations over: behind outputs or inputs that the
activation store does not hold all at once, and behind the gates of an LSTM. A segment takes further
runs as long as its memories hold them.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from sw.compile.eie.strip import Room, Tile

Runs = list[list[Tile]]
"""The tiles of each run of a segment."""


def gather(divided: Sequence[Sequence[Tile]], room: Room) -> list[Runs]:
    """The runs of each segment, from the tiles of each layer.

    A layer begins in the segment of the one before only if it fits there as a whole.
    """
    segments: list[Runs] = []
    for tiles in divided:
        if not segments or not fits([*chain(*segments[-1]), *tiles], room):
            segments.append([])
        follows = bool(segments[-1]) and _can_follow(segments[-1][-1], tiles, room)
        for tile in tiles:
            segment = segments[-1]
            if not fits([*chain(*segment), tile], room):
                segments.append([[tile]])
            elif segment and (follows or _can_go_on(segment[-1], tile, room)):
                segment[-1].append(tile)
            else:
                segment.append([tile])
    return segments


def fits(tiles: Sequence[Tile], room: Room) -> bool:
    """Whether one segment can hold these tiles."""
    return all(need <= getattr(room, memory) for memory, need in needs(tiles).items())


def needs(tiles: Sequence[Tile]) -> dict[str, int]:
    """What a segment of these tiles takes, by the configuration's field that limits it."""
    return {
        "columns": sum(tile.pointer_words for tile in tiles),
        "lines": int(np.sum([tile.lines for tile in tiles], axis=0).max()),
        "biases": sum(tile.bias_words for tile in tiles),
        "layers": len(tiles),
        "codebooks": len(books(tiles)),
    }


def books(tiles: Iterable[Tile]) -> list[tuple[int, int]]:
    """The codebooks that they need: layers and parts of these, in order."""
    return sorted({(tile.layer, tile.part) for tile in tiles})


def fed(run: Sequence[Tile]) -> tuple[int, int]:
    """First and count of the inputs that the host writes before a run."""
    spans = [(t.first_input, t.first_input + t.inputs) for t in run if t.layer == run[0].layer]
    first, end = min(first for first, _ in spans), max(end for _, end in spans)
    return first, end - first


def drained(run: Sequence[Tile]) -> Iterator[Tile]:
    """The tiles that drain the outputs of a run's last layer."""
    return (tile for tile in run if tile.drains and tile.layer == run[-1].layer)


def _can_follow(run: Sequence[Tile], tiles: Sequence[Tile], room: Room) -> bool:
    """Whether a layer can go on with what a run leaves: all outputs of the layer before."""
    complete = run[-1].drains and next(drained(run)).strip.first_output == 0
    complete &= not run[-1].strip.host_follows
    return complete and sum(tile.bias_words for tile in tiles) <= room.act_rows


def _can_go_on(run: Sequence[Tile], tile: Tile, room: Room) -> bool:
    """Whether the store also holds what a further tile of the run's layer reads and writes."""
    if tile.layer != run[-1].layer:
        return False
    together = [*run, tile]
    fed_rows = -(-fed(together)[1] // tile.strip.config.pes)
    return max(fed_rows, sum(one.bias_words for one in together)) <= room.act_rows
