"""One frozen configuration of the EIE engine, its derived widths, and the presets.

No component does width arithmetic of its own: it asks the configuration.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property

from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.errors import UserError

IO_DATA_BITS = 64
"""Width of a data word on the I/O streams; every memory word fits in one."""

DESCRIPTOR_WORD_BITS = 2
"""Address bits for the words of a descriptor, enough for the largest one of any configuration."""


def bits_for(largest: int) -> int:
    """Bits of an unsigned field that holds 0...``largest`` (at least one bit)."""
    return max(1, largest.bit_length())


@dataclass(frozen=True, kw_only=True)
class EieConfig:
    """Every parameter of an EIE array. Capacities are per PE.

    Attributes
    ----------
    pes : int
        Processing elements, 1...256. Row i, output i and activation i live in PE ``i % pes``.
    act_bits, weight_bits : int
        Widths of a signed activation and of a signed codebook value.
    acc_bits : int
        Width of a signed accumulator and of a bias.
    multiplier_bits, shift_bits : int
        Widths of the unsigned requantization multiplier and shift.
    code_bits, run_bits : int
        An entry is a codebook index and the number of zeros before it.
    line_bits : int
        Width of one word of the sparse matrix memory.
    rows : int
        Accumulators: rows of a layer (or tile) that one PE holds at once.
    act_rows : int
        Activations in each of the two halves (source, destination) of the activation store.
    entries : int
        Entries in the sparse matrix memory.
    columns : int
        Words in the pointer memory; a layer of n columns takes n + 1.
    biases : int
        Words in the bias memory.
    layers : int
        Passes that the descriptor table (and the counter memory) holds.
    codebooks : int
        Codebooks that the weight decoder holds.
    queue_depth : int
        Places in the activation queue.
    queue_spare : bool
        The queue is a ring that keeps one place empty to tell full from empty, as in the published
        machine: a depth of 8 then holds 7.
    ahead_depth : int
        Columns that pointer read may hold ready for matrix read beyond the one that it looks at;
        empty columns are dropped in front of these. 0 is the published machine: matrix read takes
        from pointer read itself.
    scan_ahead : bool
        Non-zero detection leaves a row of activations together with its last non-zero. Without it,
        as in the published machine, an exhausted row costs a cycle of its own (unless its last PE
        held a non-zero).
    counter_bits : int
        Width of a performance counter.
    """

    pes: int = 64
    act_bits: int = 16
    weight_bits: int = 16
    acc_bits: int = 40
    multiplier_bits: int = 16
    shift_bits: int = 6
    code_bits: int = 4
    run_bits: int = 4
    line_bits: int = 64
    rows: int = 256
    act_rows: int = 512
    entries: int = 131072
    columns: int = 16384
    biases: int = 1024
    layers: int = 16
    codebooks: int = 16
    queue_depth: int = 16
    queue_spare: bool = False
    ahead_depth: int = 4
    scan_ahead: bool = True
    counter_bits: int = 32

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise UserError(
                    f"EIE configuration: {name} = {value!r}, "
                    f"must be an integer from {low} to {high}"
                )
        for name in ("queue_spare", "scan_ahead"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(
                    f"EIE configuration: {name} = {getattr(self, name)!r}, must be true or false"
                )
        self._check_together()

    def _check_together(self) -> None:
        if self.entry_bits > self.line_bits:
            raise UserError(
                f"EIE configuration: an entry of {self.code_bits} + {self.run_bits} bits "
                f"does not fit in a line of {self.line_bits} bits"
            )
        if self.acc_bits + self.multiplier_bits > 62:
            raise UserError(
                "EIE configuration: acc_bits + multiplier_bits = "
                f"{self.acc_bits} + {self.multiplier_bits}, "
                "must be at most 62 so that a requantization product fits in 64 bits"
            )
        if self.acc_bits < self.act_bits + self.weight_bits:
            raise UserError(
                f"EIE configuration: acc_bits = {self.acc_bits}, must hold one product of "
                f"{self.act_bits} + {self.weight_bits} bits"
            )
        if self.queue_places < 1:
            raise UserError(
                "EIE configuration: a queue of depth 1 with a spare place holds nothing"
            )

    # Derived counts

    @property
    def queue_places(self) -> int:
        """Activations that the queue of a PE really holds."""
        return self.queue_depth - self.queue_spare

    @property
    def entry_bits(self) -> int:
        return self.code_bits + self.run_bits

    @property
    def entries_per_line(self) -> int:
        """Entries in a line: a power of two, so that a pointer's low bits pick one."""
        return 1 << ((self.line_bits // self.entry_bits).bit_length() - 1)

    @property
    def lines(self) -> int:
        return -(-self.entries // self.entries_per_line)

    @property
    def longest_run(self) -> int:
        """Most zeros that one entry can skip; a pad skips these and its own row."""
        return (1 << self.run_bits) - 1

    @property
    def codes(self) -> int:
        """Values in a codebook; the first is zero."""
        return 1 << self.code_bits

    @property
    def acts(self) -> int:
        """Activations that one half of the whole array's store holds."""
        return self.pes * self.act_rows

    @property
    def bank_columns(self) -> int:
        """Words in each of the two pointer banks."""
        return -(-self.columns // 2)

    @property
    def shift_max(self) -> int:
        return (1 << self.shift_bits) - 1

    # Derived widths

    @property
    def pe_bits(self) -> int:
        return bits_for(self.pes - 1)

    @property
    def pointer_bits(self) -> int:
        """Width of a pointer, which may also point behind the last entry."""
        return bits_for(self.entries)

    @property
    def slot_bits(self) -> int:
        """Low bits of a pointer, which pick an entry within its line (0 when a line is one
        entry)."""
        return self.entries_per_line.bit_length() - 1

    @property
    def line_address_bits(self) -> int:
        return bits_for(self.lines - 1)

    @property
    def pointer_address_bits(self) -> int:
        return bits_for(self.columns - 1)

    @property
    def act_index_bits(self) -> int:
        """Width of an activation's index in a layer (a column)."""
        return bits_for(self.acts - 1)

    @property
    def act_row_bits(self) -> int:
        return bits_for(self.act_rows - 1)

    @property
    def row_bits(self) -> int:
        return bits_for(self.rows - 1)

    @property
    def bias_address_bits(self) -> int:
        return bits_for(self.biases - 1)

    @property
    def codebook_bits(self) -> int:
        return bits_for(self.codebooks - 1)

    @property
    def layer_bits(self) -> int:
        return bits_for(self.layers - 1)

    @property
    def io_address_bits(self) -> int:
        """Width of a word address on the I/O streams: the largest memory decides."""
        return max(
            self.pointer_address_bits,
            self.line_address_bits,
            self.act_row_bits + 1,
            self.bias_address_bits,
            self.codebook_bits + self.code_bits,
            self.layer_bits + bits_for(max(len(PE_COUNTERS), len(ARRAY_COUNTERS)) - 1),
            self.layer_bits + DESCRIPTOR_WORD_BITS,
        )

    # Identity

    def to_json(self) -> dict[str, int | bool]:
        return asdict(self)

    @staticmethod
    def from_json(values: dict) -> "EieConfig":
        """Rebuild a configuration; unknown or missing fields raise :class:`UserError`."""
        known = {field.name for field in fields(EieConfig)}
        if set(values) != known:
            odd = sorted(set(values) ^ known)
            raise UserError(f"EIE configuration: unknown or missing fields {', '.join(odd)}")
        return EieConfig(**values)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that name this configuration; images and bitstreams carry it."""
        text = json.dumps(["eie", self.to_json()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_RANGES = {
    "pes": (1, 256),
    "act_bits": (2, 32),
    "weight_bits": (2, 32),
    "acc_bits": (4, 60),
    "multiplier_bits": (1, 32),
    "shift_bits": (1, 6),
    "code_bits": (1, 8),
    "run_bits": (1, 8),
    "line_bits": (2, IO_DATA_BITS),
    "rows": (1, 65536),
    "act_rows": (1, 65536),
    "entries": (1, 1 << 24),
    "columns": (2, 1 << 20),
    "biases": (1, 65536),
    "layers": (1, 256),
    "codebooks": (1, 256),
    "queue_depth": (1, 256),
    "ahead_depth": (0, 64),
    "counter_bits": (8, IO_DATA_BITS),
}

_DEFAULT = EieConfig()

PRESETS: dict[str, EieConfig] = {
    "default": _DEFAULT,
    # The published machine: 64 PEs, 128 KB of 64-bit lines, 32 KB of pointers and 2 KB of
    # activations each. Its pointers of 16 bits reach only half of its own lines; ours are as wide
    # as the memory needs.
    "isca16": replace(_DEFAULT, queue_depth=8, queue_spare=True, ahead_depth=0, scan_ahead=False),
    # Small enough to read every signal of a waveform.
    "tiny": replace(
        _DEFAULT,
        pes=4,
        line_bits=32,
        rows=8,
        act_rows=16,
        entries=512,
        columns=128,
        biases=32,
        layers=4,
        codebooks=4,
        queue_depth=4,
        ahead_depth=2,
    ),
}


def preset(name: str, /, **changes: int | bool) -> EieConfig:
    """The preset ``name`` with some fields changed; unknown names raise :class:`UserError`."""
    if name not in PRESETS:
        raise UserError(f"preset {name!r} does not exist; there are {', '.join(PRESETS)}")
    known = {field.name for field in fields(EieConfig)}
    for field in changes:
        if field not in known:
            raise UserError(
                f"EIE configuration has no field {field!r}; there are {', '.join(sorted(known))}"
            )
    return replace(PRESETS[name], **changes)
