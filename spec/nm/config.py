"""One frozen configuration of the N:M engine, its modes, its derived widths, and the presets.

Words: a *strip* is ``rows`` outputs that are computed together, a *tile* is ``columns`` batch
columns (tokens), a *step* is what the array takes in one cycle, a *line* is the activations of
``line_inputs`` neighbouring inputs of a tile. A *block* is the tiles that one bank of the
activation buffer holds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from spec.config import IO_DATA_BITS, Config, bits_for, find_preset
from spec.errors import UserError

HEADER_BITS = 16
"""Low bits of a strip's header, which hold its steps."""

BANKS = 2
"""Banks of every buffer: one is computed from while the other is loaded."""


def slot_for(bits: int) -> int:
    """The power of two of at least ``bits``: room that a field takes in a word of a stream."""
    return 1 << (bits - 1).bit_length()


@dataclass(frozen=True, order=True)
class Mode:
    """A pattern: of ``m`` consecutive inputs of a row at most ``n`` weights. Dense is 1:1."""

    n: int
    m: int

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"

    @property
    def place_bits(self) -> int:
        """Bits of a place; 0 in a dense row."""
        return (self.m - 1).bit_length()

    @staticmethod
    def parse(text: str) -> "Mode":
        """A mode from ``"2:4"`` or ``"dense"``."""
        found = re.fullmatch(r"([0-9]{1,3}):([0-9]{1,3})", "1:1" if text == "dense" else text)
        if not found:
            raise UserError(f"pattern {text!r} must be N:M, such as 2:4, or dense")
        return Mode(int(found[1]), int(found[2]))


DENSE = Mode(1, 1)


_POWERS = ("rows", "columns", "n", "m", "groups", "load_bits")


@dataclass(frozen=True, kw_only=True)
class NmConfig(Config):
    """Every parameter of an N:M array. Numbers of units and of things beside each other are powers
    of two.

    Attributes
    ----------
    rows, columns : int
        MAC units: outputs and batch columns that are computed at once.
    n, m : int
        The sparsest and widest group that the array is built for: at most ``n`` weights of ``m``
        inputs. ``m = 1`` is an array for dense matrices only.
    groups : int
        Such groups that a MAC unit takes in a cycle: it has ``n * groups`` multipliers.
    weight_bits, act_bits : int
        Widths of a signed weight and of a signed activation.
    acc_bits : int
        Width of a signed accumulator and of a bias.
    multiplier_bits, shift_bits : int
        Widths of the unsigned requantization multiplier and shift of a row.
    weight_steps : int
        Steps of a strip that one bank of the weight buffer holds.
    act_lines : int
        Lines that one bank of the activation buffer holds.
    gather_lines : int
        Lines of kept inputs of a strip that one bank of the gather stage holds; 0 leaves out the
        gather stage.
    load_bits : int
        Width of a word of the load stream: 64, 128, 256 or 512.
    pipeline : bool
        For a fast clock a register more behind the activation and the weight buffer, in front of
        every column, two in front of every multiplier, two behind it, and two in every requantizer
        (:mod:`spec.nm.cycles`).
    logic_multipliers : int
        Multipliers of each MAC unit that are made of logic, where a part has too few others, or
        none nearby. No bit and no cycle depends on it.
    counter_bits : int
        Width of a performance counter.
    """

    engine = "nm"
    title = "N:M configuration"

    rows: int = 16
    columns: int = 8
    n: int = 2
    m: int = 4
    groups: int = 1
    weight_bits: int = 8
    act_bits: int = 8
    acc_bits: int = 32
    multiplier_bits: int = 16
    shift_bits: int = 6
    weight_steps: int = 2048
    act_lines: int = 3072
    gather_lines: int = 512
    load_bits: int = 256
    pipeline: bool = False
    logic_multipliers: int = 0
    counter_bits: int = 32

    added: ClassVar[Mapping[str, int | bool]] = {"pipeline": False, "logic_multipliers": 0}

    ranges: ClassVar[Mapping[str, tuple[int, int]]] = {
        "rows": (1, 256),
        "columns": (1, 256),
        "n": (1, 16),
        "m": (1, 16),
        "groups": (1, 16),
        "weight_bits": (2, 8),
        "act_bits": (2, 16),
        "acc_bits": (4, 48),
        "multiplier_bits": (1, 32),
        "shift_bits": (1, 6),
        "weight_steps": (1, (1 << HEADER_BITS) - 1),
        "act_lines": (1, 1 << 16),
        "gather_lines": (0, 1 << 16),
        "load_bits": (64, 512),
        "logic_multipliers": (0, 256),
        "counter_bits": (8, IO_DATA_BITS),
    }

    def check_together(self) -> None:
        for name in _POWERS:
            if getattr(self, name).bit_count() != 1:
                self.refuse(f"{name} = {getattr(self, name)}, must be a power of two")
        if self.n > self.m:
            self.refuse(f"n = {self.n} of m = {self.m}, n must not be above m")
        if self.logic_multipliers > self.multipliers:
            self.refuse(
                f"logic_multipliers = {self.logic_multipliers}, a MAC unit has only "
                f"{self.multipliers} multipliers"
            )
        row_bits = self.acc_bits + self.multiplier_bits + self.shift_bits
        if row_bits > IO_DATA_BITS:
            self.refuse(
                f"acc_bits + multiplier_bits + shift_bits = {row_bits}, "
                f"the parameters of a row must fit in {IO_DATA_BITS} bits"
            )

    # Modes

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """Patterns that a layer may choose; a descriptor names one by its number here.

        Dense, and every a:b below it for which each MAC unit's multipliers are whole groups of
        ``a``, and the ``m`` activations that a multiplier sees hold a group of ``b``.
        """
        powers = [1 << bit for bit in range(max(self.m, self.multipliers).bit_length())]
        return (
            DENSE,
            *(
                Mode(a, b)
                for b in powers
                for a in powers
                if a < b <= self.m and self.multipliers % a == 0
            ),
        )

    def mode_number(self, mode: Mode) -> int:
        """Number of a mode in :attr:`modes`.

        Raises
        ------
        UserError
            The array has no such mode.
        """
        if mode not in self.modes:
            raise UserError(
                f"pattern {mode} is none of this array's: {', '.join(map(str, self.modes))}"
            )
        return self.modes.index(mode)

    def step_inputs(self, mode: Mode) -> int:
        """Inputs that a step takes: a group for every ``mode.n`` multipliers of a unit."""
        return self.multipliers // mode.n * mode.m

    def phases(self, mode: Mode) -> int:
        """Steps that one line lasts for."""
        return self.line_inputs // self.step_inputs(mode)

    # Derived counts

    @property
    def multipliers(self) -> int:
        """Multipliers of a MAC unit."""
        return self.n * self.groups

    @property
    def dedicated_multipliers(self) -> int:
        """Multipliers of all MAC units that are not made of logic."""
        return self.rows * self.columns * (self.multipliers - self.logic_multipliers)

    @property
    def slots(self) -> int:
        """Multipliers of the array: weights that it can use up in a cycle, times columns."""
        return self.rows * self.columns * self.multipliers

    @property
    def step_weights(self) -> int:
        """Weights (and places) of a step."""
        return self.rows * self.multipliers

    @property
    def line_inputs(self) -> int:
        """Inputs of a line, which are the banks that gather addresses one by one: what a step of
        the sparsest mode takes, and no less than a word of the load stream."""
        return max(self.multipliers * self.m, self.load_bits // self.lane_bits)

    # Derived widths

    @property
    def weight_slot_bits(self) -> int:
        """Room of a weight in a word."""
        return slot_for(self.weight_bits)

    @property
    def act_slot_bits(self) -> int:
        """Room of an activation in a word."""
        return slot_for(self.act_bits)

    @property
    def lane_bits(self) -> int:
        """Width of one input of a line: its activation of every column. Also of a result word."""
        return self.columns * self.act_slot_bits

    @property
    def line_bits(self) -> int:
        """Width of a line of the activation buffer."""
        return self.line_inputs * self.lane_bits

    @property
    def place_bits(self) -> int:
        """Width of a place in the widest mode: as many planes of places are in the weight
        buffer."""
        return (self.m - 1).bit_length()

    @property
    def offset_bits(self) -> int:
        """Width of an offset, in lines."""
        return bits_for(self.act_lines - 1)

    @property
    def offset_slot_bits(self) -> int:
        """Room of an offset in a word."""
        return slot_for(self.offset_bits)

    @property
    def limbs(self) -> int:
        """64-bit parts of a word of the load stream, as the image holds it."""
        return self.load_bits // 64

    @property
    def result_limbs(self) -> int:
        """64-bit parts of a word of the result stream."""
        return -(-self.lane_bits // 64)


_DEFAULT = NmConfig()

PRESETS: dict[str, NmConfig] = {
    # 256 multipliers. A word of 32 bytes per cycle hides loading even for tiles of 64 x 64 x 64;
    # 3072 lines are 64 tokens of 3072 inputs, or 256 of 768.
    "default": _DEFAULT,
    # For an LFE5U-85F: 128 multipliers and 8 requantizers of two each, of its 156; 176 of its 208
    # block RAMs. 2048 lines are 40 tokens of 3072 inputs.
    "ecp5": replace(_DEFAULT, rows=8, act_lines=2048, load_bits=128),
    # As many multipliers for a fast clock, half of them out of logic: an 85F's own stand in rows,
    # and of 128 some are half a part away from their column. Buffers leave room around them, and
    # scales are powers of two, so that requantizing takes no multipliers. 512 lines are 8 tokens of
    # 4096 inputs, or 40 of 784.
    "fpga128": replace(
        _DEFAULT,
        rows=8,
        acc_bits=24,
        multiplier_bits=1,
        weight_steps=1024,
        act_lines=512,
        gather_lines=64,
        load_bits=128,
        pipeline=True,
        logic_multipliers=1,
        counter_bits=24,
    ),
    # Small enough to read every signal of a waveform.
    "tiny": replace(
        _DEFAULT,
        rows=4,
        columns=2,
        weight_steps=16,
        act_lines=32,
        gather_lines=16,
        load_bits=64,
    ),
}


def preset(name: str, /, **changes: int) -> NmConfig:
    """The preset ``name`` with some fields changed; unknown names raise :class:`UserError`."""
    return replace(find_preset(PRESETS, name, changes), **changes)
