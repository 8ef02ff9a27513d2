"""Division: how many clusters, and what width of runs, a layer is stored for.

More clusters broadcast more columns at once, to fewer PEs each, and need fewer pointers; but each
keeps sums for more rows, which are added up at drain. The cycle model decides, layer by layer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import Csc, encode, locate
from spec.eie.cycles import count_pass
from spec.errors import UserError
from sw.compile.eie.balance import balance_rows, count_live, pe_loads, row_work
from sw.compile.eie.gather import gather
from sw.compile.eie.strip import Room, Strip, Tile, TooDenseError, TooSmallError, cut_strip

TIMES = 2
"""Most times that a layer is run to predict its cycles, each with an image in every lane."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse:
    """A layer as it is divided.

    Attributes
    ----------
    number : int
        Of the layer in the network.
    name : str
    codes : unsigned integers, shape (outputs, inputs)
        Columns in the order of the layer before.
    activity : bool, shape (samples, inputs), or None
        Which inputs were not zero in calibration; in the same order.
    starts, host_follows
        See :class:`sw.compile.eie.strip.Strip`.
    """

    number: int
    name: str
    codes: np.ndarray
    activity: np.ndarray | None
    starts: tuple[int, ...] = (0,)
    host_follows: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Division:
    """A layer, divided.

    Attributes
    ----------
    tiles : tuple of Tile
        In order of execution.
    work_before, work_after : float
        Work of the PE that has most, as a multiple of the mean: in the plain interleave, and as the
        rows stand now. Strips, which follow each other, are added up.
    """

    tiles: tuple[Tile, ...]
    work_before: float
    work_after: float

    @property
    def strips(self) -> tuple[Strip, ...]:
        return tuple(tile.strip for tile in self.tiles if tile.drains)

    @property
    def clusters(self) -> int:
        return self.tiles[0].csc.clusters

    @property
    def run_bits(self) -> int:
        return self.tiles[0].csc.run_bits

    @property
    def pointer_words(self) -> int:
        """Words of the pointer memory that all tiles take."""
        return sum(tile.pointer_words for tile in self.tiles)

    @property
    def order(self) -> np.ndarray:
        """Which output stands at each place. int64, shape (outputs,)."""
        return np.concatenate([strip.order for strip in self.strips])


def check_clusters(clusters: int | None, config: EieConfig) -> None:
    """Refuse a number of clusters that the array does not divide into."""
    if clusters is None:
        return
    whole = isinstance(clusters, int) and not isinstance(clusters, bool)
    if not whole or clusters < 1 or clusters.bit_count() != 1 or clusters > config.clusters:
        allowed = ", ".join(str(1 << split) for split in range(config.splits + 1))
        raise UserError(
            f"clusters = {clusters!r}: {config.pes} PEs divide into {allowed} "
            f"(clusters = {config.clusters} in the configuration)"
        )


def divide_layer(
    layer: Sparse,
    config: EieConfig,
    room: Room,
    *,
    balance: bool = True,
    clusters: int | None = None,
) -> Division:
    """Try every number of clusters, or the one given; take the fewest segments, then cycles.

    Raises
    ------
    UserError
        If the layer cannot be tiled in any of these ways.
    """
    splits = [split for split in range(config.splits + 1) if room.rows >> split]
    if clusters is not None:
        splits = [clusters.bit_length() - 1]
    live = count_live(layer.activity, layer.codes.shape[1])
    work = row_work(layer.codes, live, config.pes, config.clusters)
    divisions, reason = [], None
    for split in splits:
        try:
            divisions.append(_divide(layer, config, room, split, work, balance=balance))
        except TooSmallError as small:
            reason = small
    if not divisions:
        raise UserError(f"layer {layer.name} cannot be tiled: {reason}")
    return _choose(divisions, room, _sample_live(layer, config))


def _choose(divisions: Sequence[Division], room: Room, live: np.ndarray) -> Division:
    """The division that takes the fewest segments, and of these the fewest cycles."""
    segments = [len(gather([division.tiles], room)) for division in divisions]
    small = [
        division
        for division, count in zip(divisions, segments, strict=True)
        if count == min(segments)
    ]
    if len(small) == 1:
        return small[0]
    return min(small, key=lambda division: predict_cycles(division.tiles, live))


def predict_cycles(tiles: Iterable[Tile], live: np.ndarray) -> int:
    """Cycles of all passes over a layer, loading not counted; ``live`` as for ``count_pass``."""
    total, before = 0, 0
    for tile in tiles:
        part = live[:, tile.first_input : tile.first_input + tile.inputs]
        counts = count_pass(tile.strip.config, tile.descriptor, part, tile.work, before)
        before = counts.from_first_row
        total += int(counts.of("cycles").sum())
    return total


def _sample_live(layer: Sparse, config: EieConfig) -> np.ndarray:
    """In how many lanes each input lives, in a few samples; in all, if none are known."""
    lanes, activity = config.lanes, layer.activity
    if activity is None:
        return np.full((1, layer.codes.shape[1]), lanes)
    times = min(TIMES, -(-len(activity) // lanes))
    picked = np.arange(times * lanes) * len(activity) // (times * lanes)
    return activity[picked].reshape(times, lanes, -1).sum(axis=1)


def _divide(
    layer: Sparse, config: EieConfig, room: Room, split: int, work: np.ndarray, *, balance: bool
) -> Division:
    """Cut a layer into as few tiles as fit one by one, for one number of clusters."""
    # The work of neighbouring clusters adds up where they are one.
    work = work.reshape(len(work), 1 << split, -1).sum(axis=2)
    pes = config.cluster_pes(split)
    rows = -(-len(work) // config.pes)
    most = min(room.rows >> split, room.act_rows, room.biases)
    if most == 0:
        raise TooSmallError(
            f"{1 << split} clusters take as many accumulators in every PE, "
            f"which has {room.rows} (rows)"
        )
    strips = -(-rows // most)
    while True:
        height = -(-rows // strips)
        orders = _order_rows(work, pes, height * config.pes, balance=balance)
        stored = _store(layer, config, split, orders)
        try:
            tiles = tuple(tile for strip in stored for tile in cut_strip(strip, room))
        except TooDenseError:
            if height == 1:
                raise
            strips = -(-rows // (height // 2))
            continue
        plain = [np.sort(order) for order in orders]
        before, after = (_most_work(work, one, pes) for one in (plain, orders))
        return Division(tiles=tiles, work_before=before, work_after=after)


def _order_rows(work: np.ndarray, pes: int, height: int, *, balance: bool) -> list[np.ndarray]:
    """The outputs of each strip, in order of their places."""
    orders = []
    for first in range(0, len(work), height):
        part = work[first : first + height]
        order = balance_rows(part, pes) if balance else np.arange(len(part))
        orders.append(first + order)
    return orders


def _most_work(work: np.ndarray, orders: Sequence[np.ndarray], pes: int) -> float:
    """Largest loads of all strips, as a multiple of their means."""
    loads = [pe_loads(work, order, pes) for order in orders]
    mean = sum(float(load.mean()) for load in loads)
    return sum(float(load.max()) for load in loads) / mean if mean else 1.0


def _store(
    layer: Sparse, config: EieConfig, split: int, orders: Sequence[np.ndarray]
) -> list[Strip]:
    """Encode all strips, with the width of runs that takes the fewest bits."""

    def encoded(run_bits: int) -> list[Csc]:
        return [encode(layer.codes[order], config.pes, run_bits, 1 << split) for order in orders]

    stored = encoded(config.run_bits_most)
    run_bits = _choose_run_bits(stored, config)
    if run_bits != config.run_bits_most:
        stored = encoded(run_bits)
    firsts = np.cumsum([0, *(len(order) for order in orders)])
    return [
        Strip(
            config=config,
            layer=layer.number,
            first_output=int(first),
            order=order,
            csc=csc,
            starts=layer.starts,
            host_follows=layer.host_follows,
        )
        for first, order, csc in zip(firsts, orders, stored, strict=False)
    ]


def _choose_run_bits(stored: Sequence[Csc], config: EieConfig) -> int:
    """The width that stores a layer in the fewest bits; the narrower of equals."""
    widths = range(config.run_bits, config.run_bits_most + 1)
    if len(widths) == 1:
        return config.run_bits
    entries = np.sum([_count_entries(csc, widths) for csc in stored], axis=0)
    return widths[int(np.argmin(entries * (config.code_bits + np.array(widths))))]


def _count_entries(csc: Csc, widths: Iterable[int]) -> list[int]:
    """Entries of a matrix, pads included, for other widths of runs than its own."""
    where, kept = locate(csc), ~csc.pads
    row = where.local_row[kept]
    cell = (where.pe * csc.local_columns + where.column)[kept]
    begins = np.diff(cell, prepend=-1) > 0
    gaps = np.where(begins, row, np.diff(row, prepend=0) - 1)
    return [len(gaps) + int((gaps >> bits).sum()) for bits in widths]
