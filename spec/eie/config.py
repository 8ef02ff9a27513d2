"""One frozen configuration of the EIE engine, its derived widths, and the presets."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spec.config import IO_DATA_BITS, Config, bits_for, find_preset
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS

LANES = (1, 2, 4, 8)
"""Images that an array may compute at once."""

DESCRIPTOR_WORD_BITS = 2
"""Address bits for the words of a descriptor, enough for the largest one of any configuration."""

PAIRED_WORDS = 1024
"""Pointers that one block RAM with two ports holds (of 18 bits at most, on an ECP5)."""


@dataclass(frozen=True, kw_only=True)
class EieConfig(Config):
    """Every parameter of an EIE array. Capacities are per PE.

    Attributes
    ----------
    pes : int
        Processing elements, 1...256. Output i and activation i live in PE ``i % pes``, and so does
        row i of a matrix, unless the pass has clusters (:mod:`spec.eie.csc`).
    act_bits, weight_bits : int
        Widths of a signed activation and of a signed codebook value.
    acc_bits : int
        Width of a signed accumulator and of a bias.
    multiplier_bits, shift_bits : int
        Widths of the unsigned requantization multiplier and shift.
    lanes : int
        Images that are computed at once: 1, 2, 4 or 8. Every decoded weight feeds one multiplier
        and accumulator per lane.
    clusters : int
        Most clusters that a pass may divide the array into; a power of two that divides ``pes``.
        The PEs that are always together in a cluster are a *sector*.
    code_bits, run_bits : int
        An entry is a codebook index and the number of zeros before it.
    run_bits_most : int
        Each pass chooses its own width of runs, from ``run_bits`` to this.
    share_pads : bool
        A pad shares the cycle of the entry behind it, if both stand in one line; a pad at the end
        of a line that of the entry before it. Without it, as in the published machine, each pad
        takes a cycle.
    line_bits : int
        Width of one word of the sparse matrix memory.
    rows : int
        Accumulators: rows of a layer (or tile) that one PE holds at once.
    act_rows : int
        Activations in each of the two halves (source, destination) of the activation store.
    lines : int
        Words in the sparse matrix memory.
    columns : int
        Words in the pointer memory; a pass of n columns per cluster takes n + 1.
    biases : int
        Words in the bias memory.
    layers : int
        Passes that the descriptor table (and the counter memory) holds.
    codebooks : int
        Codebooks that the weight decoder holds.
    double_buffer : bool
        The host may write memories while the array computes, so that a segment is loaded behind
        the one before it.
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
    scan_pipeline : bool
        Rows of activations are read one row ahead, a column is broadcast from a register, and the
        end of a pass is noticed a cycle later: three cycles more in a pass, for a faster clock.
    pe_registers : bool
        Registers at the ports of every PE, for an array that is as large as a part: wires between
        PEs and what they share have cycles of their own. Needs ``scan_pipeline``, and wants queues
        of seven places or more.
    counter_bits : int
        Width of a performance counter; those of a PE may be narrower (:attr:`tally_bits`).
    """

    engine = "eie"
    title = "EIE configuration"

    pes: int = 64
    act_bits: int = 16
    weight_bits: int = 16
    acc_bits: int = 40
    multiplier_bits: int = 16
    shift_bits: int = 6
    lanes: int = 1
    clusters: int = 4
    code_bits: int = 4
    run_bits: int = 4
    run_bits_most: int = 6
    share_pads: bool = True
    line_bits: int = 64
    rows: int = 256
    act_rows: int = 512
    lines: int = 16384
    columns: int = 16384
    biases: int = 1024
    layers: int = 16
    codebooks: int = 16
    double_buffer: bool = True
    queue_depth: int = 32
    queue_spare: bool = False
    ahead_depth: int = 8
    scan_ahead: bool = True
    scan_pipeline: bool = False
    pe_registers: bool = False
    counter_bits: int = 32

    added: ClassVar[Mapping[str, int | bool]] = {"scan_pipeline": False, "pe_registers": False}

    ranges: ClassVar[Mapping[str, tuple[int, int]]] = {
        "pes": (1, 256),
        "act_bits": (2, 32),
        "weight_bits": (2, 32),
        "acc_bits": (4, 60),
        "multiplier_bits": (1, 32),
        "shift_bits": (1, 6),
        "lanes": (1, 8),
        "clusters": (1, 256),
        "code_bits": (1, 8),
        "run_bits": (1, 8),
        "run_bits_most": (1, 8),
        "line_bits": (2, IO_DATA_BITS),
        "rows": (1, 65536),
        "act_rows": (1, 65536),
        "lines": (1, 1 << 21),
        "columns": (2, 1 << 20),
        "biases": (1, 65536),
        "layers": (1, 256),
        "codebooks": (1, 256),
        "queue_depth": (1, 256),
        "ahead_depth": (0, 64),
        "counter_bits": (8, IO_DATA_BITS),
    }

    def check_together(self) -> None:
        if self.run_bits_most < self.run_bits:
            self.refuse(
                f"run_bits_most = {self.run_bits_most}, must be at least run_bits = {self.run_bits}"
            )
        if self.code_bits + self.run_bits_most > self.line_bits:
            self.refuse(
                f"an entry of {self.code_bits} + {self.run_bits_most} bits "
                f"does not fit in a line of {self.line_bits} bits"
            )
        if self.lanes not in LANES:
            self.refuse(f"lanes = {self.lanes}, must be one of {', '.join(map(str, LANES))}")
        if self.clusters.bit_count() != 1 or self.pes % self.clusters:
            self.refuse(
                f"clusters = {self.clusters}, must be a power of two that divides pes = {self.pes}"
            )
        if self.queue_places < 1:
            self.refuse("a queue of depth 1 with a spare place holds nothing")
        if self.pe_registers and not self.scan_pipeline:
            self.refuse("pe_registers = True needs scan_pipeline = True")

    # Derived counts

    @property
    def queue_places(self) -> int:
        """Activations that the queue of a PE really holds."""
        return self.queue_depth - self.queue_spare

    @property
    def most_entries_per_line(self) -> int:
        """Entries in a line when runs are as narrow as they may be."""
        return self.entries_per_line(self.run_bits)

    def entries_per_line(self, run_bits: int) -> int:
        """Entries with runs of ``run_bits`` in a line; what is left of the line stays zero."""
        return self.line_bits // (self.code_bits + run_bits)

    @property
    def codes(self) -> int:
        """Values in a codebook; the first is zero."""
        return 1 << self.code_bits

    @property
    def acts(self) -> int:
        """Activations that one half of the whole array's store holds."""
        return self.pes * self.act_rows

    @property
    def sector_pes(self) -> int:
        """PEs that every division into clusters keeps together."""
        return self.pes // self.clusters

    @property
    def splits(self) -> int:
        """How often the array can be halved into clusters: log2 of ``clusters``."""
        return self.clusters.bit_length() - 1

    def cluster_pes(self, split: int) -> int:
        """PEs of each cluster when the array is halved ``split`` times."""
        return self.pes >> split

    @property
    def paired_pointers(self) -> bool:
        """Pointers stand in one memory that reads two neighbours at once, and not in two banks:
        they are not written meanwhile, and a block RAM of an FPGA holds them all."""
        return not self.double_buffer and self.columns <= PAIRED_WORDS

    @property
    def bank_columns(self) -> int:
        """Words in each of the two pointer banks, where there are such."""
        return -(-self.columns // 2)

    # Derived widths

    @property
    def pe_bits(self) -> int:
        return bits_for(self.pes - 1)

    @property
    def slot_bits(self) -> int:
        """Low bits of a pointer, which pick an entry within its line."""
        return bits_for(self.most_entries_per_line - 1)

    @property
    def pointer_bits(self) -> int:
        """Width of a pointer (line, slot), which may also point behind the last line."""
        return bits_for(self.lines) + self.slot_bits

    @property
    def pointer_limit(self) -> int:
        """The pointer behind the last line."""
        return self.lines << self.slot_bits

    @property
    def line_address_bits(self) -> int:
        return bits_for(self.lines - 1)

    @property
    def pointer_address_bits(self) -> int:
        return bits_for(self.columns - 1)

    @property
    def act_row_bits(self) -> int:
        return bits_for(self.act_rows - 1)

    @property
    def row_bits(self) -> int:
        return bits_for(self.rows - 1)

    @property
    def lane_bits(self) -> int:
        """Address bits that pick a lane (0 when there is only one)."""
        return self.lanes.bit_length() - 1

    @property
    def bias_address_bits(self) -> int:
        return bits_for(self.biases - 1)

    @property
    def codebook_bits(self) -> int:
        return bits_for(self.codebooks - 1)

    @property
    def tally_bits(self) -> int:
        """Width of a PE's counter: at most ``counter_bits``, and no more than the longest pass
        takes: a full memory of columns that have an entry in every row and wait for one
        another."""
        most = (self.columns * (self.rows + 2) + self.act_rows + 64) * self.lanes
        return min(self.counter_bits, bits_for(most))

    @property
    def element_word_bits(self) -> int:
        """Width of the widest word that the host writes to a PE."""
        words = (self.weight_bits, self.acc_bits, self.pointer_bits, self.line_bits, self.act_bits)
        return max(words)

    @property
    def element_answer_bits(self) -> int:
        """Width of the widest word that the host reads from a PE."""
        return max(self.act_bits, self.tally_bits)

    @property
    def layer_bits(self) -> int:
        return bits_for(self.layers - 1)

    @property
    def io_address_bits(self) -> int:
        """Width of a word address on the I/O streams: the largest memory decides."""
        return max(
            self.pointer_address_bits,
            self.line_address_bits,
            self.act_row_bits + 1 + self.lane_bits,
            self.bias_address_bits,
            self.codebook_bits + self.code_bits,
            self.layer_bits + bits_for(max(len(PE_COUNTERS), len(ARRAY_COUNTERS)) - 1),
            self.layer_bits + DESCRIPTOR_WORD_BITS,
        )


_DEFAULT = EieConfig()

_FPGA = replace(
    _DEFAULT,
    act_bits=8,
    weight_bits=8,
    acc_bits=24,
    multiplier_bits=1,
    shift_bits=5,
    clusters=1,
    run_bits=5,
    run_bits_most=5,
    share_pads=False,
    line_bits=36,
    rows=32,
    act_rows=16,
    lines=1024,
    columns=1024,
    biases=16,
    layers=4,
    codebooks=4,
    double_buffer=False,
    queue_depth=16,
    ahead_depth=2,
    scan_pipeline=True,
    pe_registers=True,
    counter_bits=24,
)

PRESETS: dict[str, EieConfig] = {
    "default": _DEFAULT,
    # The published machine: 64 PEs, 128 KB of 64-bit lines, 32 KB of pointers and 2 KB of
    # activations each. Its pointers of 16 bits reach only half of its own lines; ours are as wide
    # as the memory needs.
    "isca16": replace(
        _DEFAULT,
        clusters=1,
        run_bits_most=4,
        share_pads=False,
        double_buffer=False,
        queue_depth=8,
        queue_spare=True,
        ahead_depth=0,
        scan_ahead=False,
    ),
    # 64 PEs on an LFE5U-85F: each takes two block RAMs (one of lines, one of pointers) and one
    # multiplier, and everything else is sixteen or thirty-two words. Lines and runs use all 36 bits
    # of a block RAM's word. (With twice the lines, 196 of 208 block RAMs are taken, and some end up
    # far from their PE. There is no ahead queue, as published: where room is short, 64 are much.)
    "fpga64": replace(_FPGA, rows=16, codebooks=2, lines=512, ahead_depth=0),
    # Half as many, with room for more layers' pointers: four block RAMs each. (With six, for twice
    # the lines, hardly one is left, and some end up far from what they belong to.)
    "fpga32": replace(_FPGA, pes=32, act_rows=32, biases=32, columns=2048, queue_depth=32),
    # An LFE5U-25F or 12F, and all of LeNet-300-100 at 8 %.
    "fpga6": replace(_FPGA, pes=6, rows=64, act_rows=256, biases=128, lines=1024, columns=2048),
    # An LFE5U-45F.
    "fpga16": replace(_FPGA, pes=16, act_rows=64, biases=32, lines=512, columns=2048),
    # An UP5K, and all of LeNet-300-100 at 8 %: lines and activations are its single-port RAMs, of
    # which a PE takes two, all other memories its block RAMs. A second PE has no place.
    "up5k": replace(
        _FPGA,
        pes=1,
        line_bits=16,
        run_bits=4,
        run_bits_most=4,
        rows=300,
        act_rows=784,
        biases=416,
        lines=16384,
        columns=1280,
        queue_depth=2,
        ahead_depth=1,
        pe_registers=False,
    ),
    # Small enough to read every signal of a waveform.
    "tiny": replace(
        _DEFAULT,
        pes=4,
        clusters=2,
        line_bits=32,
        rows=8,
        act_rows=16,
        lines=128,
        columns=128,
        biases=32,
        layers=4,
        codebooks=4,
        queue_depth=4,
        ahead_depth=2,
    ),
}


def preset(name: str, /, **changes: int | bool) -> EieConfig:
    """The preset ``name`` with some fields changed; unknown names raise :class:`UserError`.

    Another number of PEs leaves as many clusters as divide it, unless these are given, too.
    """
    given, pes = find_preset(PRESETS, name, changes), changes.get("pes")
    if isinstance(pes, int) and pes > 0:
        changes.setdefault("clusters", math.gcd(given.clusters, pes))
    return replace(given, **changes)
