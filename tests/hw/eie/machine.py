"""The array in Amaranth's simulator with a program on it, and ways to disturb both."""

import numpy as np
import pytest

from sim.eie.pysim import PysimPort
from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.golden import GoldenModel
from spec.eie.iomap import Error, Memory, arming, array_counter_bits, pe_counter_bits
from spec.eie.loading import Turn, plan_turns
from spec.eie.program import Program, Run, Segment, Slice
from spec.eie.vectors import Vectors
from sw.host.eie.driver import most_cycles
from sw.host.eie.words import Writes, arming_writes, feed_writes, pack, segment_writes
from sw.host.port import StillBusyError
from tests.programs import random_acts, random_program

SMALL = {"pes": 2, "rows": 16, "act_rows": 8, "lines": 64, "columns": 128, "layers": 8}
CONFIGS = {
    "ahead": preset("tiny", **SMALL),
    "published": preset(
        "tiny",
        **(SMALL | {"pes": 3}),
        clusters=1,
        run_bits_most=4,
        share_pads=False,
        double_buffer=False,
        ahead_depth=0,
        scan_ahead=False,
        queue_spare=True,
        line_bits=16,
    ),
    "one PE": preset(
        "tiny", **(SMALL | {"pes": 1, "act_rows": 16}), clusters=1, queue_depth=1, run_bits=1
    ),
    "pipeline": preset(
        "tiny", **(SMALL | {"pes": 4}), clusters=2, queue_depth=1, scan_pipeline=True
    ),
    "registers": preset(
        "tiny",
        **(SMALL | {"pes": 4}),
        clusters=2,
        queue_depth=5,
        scan_pipeline=True,
        pe_registers=True,
    ),
    "short queues": preset(
        "tiny",
        **(SMALL | {"pes": 3}),
        clusters=1,
        queue_depth=1,
        lanes=2,
        scan_pipeline=True,
        pe_registers=True,
    ),
    "clusters": preset("tiny", **(SMALL | {"pes": 4, "lines": 32}), clusters=4, queue_depth=2),
    "FPGA": preset(
        "fpga64",
        **(SMALL | {"act_rows": 10, "biases": 64}),
        clusters=2,
        ahead_depth=2,
        multiplier_bits=16,
    ),
    "lanes": preset("tiny", **SMALL, lanes=2, run_bits=1, run_bits_most=3, line_bits=23),
}


class Machine:
    """An array (that of ``port``, or a new one) and the program that it should run on one vector
    per lane, shape (lanes, inputs).

    Attributes
    ----------
    cycles : int
        What the first run takes.
    words : int
        Words that were written since the last start that the array accepted, or since its reset.
    """

    def __init__(self, program: Program, acts: np.ndarray, port: PysimPort | None = None):
        self.program = program
        self.config = program.config
        self.acts = acts
        self.port = port or PysimPort(program.config)
        self.outputs, self.counts = GoldenModel(program).run(acts)
        self.segment: Segment = program.segments[0]
        self.resident: Segment | None = None
        first = self.counts[: len(self.segment.runs[0].passes)]
        self.cycles = sum(int(count.of("cycles")[0]) for count in first)
        self.reset()

    def assert_right(self) -> None:
        """Run all: outputs, cycles and all counters are those of the golden model.

        The segment that the last run left is not loaded again.
        """
        vectors, done = Vectors(self.program, self.acts), 0
        for turn in plan_turns(self.config, list(self.program.runs()), self.resident):
            run = turn.run
            self._take_turn(turn, vectors, done)
            done += len(run.passes)
            if run.fetch:
                vectors.fetch(run.fetch, self._fetch(run, run.fetch))
            self.resident = turn.ahead or turn.segment
        assert vectors.outputs.tolist() == self.outputs.tolist()

    def _take_turn(self, turn: Turn, vectors: Vectors, number: int) -> None:
        """Load, feed, arm and run; pass ``number`` of the program is the run's first."""
        config, segment, run = self.config, turn.segment, turn.run
        writes = segment_writes(config, segment) if turn.load else []
        if run.feed:
            writes.append(feed_writes(config, vectors.inputs[run.feed.layer], run.feed))
        for one in [*writes, arming_writes(config, segment, run)]:
            self.send(one)
        ahead = pack(config, segment_writes(config, turn.ahead)) if turn.ahead else None
        loads = self.words
        cycles, error = self.port.run(most_cycles(config, segment, run), ahead)
        self.words = 0 if ahead is None else len(ahead)
        assert error == Error.NONE
        counts = self.counts[number : number + len(run.passes)]
        assert cycles == sum(int(count.of("cycles")[0]) for count in counts)
        first = segment.first_pass(config, run)
        for at, count in enumerate(counts):
            array = dict(zip(ARRAY_COUNTERS, count.array[0].tolist(), strict=True))
            array["loads"] = loads if at == 0 else 0
            found = dict(zip(ARRAY_COUNTERS, self._array_counters(first + at), strict=True))
            if not self.port.paced:
                array["hidden"] = found["hidden"]
            assert found == array, f"pass {number + at}"
            assert self._pe_counters(first + at) == count.pe[0].tolist(), f"pass {number + at}"

    # Words --------------------------------------------------------------------------------------

    def send(self, writes: Writes) -> None:
        self.port.write(*writes)
        self.words += np.broadcast(writes.pe, writes.address, writes.data).size

    def feed(self, acts: np.ndarray) -> None:
        """Write activations into half 0, (lanes, count), zeros up to the end of the last row."""
        self.send(feed_writes(self.config, acts, Slice(layer=0, first=0, count=acts.shape[1])))

    def write(self, memory: Memory, words: np.ndarray, first: int = 0) -> None:
        """Write a memory of all PEs, or one without PEs, from a word on."""
        pes = np.arange(self.config.pes if words.ndim == 2 else 1)[:, None]
        words = words.reshape(len(pes), -1)
        self.send(Writes(memory, pes, first + np.arange(words.shape[1]), words.astype(np.uint64)))

    def arm(self, first: int = 0, count: int | None = None) -> None:
        """Name the passes of the next start: those of the first run, unless said otherwise."""
        count = len(self.segment.runs[0].passes) if count is None else count
        self.write(Memory.CONTROL, np.array([arming(first, count)], np.uint64))

    def result(self) -> list[int]:
        """Read the outputs of the last drain."""
        run = self.segment.runs[-1]
        whole = Slice(layer=0, first=0, count=self.program.outputs)
        return self._fetch(run, whole).ravel().tolist()

    def _fetch(self, run: Run, fetch: Slice) -> np.ndarray:
        """Outputs of all lanes, (lanes, count)."""
        config = self.config
        row, pe = np.divmod(np.arange(fetch.count), config.pes)
        half = np.arange(config.lanes)[:, None] * 2 + run.final_half
        words = self.port.read(Memory.ACTIVATIONS, pe, half << config.act_row_bits | row)
        unused = np.int64(64 - config.act_bits)
        return words.astype(np.int64) << unused >> unused

    def _array_counters(self, number: int) -> list[int]:
        address = number << array_counter_bits() | np.arange(len(ARRAY_COUNTERS))
        return self.port.read(Memory.CONTROL, 0, address).tolist()

    def _pe_counters(self, number: int) -> list[list[int]]:
        pes = np.arange(self.config.pes)[:, None]
        address = number << pe_counter_bits() | np.arange(len(PE_COUNTERS))
        return self.port.read(Memory.COUNTERS, pes, address).tolist()

    # Runs ---------------------------------------------------------------------------------------

    def run(self) -> tuple[int, Error]:
        """Run what is in the memories: cycles and error. A run that does not end fails."""
        config = self.config
        slack = config.lines * config.most_entries_per_line * config.acts
        most = most_cycles(config, self.segment, self.segment.runs[0]) + slack
        cycles, code = self.port.run(most)
        self.words = 0 if cycles else self.words
        return cycles, Error(code)

    def run_until(self, cycle: int) -> None:
        """Start, and stand still in a cycle of the run: 1 is the second one."""
        with pytest.raises(StillBusyError):
            self.port.run(cycle)
        self.words = 0

    def reset(self) -> None:
        """The memories keep their words."""
        self.port.reset()
        self.words = 0


def random_machine(
    rng: np.random.Generator,
    config: EieConfig,
    *,
    full: bool = False,
    port: PysimPort | None = None,
    **options,
) -> Machine:
    """Two small layers; ``full`` of weights and activations, but for the last row of inputs."""
    sizes = [int(size) for size in rng.integers(6, 15, 3)]
    if full and sizes[0] % config.pes == 0:
        sizes[0] += 1
    options |= {"density": 1.0, "relu": False} if full else {"density": 0.5}
    program = random_program(rng, config, sizes, **options)
    acts = random_acts(rng, config, config.lanes, sizes[0], density=1.0 if full else 0.5)
    return Machine(program, acts, port)
