"""The array in Amaranth's simulator with a program on it, and ways to disturb both."""

import numpy as np
import pytest

from sim.pysim import PysimPort
from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.iomap import Error, Memory
from spec.eie.program import Program, Segment
from sw.host.compare import Result, first_difference, run_on
from sw.host.driver import BusDevice, most_cycles
from sw.host.golden import GoldenDevice
from sw.host.port import StillBusyError
from tests.programs import random_acts, random_program

SMALL = {"pes": 2, "rows": 8, "act_rows": 8, "entries": 256, "columns": 128, "layers": 8}
CONFIGS = {
    "ahead": preset("tiny", **SMALL),
    "published": preset(
        "tiny",
        **(SMALL | {"pes": 3}),
        ahead_depth=0,
        scan_ahead=False,
        queue_spare=True,
        line_bits=16,
    ),
    "one PE": preset(
        "tiny", **(SMALL | {"pes": 1, "rows": 16, "act_rows": 16}), queue_depth=1, run_bits=1
    ),
}


class Machine:
    """An array (that of ``port``, or a new one) and the program that it should run on one vector.

    Attributes
    ----------
    cycles : int
        What a run of the first segment takes.
    """

    def __init__(self, program: Program, acts: np.ndarray, port: PysimPort | None = None):
        self.program = program
        self.acts = acts
        self.port = port or PysimPort(program.config)
        self.device = BusDevice(self.port, "pysim")
        self.golden = run_on(GoldenDevice(program.config), program, acts[None])
        self.segment: Segment = program.segments[0]
        cycles = ARRAY_COUNTERS.index("cycles")
        passes = len(self.segment.passes)
        self.cycles = sum(int(count.array[0, cycles]) for count in self.golden.counts[:passes])
        self.device.load(program)

    def assert_right(self) -> None:
        """Run: outputs, cycles and all counters are those of the golden model."""
        outputs = self.device.run(self.acts[None])
        found = Result("pysim", outputs, self.device.counters())
        difference = first_difference(self.program, self.golden, found)
        assert difference is None, difference

    def feed(self, acts: np.ndarray) -> None:
        """Write activations into half 0, zeros up to the end of the last row."""
        pes = self.program.config.pes
        rows = np.zeros((-(-len(acts) // pes), pes), np.int64)
        rows.ravel()[: len(acts)] = acts
        self.write(Memory.ACTIVATIONS, rows.T)

    def write(self, memory: Memory, words: np.ndarray) -> None:
        """Write a memory of all PEs from its first word on."""
        pes = np.arange(self.program.config.pes)[:, None]
        self.port.write(memory, pes, np.arange(words.shape[1]), words.astype(np.uint64))

    def arm(self, passes: int | None = None) -> None:
        """Write the number of passes: those of the segment, unless said otherwise."""
        count = len(self.segment.passes) if passes is None else passes
        self.port.write(Memory.CONTROL, 0, 0, count)

    def run(self) -> tuple[int, Error]:
        """Run what is in the memories: cycles and error. A run that does not end fails."""
        slack = self.program.config.entries * self.program.config.acts
        cycles, code = self.port.run(most_cycles(self.program.config, self.segment) + slack)
        return cycles, Error(code)

    def run_until(self, cycle: int) -> None:
        """Start, and stand still in a cycle of the run: 1 is the second one."""
        with pytest.raises(StillBusyError):
            self.port.run(cycle)

    def result(self) -> np.ndarray:
        """Read the outputs of the last drain, as words."""
        config, count = self.program.config, self.program.outputs
        index = np.arange(count)
        address = self.segment.final_half << config.act_row_bits | index // config.pes
        return self.port.read(Memory.ACTIVATIONS, index % config.pes, address)


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
    acts = random_acts(rng, config, 1, sizes[0], density=1.0 if full else 0.5)[0]
    return Machine(program, acts, port)
