"""Tiling: a network becomes the tiles of runs and segments, its rows in an order that suits PEs.

Between layers the vectors are in the array's order, so that the order of a layer's rows is that of
the next layer's columns. Only the network's last output has to be put in place again.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import UserError
from sw.compile.eie.divide import Division, Sparse, check_clusters, divide_layer
from sw.compile.eie.gates import StoredLayer
from sw.compile.eie.gather import Runs, gather
from sw.compile.eie.strip import Room


@dataclass(frozen=True, kw_only=True, eq=False)
class Tiling:
    """What a network was divided into.

    Attributes
    ----------
    divisions : tuple of Division, one per layer
    segments : list of list of list of Tile
        The tiles of each run of each segment, in order of execution.
    """

    divisions: tuple[Division, ...]
    segments: list[Runs]

    @property
    def orders(self) -> tuple[np.ndarray, ...]:
        """See :class:`spec.eie.program.Program`: empty where all outputs are in place."""
        orders = [division.order for division in self.divisions]
        moved = [(order != np.arange(len(order))).any() for order in orders]
        none = np.zeros(0, np.int64)
        return tuple(
            order if m else none for order, m in zip(orders, moved, strict=True) if any(moved)
        )


def tile_network(
    layers: Sequence[StoredLayer],
    config: EieConfig,
    *,
    activity: Sequence[np.ndarray] | None = None,
    balance: bool = True,
    clusters: int | None = None,
) -> Tiling:
    """Divide every layer, and gather the tiles for :func:`sw.compile.eie.pack.pack_network`.

    If the network takes several segments, and the array is double-buffered, each gets half of the
    memories, so that it can be loaded behind the one before.

    Parameters
    ----------
    activity : bool, shape (samples, inputs) of each layer
        Which of a layer's inputs were not zero in calibration. Without it, all of them count.
    balance : bool
        Let rows change places for the sake of even work; else they stay interleaved plainly.
    clusters : int or None
        Clusters of every pass; None chooses for each layer.

    Raises
    ------
    UserError
        If the array does not divide into so many clusters, or the smallest tile of a layer is
        larger than a memory.
    """
    check_clusters(clusters, config)
    tiler = _Tiler(layers, config, activity, balance)
    room = Room.of(config)
    whole = tiler.tile(room, clusters)
    if len(whole.segments) == 1 or not config.double_buffer or min(astuple(room.half())) == 0:
        return whole
    try:
        return tiler.tile(room.half(), clusters)
    except UserError:
        return whole


@dataclass(frozen=True)
class _Tiler:
    """A network, to be tiled for as much room as there is; see :func:`tile_network`."""

    layers: Sequence[StoredLayer]
    config: EieConfig
    activity: Sequence[np.ndarray] | None
    balance: bool

    def tile(self, room: Room, clusters: int | None) -> Tiling:
        """Divide every layer as suits it best.

        Where that leaves too many pointers for one segment, the layers that have most get more
        clusters, as long as this saves a segment.
        """
        best = tiling = self._divide([clusters] * len(self.layers), room)
        while clusters is None and _needs_pointers(tiling, room):
            more = _divide_widest(tiling, room, self.config)
            if more is None:
                break
            try:
                tiling = self._divide(more, room)
            except UserError:
                break
            best = min(best, tiling, key=lambda one: len(one.segments))
        return best

    def _divide(self, clusters: Sequence[int | None], room: Room) -> Tiling:
        """Divide one layer after another: columns stand as the rows of the layer in front."""
        divisions: list[Division] = []
        for number, layer in enumerate(self.layers):
            codes = layer.codes
            live = self.activity[number] if self.activity is not None else None
            if divisions and self.balance and self.layers[number - 1].cell is None:
                order = divisions[-1].order
                codes = _reorder(codes, order)
                live = _reorder(live, order) if live is not None else None
            sparse = Sparse(
                number=number,
                name=layer.name,
                codes=codes,
                activity=live,
                starts=layer.starts,
                host_follows=layer.cell is not None,
            )
            divisions.append(
                divide_layer(
                    sparse, self.config, room, balance=self.balance, clusters=clusters[number]
                )
            )
        segments = gather([division.tiles for division in divisions], room)
        return Tiling(divisions=tuple(divisions), segments=segments)


def _reorder(matrix: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Put the first columns in order; the state h, behind the inputs of an LSTM, stays."""
    columns = np.concatenate([order, np.arange(len(order), matrix.shape[1])])
    return matrix.take(columns, axis=1)


def _needs_pointers(tiling: Tiling, room: Room) -> bool:
    """Whether fewer pointers might save a segment."""
    unlimited = replace(room, columns=sum(division.pointer_words for division in tiling.divisions))
    fewest = gather([division.tiles for division in tiling.divisions], unlimited)
    return len(fewest) < len(tiling.segments)


def _divide_widest(tiling: Tiling, room: Room, config: EieConfig) -> list[int | None] | None:
    """The clusters of every layer, but twice as many for the one with most pointers; None if no
    layer takes more."""
    clusters: list[int | None] = [division.clusters for division in tiling.divisions]
    dividable = [
        (division.pointer_words, -number)
        for number, division in enumerate(tiling.divisions)
        # With too few accumulators it would be cut into more strips, each with pointers of its own.
        if division.clusters < config.clusters
        and 2 * division.strips[0].csc.local_rows <= room.rows
    ]
    if not dividable:
        return None
    widest = -max(dividable)[1]
    clusters[widest] = 2 * tiling.divisions[widest].clusters
    return clusters
