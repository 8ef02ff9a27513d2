"""A port with a whole machine behind it in plain Python: words in dictionaries, entries one by one.

It shares the field layouts with :mod:`spec`, nothing else: matrices are walked straight from the
memory words, and time is stepped clock by clock. So a :class:`sw.host.eie.driver.BusDevice` on
it is an independent opinion on the golden model.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import control_cycles, drain_cycles
from spec.eie.descriptor import Descriptor, descriptor_words
from spec.eie.iomap import (
    WHILE_COMPUTING,
    Error,
    Memory,
    array_counter_bits,
    descriptor_word_bits,
    pe_counter_bits,
    read_fields,
)
from sw.host.port import StillBusyError, Words
from tests.spec.eie.clocked import run_clocked


class Entry(NamedTuple):
    """An entry of a column: its code, its local row, its slot in its line, and the line."""

    code: int
    row: int
    slot: int
    line: int


class FakePort:
    """What :class:`sw.host.eie.port.Port` asks for, with a log of what was written and read."""

    def __init__(self, config: EieConfig) -> None:
        self.config = config
        self.tools = {"fake": "1"}
        self.paced = True
        self.words: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        self.counts: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        self.sums: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        self.written: defaultdict[int, int] = defaultdict(int)
        self.ahead: list[int] = []
        self.loads = 0
        self.limits: list[int] = []
        self.resets = 0
        self.closed = False
        self.error = Error.NONE
        self.lies = {"cycles": 0, "loads": 0}
        self.hang = False

    def reset(self) -> None:
        self.resets += 1
        self.sums.clear()
        self.loads = 0

    def close(self) -> None:
        self.closed = True

    def write(self, memory: int, pe: Words, address: Words, data: Words) -> None:
        assert isinstance(data, np.ndarray)
        assert data.dtype == np.uint64
        requests = np.broadcast_arrays(pe, address, data)
        for where, at, word in zip(*(part.ravel().tolist() for part in requests), strict=True):
            self._put(memory, where, at, word)

    def _put(self, memory: int, pe: int, address: int, word: int) -> None:
        widths = {
            Memory.CODEBOOK: self.config.weight_bits,
            Memory.BIASES: self.config.acc_bits,
            Memory.POINTERS: self.config.pointer_bits,
            Memory.LINES: self.config.line_bits,
            Memory.ACTIVATIONS: self.config.act_bits,
        }
        assert pe < self.config.pes
        assert address < 1 << self.config.io_address_bits
        self.words[memory, pe, address] = word % (1 << widths.get(Memory(memory), 64))
        self.written[memory] += 1
        self.loads += 1

    def read(self, memory: int, pe: Words, address: Words) -> np.ndarray:
        pes, addresses = np.broadcast_arrays(pe, address)
        words = self.words if memory == Memory.ACTIVATIONS else self.counts
        requests = zip(pes.ravel().tolist(), addresses.ravel().tolist(), strict=True)
        found = [words[memory, where, at] for where, at in requests]
        return np.array(found, np.uint64).reshape(pes.shape)

    # Running ------------------------------------------------------------------------------------

    def run(self, max_cycles: int, ahead: np.ndarray | None = None) -> tuple[int, int]:
        self.limits.append(max_cycles)
        if self.hang:
            raise StillBusyError(max_cycles)
        if self.error:
            return 1, self.error
        first, count = divmod(self.words[Memory.CONTROL, 0, 0], 1 << 16)
        if count == 0 or first + count > self.config.layers:
            return 0, Error.NO_IMAGE
        loads, self.loads = self.loads, 0
        # Written before the run begins: if the segments overlapped, that would do most harm.
        left = self._write_ahead(ahead)
        half = busy = before = 0
        for number in range(first, first + count):
            counts, next_half = self._run_pass(number, half, before)
            counts["loads"] = (loads + self.lies["loads"]) * (number == first)
            counts["hidden"] = min(left, counts["cycles"])
            left -= counts["hidden"]
            for at, name in enumerate(ARRAY_COUNTERS):
                address = number << array_counter_bits() | at
                self.counts[Memory.CONTROL, 0, address] = counts[name]
            busy += counts["cycles"]
            before, half = counts["compute"] + counts["drain"] + 1, next_half
        assert busy <= max_cycles
        return busy + self.lies["cycles"], Error.NONE

    def _write_ahead(self, ahead: np.ndarray | None) -> int:
        """Take packed writes, which have to be such as can be written during a run."""
        if ahead is None:
            self.ahead.append(0)
            return 0
        assert self.config.double_buffer
        fields = read_fields(self.config)
        for word, request in ahead.tolist():
            rest, address = divmod(request, 1 << fields["address"])
            pe, memory = divmod(rest, 1 << fields["memory"])
            assert Memory(memory) in WHILE_COMPUTING
            self._put(memory, pe, address, word)
        self.ahead.append(len(ahead))
        return len(ahead)

    def _run_pass(self, number: int, half: int, before: int) -> tuple[dict[str, int], int]:
        """Compute, drain, and store the counters of the PEs; the array's, and the next half."""
        config = self.config
        base = number << descriptor_word_bits(config)
        words = range(descriptor_words(config))
        descriptor = Descriptor.unpack(
            [self.words[Memory.DESCRIPTORS, 0, base + word] for word in words], config
        )
        acts = [self._acts(descriptor, half, column) for column in range(descriptor.columns)]
        live = [sum(act != 0 for act in lanes) for lanes in acts]
        work = self._multiply(descriptor, acts)
        counts, in_pes = run_clocked(config, descriptor.split, live, work)
        if descriptor.drain:
            self._drain(descriptor, half ^ 1)
        counts["control"] = int(control_cycles(config, before))
        counts["drain"] = drain_cycles(config, descriptor)
        counts["cycles"] = sum(counts[name] for name in ("control", "compute", "drain"))
        for pe, own in enumerate(in_pes):
            for at, name in enumerate(PE_COUNTERS):
                self.counts[Memory.COUNTERS, pe, number << pe_counter_bits() | at] = own[name]
        return counts, half ^ descriptor.swap

    def _signed(self, memory: int, pe: int, address: int, bits: int) -> int:
        word = self.words[memory, pe, address]
        return word - (1 << bits) if word >> (bits - 1) else word

    def _acts(self, descriptor: Descriptor, half: int, column: int) -> list[int]:
        """An activation in every lane."""
        config = self.config
        row, pe = divmod(column, config.pes)
        row += descriptor.input_base
        return [
            self._signed(
                Memory.ACTIVATIONS, pe, self._act_address(lane, half, row), config.act_bits
            )
            for lane in range(config.lanes)
        ]

    def _act_address(self, lane: int, half: int, row: int) -> int:
        return (lane * 2 + half) << self.config.act_row_bits | row

    def _multiply(
        self, descriptor: Descriptor, acts: list[list[int]]
    ) -> list[list[tuple[int, int, int]]]:
        """Add up what every activation makes; weights, lone pads and lines of every local column in
        every PE."""
        config = self.config
        pes = config.pes >> descriptor.split
        fullest = sum(column % config.pes < pes for column in range(descriptor.columns))
        work = []
        for local in range(fullest):
            row, place = divmod(local, pes)
            work.append([])
            for pe in range(config.pes):
                entries = list(self._column(descriptor, pe, local))
                work[-1].append(self._cost(descriptor, entries))
                column = row * config.pes + pe // pes * pes + place
                if column < descriptor.columns:
                    self._add(descriptor, pe, entries, acts[column])
        return work

    def _column(self, descriptor: Descriptor, pe: int, local: int) -> Iterator[Entry]:
        """The entries of a column, walked from its pointers."""
        config = self.config
        run_bits = config.run_bits + descriptor.widen
        per_line = config.line_bits // (config.code_bits + run_bits)
        address = descriptor.pointer_base + local
        at, end = (self.words[Memory.POINTERS, pe, address + step] for step in (0, 1))
        row = -1
        while at < end:
            line, slot = divmod(at, 1 << config.slot_bits)
            bits = self.words[Memory.LINES, pe, line] >> (slot * (config.code_bits + run_bits))
            row += 1 + (bits >> config.code_bits) % (1 << run_bits)
            yield Entry(bits % config.codes, row, slot, line)
            at = at + 1 if slot + 1 < per_line else (line + 1) << config.slot_bits

    def _cost(self, descriptor: Descriptor, entries: list[Entry]) -> tuple[int, int, int]:
        """Weights, pads that take a cycle, and lines, entry by entry as matrix read goes."""
        config = self.config
        last = config.line_bits // (config.code_bits + config.run_bits + descriptor.widen) - 1
        pads = at = 0
        while at < len(entries):
            one, two = entries[at], entries[at + 1] if at + 1 < len(entries) else None
            together = False
            if config.share_pads and two and two.line == one.line:
                together = two.code != 0 if one.code == 0 else two.code == 0 and two.slot == last
            pads += one.code == 0 and not together
            at += 1 + together
        return (
            sum(entry.code != 0 for entry in entries),
            pads,
            len({entry.line for entry in entries}),
        )

    def _add(self, descriptor: Descriptor, pe: int, entries: list[Entry], lanes: list[int]) -> None:
        """Multiply a column's entries with its activation in every lane."""
        for entry in entries:
            book = descriptor.codebook << self.config.code_bits
            weight = self._signed(Memory.CODEBOOK, pe, book | entry.code, self.config.weight_bits)
            for lane, act in enumerate(lanes):
                self.sums[lane, pe, entry.row] += act * weight

    def _drain(self, descriptor: Descriptor, half: int) -> None:
        """Add up the clusters, requantize with Python's own integers and rounding, and clear."""
        config = self.config
        pes, clusters = config.pes >> descriptor.split, 1 << descriptor.split
        for lane in range(config.lanes):
            for output in range(descriptor.rows * pes):
                local, place = divmod(output, pes)
                parts = [(lane, place + cluster * pes, local) for cluster in range(clusters)]
                total = sum(self.sums.pop(part, 0) for part in parts)
                row, pe = divmod(output, config.pes)
                act = self._requantize(descriptor, pe, descriptor.bias_base + row, total)
                address = self._act_address(lane, half, descriptor.output_base + row)
                self.words[Memory.ACTIVATIONS, pe, address] = act % (1 << config.act_bits)

    def _requantize(self, descriptor: Descriptor, pe: int, address: int, total: int) -> int:
        config = self.config
        low, high = -(1 << config.act_bits - 1), (1 << config.act_bits - 1) - 1
        total += self._signed(Memory.BIASES, pe, address, config.acc_bits)
        scaled = _round_half_even(total * descriptor.multiplier, 1 << descriptor.shift)
        return max(0 if descriptor.relu else low, min(high, scaled))


def _round_half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))
