"""A run: what control looks at before it works through one layer, for one number of tokens."""

from dataclasses import dataclass

from spec.config import bits_for
from spec.errors import UserError
from spec.fields import pack, unpack, words_for
from spec.nm.config import NmConfig

COUNT_BITS = 16
"""Width of the counts of strips and tiles."""


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """One layer over a batch: ``Y = W X``.

    Attributes
    ----------
    mode : int
        Number of the pattern in ``config.modes``.
    gather : bool
        Strips come with offsets, and lines are gathered.
    relu : bool
        Clip negative results.
    strips : int
        ``ceil(outputs / rows)``, times ``parts``: each part is loaded as a strip of its own.
    input_lines : int
        Lines of a tile, ``ceil(inputs / line_inputs)``.
    tiles : int
        ``ceil(tokens / columns)``.
    block_tiles : int
        Tiles that are in a bank at once; the last block has what is left.
    ahead_lines : int
        Lines of the next block that are loaded behind every strip but a block's first.
    parts : int
        Parts of a strip: 1, or more where a bank does not hold all of its steps. Then a block is
        one tile, whose accumulators keep their sums from part to part.
    """

    mode: int
    gather: bool
    relu: bool
    strips: int
    input_lines: int
    tiles: int
    block_tiles: int
    ahead_lines: int
    parts: int = 1

    @property
    def blocks(self) -> int:
        return -(-self.tiles // self.block_tiles)

    def tiles_of(self, block: int) -> int:
        """Tiles of a block."""
        return min(self.block_tiles, self.tiles - block * self.block_tiles)

    def pack(self, config: NmConfig) -> list[int]:
        """The descriptor as words of the host's streams."""
        return pack(descriptor_fields(config), self)

    @staticmethod
    def unpack(words: list[int], config: NmConfig) -> "Descriptor":
        """The inverse of :meth:`pack`."""
        return unpack(Descriptor, descriptor_fields(config), words)


def descriptor_fields(config: NmConfig) -> dict[str, int]:
    """Name and width in bits of each field, lowest bits first; the hardware's layout is made from
    this."""
    return {
        "mode": bits_for(len(config.modes) - 1),
        "gather": 1,
        "relu": 1,
        "strips": COUNT_BITS,
        "input_lines": bits_for(config.act_lines),
        "tiles": COUNT_BITS,
        "block_tiles": bits_for(config.act_lines),
        "ahead_lines": bits_for(config.act_lines),
        "parts": bits_for(config.act_lines),
    }


def descriptor_words(config: NmConfig) -> int:
    """I/O words that a descriptor takes (at most two)."""
    return words_for(descriptor_fields(config))


def most_tokens(config: NmConfig) -> int:
    """Tokens that a run can count."""
    return ((1 << COUNT_BITS) - 1) * config.columns


def plan(
    config: NmConfig,
    *,
    mode: int,
    gather: bool,
    relu: bool,
    outputs: int,
    inputs: int,
    tokens: int,
    parts: int = 1,
) -> Descriptor:
    """The descriptor of a layer for some tokens: as few blocks as there is room for, of equal size,
    each loaded evenly behind the strips of the one before.

    Raises
    ------
    UserError
        A size that the array cannot take, even with one tile in a block.
    """
    lines = -(-inputs // config.line_inputs)
    strips, tiles = -(-outputs // config.rows) * parts, -(-tokens // config.columns)
    if lines > config.act_lines:
        raise UserError(
            f"{inputs} inputs are {lines} lines, the activation buffer holds {config.act_lines}: "
            f"at most {config.act_lines * config.line_inputs} inputs, or more act_lines"
        )
    for name, value, most in (
        ("outputs", outputs, ((1 << COUNT_BITS) - 1) // parts * config.rows),
        ("tokens", tokens, most_tokens(config)),
    ):
        if not 1 <= value <= most:
            raise UserError(f"{value} {name}, must be 1 to {most}")
    blocks = -(-tiles // (config.act_lines // lines)) if parts == 1 else tiles
    block_tiles = -(-tiles // blocks)
    behind = max(1, strips - 1)
    ahead = -(-block_tiles * lines // behind) if tiles > block_tiles else 0
    return Descriptor(
        mode=mode,
        gather=gather,
        relu=relu,
        strips=strips,
        input_lines=lines,
        tiles=tiles,
        block_tiles=block_tiles,
        ahead_lines=ahead,
        parts=parts,
    )
