"""Strips and tiles: a layer that is larger than a memory becomes several passes.

A layer is cut into *strips* of outputs; each strip is stored on its own, and cut into tiles of
inputs. The tiles of a strip follow each other and add to the same accumulators; the last one
drains. Tiles begin at multiples of the number of PEs: their first row and column belong to PE 0.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import Csc
from spec.eie.descriptor import Descriptor, cluster_columns
from spec.eie.work import Work, count_work


@dataclass(frozen=True)
class Room:
    """What a segment may take of each memory; the fields are those of the configuration."""

    rows: int
    act_rows: int
    lines: int
    columns: int
    biases: int
    layers: int
    codebooks: int

    @staticmethod
    def of(config: EieConfig) -> "Room":
        """All of it."""
        return Room(**{field.name: getattr(config, field.name) for field in fields(Room)})

    def half(self) -> "Room":
        """Half of what is loaded: another segment can be written into the other half.

        Accumulators and activations belong to the segment at work.
        """
        loaded = ("lines", "columns", "biases", "layers", "codebooks")
        return replace(self, **{name: getattr(self, name) // 2 for name in loaded})


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """All inputs of some outputs of a layer, in stored form.

    Attributes
    ----------
    layer : int
    first_output : int
        Place of its first output among those of the layer.
    order : int64, shape (outputs,)
        Which output of the network's layer stands at each place.
    csc : Csc
        Rows in this order, columns in that of the layer before.
    starts : tuple of int
        First column of each part that has a codebook of its own.
    host_follows : bool
        The host computes on the layer's outputs before the next layer takes them.
    """

    config: EieConfig
    layer: int
    first_output: int
    order: np.ndarray
    csc: Csc
    starts: tuple[int, ...] = (0,)
    host_follows: bool = False

    @property
    def outputs(self) -> int:
        return self.csc.rows

    @property
    def split(self) -> int:
        """How often the array is halved into clusters."""
        return self.csc.clusters.bit_length() - 1

    @property
    def act_rows(self) -> int:
        """Rows of activations that its outputs take."""
        return -(-self.outputs // self.config.pes)

    @property
    def per_line(self) -> int:
        return self.config.entries_per_line(self.csc.run_bits)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """Some inputs of a strip: what one pass works on. Its matrix begins at a fresh line."""

    strip: Strip
    first_input: int
    inputs: int

    @property
    def layer(self) -> int:
        return self.strip.layer

    @property
    def part(self) -> int:
        """Which codebook it is decoded with."""
        return int(np.searchsorted(self.strip.starts, self.first_input, "right")) - 1

    @property
    def drains(self) -> bool:
        return self.first_input + self.inputs == self.strip.csc.columns

    @cached_property
    def csc(self) -> Csc:
        """Its part of the strip, in stored form."""
        strip = self.strip.csc
        if self.inputs == strip.columns:
            return strip
        first = self.first_input // strip.pes * strip.cluster_pes
        width = cluster_columns(self.strip.config, self.inputs, self.strip.split)
        pointers = strip.pointers[:, first : first + width + 1]
        spans = strip.first[:-1, None] + pointers[:, [0, -1]]
        kept = np.concatenate([np.arange(*span) for span in spans])
        return replace(
            strip,
            columns=self.inputs,
            code=strip.code[kept],
            run=strip.run[kept],
            pointers=pointers - pointers[:, :1],
        )

    @cached_property
    def work(self) -> Work:
        """What its columns cost."""
        config = self.strip.config
        return count_work(self.csc, self.strip.per_line, share_pads=config.share_pads)

    @property
    def lines(self) -> np.ndarray:
        """Lines that it takes in each PE."""
        return -(-self.csc.pointers[:, -1] // self.strip.per_line)

    @property
    def pointer_words(self) -> int:
        """Words that it takes of the pointer memory."""
        return self.csc.local_columns + 1

    @property
    def bias_words(self) -> int:
        """Words that it takes of the bias memory, and rows of activations that it writes."""
        return self.strip.act_rows if self.drains else 0

    @property
    def descriptor(self) -> Descriptor:
        """Its pass, as far as that does not depend on where it stands and what it requantizes."""
        config, strip = self.strip.config, self.strip
        return Descriptor(
            pointer_base=0,
            split=strip.split,
            widen=strip.csc.run_bits - config.run_bits,
            columns=self.inputs,
            input_rows=-(-self.inputs // config.pes),
            input_base=0,
            rows=strip.csc.local_rows,
            output_base=0,
            bias_base=0,
            codebook=0,
            multiplier=0,
            shift=0,
            relu=False,
            drain=self.drains,
            swap=False,
        )


class TooSmallError(Exception):
    """A memory does not hold the smallest tile of a strip; says which, and what it takes."""


class TooDenseError(TooSmallError):
    """The narrowest tile of a strip overfills the matrix memory of a PE; a lower strip may not."""


def cut_strip(strip: Strip, room: Room) -> list[Tile]:
    """Cut a strip, each tile as wide as pointers, activations, lines and codebooks allow."""
    csc, pes = strip.csc, strip.csc.pes
    # Tiles begin and end where rows of activations do.
    inputs = np.append(np.arange(0, csc.columns, pes), csc.columns)
    columns = np.append(np.arange(len(inputs) - 1) * csc.cluster_pes, csc.local_columns)
    entries = csc.pointers[:, columns]
    tiles, at = [], 0
    while at < len(inputs) - 1:
        widest = int(np.searchsorted(columns, columns[at] + room.columns - 1, "right")) - 1
        if widest == at:
            raise TooSmallError(
                f"{columns[at + 1] - columns[at]} columns, the fewest in a tile on {pes} PEs "
                f"in {csc.clusters} cluster(s), need a pointer each and one more, "
                f"the pointer memory holds {room.columns} (columns)"
            )
        part_end = next((start // pes for start in strip.starts if start > inputs[at]), len(inputs))
        widest = min(widest, at + room.act_rows, part_end)
        filled = (entries[:, at : widest + 1] - entries[:, at : at + 1]).max(axis=0)
        most = room.lines * strip.per_line
        end = at + int(np.searchsorted(filled, most, "right")) - 1
        if end == at:
            pe = int(np.argmax(entries[:, at + 1] - entries[:, at]))
            raise TooDenseError(
                f"columns {inputs[at]}...{inputs[at + 1] - 1} of outputs {strip.first_output}..."
                f"{strip.first_output + strip.outputs - 1} take {-(-filled[1] // strip.per_line)} "
                f"lines of {strip.per_line} entries in PE {pe}, "
                f"its matrix memory holds {room.lines} (lines)"
            )
        first = int(inputs[at])
        tiles.append(Tile(strip=strip, first_input=first, inputs=int(inputs[end]) - first))
        at = end
    return tiles
