"""A port with a whole machine behind it in plain Python: words in dictionaries, entries one by one.

It shares the field layouts with :mod:`spec`, nothing else: matrices are walked straight from the
memory words, and time is stepped clock by clock. So a :class:`sw.host.driver.BusDevice` on it is an
independent opinion on the golden model.
"""

from collections import defaultdict

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import control_cycles, drain_cycles
from spec.eie.descriptor import Descriptor, descriptor_words
from spec.eie.iomap import (
    Error,
    Memory,
    array_counter_bits,
    descriptor_word_bits,
    pe_counter_bits,
)
from sw.host.port import StillBusyError, Words
from tests.spec.eie.clocked import run_clocked


class FakePort:
    """What :class:`sw.host.port.Port` asks for, with a log of what was written and read."""

    def __init__(self, config: EieConfig) -> None:
        self.config = config
        self.tools = {"fake": "1"}
        self.words: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        self.counts: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        self.sums: defaultdict[int, int] = defaultdict(int)
        self.written: defaultdict[int, int] = defaultdict(int)
        self.limits: list[int] = []
        self.resets = 0
        self.closed = False
        self.error = Error.NONE
        self.lie = 0
        self.hang = False

    def reset(self) -> None:
        self.resets += 1
        self.sums.clear()

    def close(self) -> None:
        self.closed = True

    def write(self, memory: int, pe: Words, address: Words, data: Words) -> None:
        assert isinstance(data, np.ndarray)
        assert data.dtype == np.uint64
        widths = {
            Memory.CODEBOOK: self.config.weight_bits,
            Memory.BIASES: self.config.acc_bits,
            Memory.POINTERS: self.config.pointer_bits,
            Memory.LINES: self.config.line_bits,
            Memory.ACTIVATIONS: self.config.act_bits,
        }
        mask = (1 << widths.get(Memory(memory), 64)) - 1
        requests = np.broadcast_arrays(pe, address, data)
        for where, at, word in zip(*(part.ravel().tolist() for part in requests), strict=True):
            assert at < 1 << self.config.io_address_bits
            self.words[memory, where, at] = word & mask
            self.written[memory] += 1

    def read(self, memory: int, pe: Words, address: Words) -> np.ndarray:
        pes, addresses = np.broadcast_arrays(pe, address)
        words = self.words if memory == Memory.ACTIVATIONS else self.counts
        requests = zip(pes.ravel().tolist(), addresses.ravel().tolist(), strict=True)
        found = [words[memory, where, at] for where, at in requests]
        return np.array(found, np.uint64).reshape(pes.shape)

    def run(self, max_cycles: int) -> tuple[int, int]:
        self.limits.append(max_cycles)
        if self.hang:
            raise StillBusyError(max_cycles)
        if self.error:
            return 1, self.error
        half = busy = 0
        for number in range(self.words[Memory.CONTROL, 0, 0]):
            base = number << descriptor_word_bits(self.config)
            words = range(descriptor_words(self.config))
            packed = [self.words[Memory.DESCRIPTORS, 0, base + word] for word in words]
            descriptor = Descriptor.unpack(packed, self.config)
            busy += self._run_pass(number, descriptor, half)
            half ^= descriptor.swap
        assert busy <= max_cycles
        return busy + self.lie, Error.NONE

    def signed(self, memory: int, pe: int, address: int, bits: int) -> int:
        word = self.words[memory, pe, address]
        return word - (1 << bits) if word >> (bits - 1) else word

    def column(self, pe: int, address: int) -> list[tuple[int, int]]:
        """Code and local row of every entry of a column, walked from its pointers."""
        config = self.config
        begin, end = (self.words[Memory.POINTERS, pe, address + step] for step in (0, 1))
        entries, row = [], -1
        for entry in range(begin, end):
            line, slot = divmod(entry, config.entries_per_line)
            bits = self.words[Memory.LINES, pe, line] >> (slot * config.entry_bits)
            row += 1 + (bits >> config.code_bits) % (1 << config.run_bits)
            entries.append((bits % config.codes, row))
        return entries

    def _run_pass(self, number: int, descriptor: Descriptor, half: int) -> int:
        """Compute, drain, and store the counters; returns the cycles that it took."""
        config = self.config
        acts = []
        for column in range(descriptor.columns):
            row, pe = divmod(column, config.pes)
            address = half << config.act_row_bits | (descriptor.input_base + row)
            acts.append(self.signed(Memory.ACTIVATIONS, pe, address, config.act_bits))
        weights, pads = [], []
        for column, act in enumerate(acts):
            entries = [
                self.column(pe, descriptor.pointer_base + column) for pe in range(config.pes)
            ]
            weights.append([sum(code != 0 for code, _ in own) for own in entries])
            pads.append([sum(code == 0 for code, _ in own) for own in entries])
            for pe, own in enumerate(entries):
                for code, row in own:
                    book = descriptor.codebook << config.code_bits
                    weight = self.signed(Memory.CODEBOOK, pe, book | code, config.weight_bits)
                    self.sums[row * config.pes + pe] += act * weight
        in_array, in_pes = run_clocked(config, [act != 0 for act in acts], weights, pads)
        if descriptor.drain:
            self._drain(descriptor, half ^ 1)
        in_array["control"] = control_cycles(config)
        in_array["drain"] = drain_cycles(descriptor)
        in_array["cycles"] = sum(in_array[name] for name in ("control", "compute", "drain"))
        for at, name in enumerate(ARRAY_COUNTERS):
            self.counts[Memory.CONTROL, 0, number << array_counter_bits() | at] = in_array[name]
        for pe, counts in enumerate(in_pes):
            for at, name in enumerate(PE_COUNTERS):
                self.counts[Memory.COUNTERS, pe, number << pe_counter_bits() | at] = counts[name]
        return in_array["cycles"]

    def _drain(self, descriptor: Descriptor, half: int) -> None:
        """Requantize every row, with Python's own integers and rounding, and clear its sum."""
        config = self.config
        low, high = -(1 << config.act_bits - 1), (1 << config.act_bits - 1) - 1
        for row in range(descriptor.rows):
            for pe in range(config.pes):
                bias = self.signed(Memory.BIASES, pe, descriptor.bias_base + row, config.acc_bits)
                total = self.sums.pop(row * config.pes + pe, 0) + bias
                scaled = _round_half_even(total * descriptor.multiplier, 1 << descriptor.shift)
                act = max(0 if descriptor.relu else low, min(high, scaled))
                address = half << config.act_row_bits | (descriptor.output_base + row)
                self.words[Memory.ACTIVATIONS, pe, address] = act % (1 << config.act_bits)


def _round_half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))
