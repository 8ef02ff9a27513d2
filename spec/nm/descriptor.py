"""A run: what control looks at before it works through one layer, for one number of tokens."""

from dataclasses import dataclass, fields

from spec.errors import UserError
from spec.nm.config import IO_DATA_BITS, NmConfig, bits_for

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
        ``ceil(outputs / rows)``.
    input_lines : int
        Lines of a tile, ``ceil(inputs / line_inputs)``.
    tiles : int
        ``ceil(tokens / columns)``.
    block_tiles : int
        Tiles that are in a bank at once; the last block has what is left.
    ahead_lines : int
        Lines of the next block that are loaded behind every strip but a block's first.
    """

    mode: int
    gather: bool
    relu: bool
    strips: int
    input_lines: int
    tiles: int
    block_tiles: int
    ahead_lines: int

    @property
    def blocks(self) -> int:
        return -(-self.tiles // self.block_tiles)

    def tiles_of(self, block: int) -> int:
        """Tiles of a block."""
        return min(self.block_tiles, self.tiles - block * self.block_tiles)

    def pack(self, config: NmConfig) -> list[int]:
        """The descriptor as :data:`IO_DATA_BITS`-bit words, first field in the lowest bits."""
        value, at = 0, 0
        for name, bits in descriptor_fields(config).items():
            field = int(getattr(self, name))
            if not 0 <= field < 1 << bits:
                raise UserError(f"descriptor: {name} = {field} does not fit in {bits} bits")
            value |= field << at
            at += bits
        mask = (1 << IO_DATA_BITS) - 1
        return [value >> (IO_DATA_BITS * word) & mask for word in range(descriptor_words(config))]

    @staticmethod
    def unpack(words: list[int], config: NmConfig) -> "Descriptor":
        """The inverse of :meth:`pack`."""
        value = sum(int(word) << (IO_DATA_BITS * index) for index, word in enumerate(words))
        values: dict[str, int | bool] = {}
        kinds = {field.name: field.type for field in fields(Descriptor)}
        for name, bits in descriptor_fields(config).items():
            field = value & ((1 << bits) - 1)
            values[name] = bool(field) if kinds[name] is bool else field
            value >>= bits
        return Descriptor(**values)  # type: ignore[arg-type]


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
    }


def descriptor_words(config: NmConfig) -> int:
    """I/O words that a descriptor takes (at most two)."""
    return -(-sum(descriptor_fields(config).values()) // IO_DATA_BITS)


def plan(
    config: NmConfig,
    *,
    mode: int,
    gather: bool,
    relu: bool,
    outputs: int,
    inputs: int,
    tokens: int,
) -> Descriptor:
    """The descriptor of a layer for some tokens: as few blocks as there is room for, of equal size,
    each loaded evenly behind the strips of the one before.

    Raises
    ------
    UserError
        A size that the array cannot take, even with one tile in a block.
    """
    lines = -(-inputs // config.line_inputs)
    strips, tiles = -(-outputs // config.rows), -(-tokens // config.columns)
    if lines > config.act_lines:
        raise UserError(
            f"{inputs} inputs are {lines} lines, the activation buffer holds {config.act_lines}: "
            f"at most {config.act_lines * config.line_inputs} inputs, or more act_lines"
        )
    for name, value, side in (
        ("outputs", outputs, config.rows),
        ("tokens", tokens, config.columns),
    ):
        most = ((1 << COUNT_BITS) - 1) * side
        if not 1 <= value <= most:
            raise UserError(f"{value} {name}, must be 1 to {most}")
    blocks = -(-tiles // (config.act_lines // lines))
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
    )
