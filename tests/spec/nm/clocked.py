"""The N:M array, stepped clock by clock on the words of its load stream: a second, slow statement.

No recurrence and no product of matrices: every register is a variable, every cycle looks at all
registers first and then changes them. Buffers hold words, the loader takes one in a cycle, and each
step goes through the pipeline by itself. It exists to be compared with :mod:`spec.nm.cycles` and
:mod:`spec.nm.golden`, and to read while building the hardware.
"""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np

from spec.nm.config import NmConfig
from spec.nm.counters import COUNTERS
from spec.nm.descriptor import Descriptor
from spec.numbers import requantize

PIPELINE = 7
"""Registers between a step's issue and the accumulators: gather, address, read, distribute, select,
multiply, sum. With ``config.pipeline`` there is another one in front of distribute and of select,
and two in front of each of the last two."""

REQUANTIZE = 3
"""Registers of a requantizer: add, multiply, shift. With ``config.pipeline`` it multiplies in
two, and shifts in two."""


@dataclass
class WeightBank:
    """Words of one strip, section by section.

    ``full`` from the cycle behind its last word until the cycle of its last step; not ``free`` from
    the cycle behind its header until it is released.
    """

    full: bool = False
    free: bool = True
    steps: int = 0
    sections: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class ActBank:
    """Words of a block's lines; ``tiles`` of it are complete."""

    words: list[int] = field(default_factory=list)
    tiles: int = 0
    block: int = -1
    free: bool = True


@dataclass(frozen=True)
class Step:
    """What travels down the pipeline with a step."""

    block: int
    tile: int
    step: int
    position: int
    weight_bank: int
    sections: dict[str, list[int]]
    first: bool
    last: bool
    last_of_strip: bool
    last_of_block: bool
    last_of_run: bool


class Clocked:
    """One run. ``read_weight`` and the like cut fields out of words, as wires do."""

    def __init__(
        self,
        config: NmConfig,
        descriptor: Descriptor,
        words: np.ndarray,
        offered: Callable[[], bool] = lambda: True,
        taken: Callable[[], bool] = lambda: True,
    ) -> None:
        self.config, self.descriptor = config, descriptor
        self.mode = config.modes[descriptor.mode]
        self.words = deque(_as_integers(words))
        self.offered, self.taken = offered, taken
        self.weights = [WeightBank(), WeightBank()]
        self.acts = [ActBank(), ActBank()]
        self.loader = self._load()
        self.want = next(self.loader)
        self.at: tuple[int, int, int, int, int] | None = (0, 0, 0, 0, 0)
        pipeline, requantize = PIPELINE + 6 * config.pipeline, REQUANTIZE + 2 * config.pipeline
        self.places = config.rows + pipeline + 1 + 1 + requantize + 1
        self.pipeline: list[Step | None] = [None] * pipeline
        self.handing: Step | None = None
        self.sums = np.zeros((config.rows, config.columns), np.int64)
        self.drain: list[tuple[Step, int, np.ndarray]] = []
        self.requantizing: list[tuple[np.ndarray, bool] | None] = [None] * requantize
        self.queue: deque[tuple[np.ndarray, bool]] = deque()
        self.promised = 0
        self.since_last = config.rows
        self.position = 0
        self.results: list[np.ndarray] = []
        self.counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.most_queued = 0

    def run(self, limit: int = 1_000_000) -> None:
        """Clock until the last result is taken."""
        self.counts["control"] = self.counts["cycles"] = 1
        while not self._clock():
            if self.counts["cycles"] > limit:
                raise AssertionError("the run does not end")

    # A cycle ------------------------------------------------------------------------------------

    def _clock(self) -> bool:
        """One cycle; whether it was the last."""
        config = self.config
        self.counts["cycles"] += 1
        released: list[Step] = []

        # Give a result.
        ended = False
        if self.queue and self.taken():
            row, ended = self.queue[0]
            gives = True
        else:
            row, gives = None, False

        # Issue a step, or say why not. Looks at registers as they are.
        issued, cause = self._look()
        self.counts[cause] += 1

        # Take a word, if the loader wants one.
        takes = bool(self.words) and self._wants() and self.offered()

        # Registers change, from the end of the pipeline to its beginning.
        leaving = self.requantizing[-1]
        entering = None
        if self.drain:
            step, number, sums = self.drain[0]
            entering = self._requantize(step, number, sums)
            last_row = number == config.rows - 1
            if last_row and step.last_of_strip:
                released.append(step)
        # In the third cycle from its last step's on, a part's weights are read.
        read = self.pipeline[1]
        if read and read.last_of_strip and not read.last:
            released.append(read)
        if gives and row is not None:
            self.queue.popleft()
            self.results.append(row)
            self.promised -= 1
            self.counts["results"] += 1
        if leaving is not None:
            self.queue.append(leaving)
            self.most_queued = max(self.most_queued, len(self.queue))
        self.requantizing = [entering, *self.requantizing[:-1]]
        self.drain = self.drain[1:]
        if self.handing is not None:
            assert not self.drain, "rows of the tile before are still there"
            self.drain = [(self.handing, r, self.sums[r].copy()) for r in range(config.rows)]
        self._accumulate(self.pipeline[-1])
        self.handing = self.pipeline[-1] if self.pipeline[-1] and self.pipeline[-1].last else None
        self.pipeline = [issued, *self.pipeline[:-1]]
        self.since_last += 1
        if issued:
            if issued.last:
                self.since_last = 1
                self.promised += config.rows
            self._advance(issued)
        if takes:
            self.counts["loads"] += 1
            try:
                self.want = self.loader.send(self.words.popleft())
            except StopIteration:
                self.want = None
        for step in released:
            self.weights[step.weight_bank].free = True
            if step.last_of_block:
                self.acts[step.block % 2].free = True
        return ended

    # The sequencer ------------------------------------------------------------------------------

    def _look(self) -> tuple[Step | None, str]:
        """The step that is issued in this cycle, or why there is none."""
        d, at = self.descriptor, self.at
        if at is None:
            return None, "tail"
        block, strip, tile, step, number = at
        bank, acts = self.weights[number % 2], self.acts[block % 2]
        if not bank.full:
            return None, "weight_wait"
        if tile >= acts.tiles:
            return None, "act_wait"
        ends = step == bank.steps - 1
        last = ends and (strip + 1) % d.parts == 0
        late = self.since_last < self.config.rows
        if last and (late or self.promised + self.config.rows > self.places):
            return None, "drain_wait"
        of_strip = ends and tile == d.tiles_of(block) - 1
        of_block = of_strip and strip == d.strips - 1
        of_run = of_block and block == d.blocks - 1
        first = step == 0 and strip % d.parts == 0
        if first or (step == 0 and d.gather):
            self.position = 0
        at_hand = number % 2, bank.sections
        ends = last, of_strip, of_block, of_run
        return Step(block, tile, step, self.position, *at_hand, first, *ends), "busy"

    def _advance(self, issued: Step) -> None:
        """Go on behind a step. A strip's last one takes back that its bank is full: the loader may
        have it only later, and the sequencer may look at it before."""
        assert self.at is not None
        block, strip, tile, step, number = self.at
        self.at = block, strip, tile, step + 1, number
        self.position += self.config.multipliers // self.mode.n * self.mode.m
        if issued.step == self.weights[issued.weight_bank].steps - 1:
            self.at = block, strip, tile + 1, 0, number
        if issued.last_of_strip:
            self.weights[issued.weight_bank].full = False
            self.at = block, strip + 1, 0, 0, number + 1
        if issued.last_of_block:
            self.acts[block % 2].tiles = 0
            self.at = block + 1, 0, 0, 0, number + 1
        if issued.last_of_run:
            self.at = None

    # The loader ---------------------------------------------------------------------------------

    def _wants(self) -> bool:
        """Whether the loader takes a word now: the bank that it goes to is free."""
        if self.want is None:
            return False
        kind, bank = self.want
        return self.weights[bank].free if kind == "header" else True

    def _load(self) -> Generator[tuple[str, int] | None, int, None]:
        """Yields where the next word goes, and is sent that word."""
        config, d = self.config, self.descriptor
        line_words = config.line_bits // config.load_bits
        number = behind = 0

        def lines(
            block: int, first: int, count: int
        ) -> Generator[tuple[str, int] | None, int, None]:
            bank = self.acts[block % 2]
            for line in range(first, first + count):
                for _ in range(line_words):
                    if bank.block != block:
                        assert bank.free, "the block before last is still in use"
                    word = yield "line", block % 2
                    if bank.block != block:
                        bank.block, bank.free, bank.words, bank.tiles = block, False, [], 0
                    bank.words.append(word)
                bank.tiles = (line + 1) // d.input_lines

        for block in range(d.blocks):
            whole = d.tiles_of(block) * d.input_lines
            for strip in range(d.strips):
                bank = self.weights[number % 2]
                header = yield "header", number % 2
                bank.free, bank.steps, bank.sections = False, header & 0xFFFF, {}
                for section, count in self._sections(bank.steps):
                    part = bank.sections.setdefault(section, [])
                    for _ in range(count):
                        part.append((yield "section", number % 2))
                bank.full = True
                if strip == 0:
                    yield from lines(block, behind, whole - behind)
                    behind = 0
                elif block + 1 < d.blocks:
                    rest = d.tiles_of(block + 1) * d.input_lines - behind
                    yield from lines(block + 1, behind, min(rest, d.ahead_lines))
                    behind += min(rest, d.ahead_lines)
                number += 1
        yield None

    def _sections(self, steps: int) -> list[tuple[str, int]]:
        config = self.config
        weights = steps * config.rows * config.multipliers

        def words(bits: int) -> int:
            return -(-bits // config.load_bits)

        found = [("parameters", words(64 * config.rows))]
        found.append(("values", words(weights * config.weight_slot_bits)))
        found += [(f"plane{bit}", words(weights)) for bit in range(self.mode.place_bits)]
        if self.descriptor.gather:
            inputs = self.config.multipliers // self.mode.n * self.mode.m
            lines = -(-steps * inputs // config.line_inputs)
            found.append(("offsets", words(lines * config.line_inputs * config.offset_slot_bits)))
        return found

    # The datapath -------------------------------------------------------------------------------

    def _accumulate(self, step: Step | None) -> None:
        """All of the pipeline at its end: buffers still hold what it read."""
        if step is None:
            return
        config, mode = self.config, self.mode
        sections, acts = step.sections, self.acts[step.block % 2]
        assert not step.last or not self.weights[step.weight_bank].free
        assert acts.block == step.block
        if step.first:
            self.sums = np.zeros_like(self.sums)
        for row in range(config.rows):
            for k in range(config.multipliers):
                at = (step.step * config.rows + row) * config.multipliers + k
                weight = _field(sections["values"], at, config.weight_slot_bits, config)
                weight = _signed(weight, config.weight_slot_bits)
                place = sum(
                    _field(sections[f"plane{bit}"], at, 1, config) << bit
                    for bit in range(mode.place_bits)
                )
                position = step.position + k // mode.n * mode.m + place
                line, lane = divmod(position, config.line_inputs)
                if self.descriptor.gather:
                    offset = sections["offsets"]
                    line += _field(offset, position, config.offset_slot_bits, config)
                line += step.tile * self.descriptor.input_lines
                for column in range(config.columns):
                    act_at = (line * config.line_inputs + lane) * config.columns + column
                    act = _field(acts.words, act_at, config.act_slot_bits, config)
                    self.sums[row, column] += weight * _signed(act, config.act_slot_bits)

    def _requantize(self, step: Step, row: int, sums: np.ndarray) -> tuple[np.ndarray, bool]:
        config = self.config
        word = _field(self.weights[step.weight_bank].sections["parameters"], row, 64, config)
        bias = _signed(word & ((1 << config.acc_bits) - 1), config.acc_bits)
        multiplier = word >> config.acc_bits & ((1 << config.multiplier_bits) - 1)
        shift = word >> (config.acc_bits + config.multiplier_bits)
        relu = self.descriptor.relu
        o = requantize(sums, bias, multiplier, shift, act_bits=config.act_bits, relu=relu)
        return o, step.last_of_run and row == config.rows - 1


def _as_integers(words: np.ndarray) -> list[int]:
    return [sum(int(limb) << 64 * i for i, limb in enumerate(word)) for word in words]


def _field(words: list[int], index: int, bits: int, config: NmConfig) -> int:
    """Field ``index`` of ``bits`` in a section; a word's lowest field is first."""
    word, at = divmod(index * bits, config.load_bits)
    return words[word] >> at & ((1 << bits) - 1)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def run_clocked(
    config: NmConfig,
    descriptor: Descriptor,
    words: np.ndarray,
    offered: Callable[[], bool] = lambda: True,
    taken: Callable[[], bool] = lambda: True,
) -> tuple[np.ndarray, dict[str, int]]:
    """Results in the order of the stream, (words, columns), and all counters."""
    array = Clocked(config, descriptor, words, offered, taken)
    array.run()
    assert not array.words, "words are left in the load stream"
    return np.array(array.results), array.counts
