"""Central control, with a scan and PEs that this bench plays: states, orders, errors, cycles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from hw.eie.central_control import CentralControl
from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.cycles import DRAIN_CYCLES, control_cycles
from spec.eie.descriptor import Descriptor, descriptor_fields
from spec.eie.iomap import Error, Memory, array_counter_bits, descriptor_word_bits
from tests.hw.streams import plain, simulate

pytestmark = pytest.mark.unit

QUIET = {
    "begin": 0,
    "phase.computing": 0,
    "phase.save": 0,
    "drain.enable": 0,
    "drain.clear": 0,
    "drain.store_enable": 0,
}


@dataclass
class Work:
    """A pass, and how long the scan and the PEs take over it (in cycles from the first look)."""

    descriptor: Descriptor
    scan: int = 3
    idle: int = 5
    fault: str = ""

    @property
    def compute(self) -> int:
        return max(self.scan, self.idle) + 1


def random_work(rng: np.random.Generator, config: EieConfig, **fixed: int | bool) -> Work:
    """Any descriptor, all of its fields over their whole width, but ``rows`` and the flags."""
    fields = {
        name: int(rng.integers(1 << bits)) for name, bits in descriptor_fields(config).items()
    }
    fields["rows"] = int(rng.integers(1, config.rows + 1))
    flags = {name: bool(rng.integers(2)) for name in ("relu", "drain", "swap")}
    scan, idle = (int(cycles) for cycles in rng.integers(1, 9, 2))
    return Work(Descriptor(**(fields | flags | fixed)), scan, idle)


class Bench:
    """Central control, what is around it, and all outputs of every cycle."""

    def __init__(self, config: EieConfig):
        self.config = config
        self.dut = CentralControl(config)
        self.trace: list[dict[str, Any]] = []

    async def cycle(self, ctx, **inputs: int) -> dict[str, Any]:
        """One cycle: set inputs, keep and return the outputs."""
        dut = self.dut
        for name, value in inputs.items():
            ctx.set(getattr(dut, name), value)
        ports = {
            name: getattr(dut, name)
            for name in ("busy", "error", "host_ready", "half", "begin", "settings")
        }
        for group in ("phase", "drain"):
            signature = getattr(dut, group)
            names = signature.signature.members
            ports |= {f"{group}.{name}": getattr(signature, name) for name in names}
        _, _, *values = await ctx.tick().sample(*ports.values())
        self.trace.append(dict(zip(ports, map(plain, values), strict=True)))
        return self.trace[-1]

    async def write(self, ctx, memory: Memory, address: int, data: int) -> None:
        access = {"write_enable": 1, "memory": memory, "address": address, "data": data}
        for name, value in access.items():
            ctx.set(getattr(self.dut.host, name), value)
        await self.cycle(ctx)
        ctx.set(self.dut.host.write_enable, 0)

    async def boot(self, ctx) -> None:
        """Wait for I/O mode after reset."""
        while (await self.cycle(ctx, idle=1))["busy"]:
            pass

    async def load(self, ctx, works: list[Work]) -> None:
        for number, work in enumerate(works):
            for index, word in enumerate(work.descriptor.pack(self.config)):
                address = number << descriptor_word_bits(self.config) | index
                await self.write(ctx, Memory.DESCRIPTORS, address, word)
        await self.write(ctx, Memory.CONTROL, 0, len(works))

    async def run(
        self, ctx, works: list[Work], starts: tuple[int, ...] = (), started: bool = False
    ) -> list[dict[str, Any]]:
        """Start; play the scan and the PEs; give the cycles in which it was busy, and one more.

        ``starts`` are cycles of the run with another start; ``started`` says that it has begun.
        """
        if not started:
            await self.cycle(ctx, start=1)
        first, passes, since, work = len(self.trace), iter(works), -1, Work(works[0].descriptor)
        while True:
            number = len(self.trace) - first
            playing = since >= 0
            fault = work.fault if playing and since == 1 else ""
            outputs = await self.cycle(
                ctx,
                start=number in starts,
                scanning=playing and since < work.scan,
                idle=not (playing and since < work.idle),
                **{name: name == fault for name in ("scan_error", "row_error", "pointer_error")},
            )
            since += playing
            if outputs["begin"]:
                since, work = 0, next(passes)
            if not outputs["busy"]:
                return self.trace[first:]

    async def counter(self, ctx, number: int, name: str) -> int:
        host = self.dut.host
        ctx.set(host.memory, Memory.CONTROL)
        ctx.set(host.address, number << array_counter_bits() | ARRAY_COUNTERS.index(name))
        ctx.set(host.read_enable, 1)
        await self.cycle(ctx)
        ctx.set(host.read_enable, 0)
        return ctx.get(host.answer)


def expected_run(config: EieConfig, works: list[Work]) -> list[dict[str, Any]]:
    """What is not quiet in each cycle of a run without errors, and of the one behind it."""
    cycles: list[dict[str, Any]] = []
    half = 0
    for number, work in enumerate(works):
        step = work.descriptor
        first = len(cycles)
        cycles += [{} for _ in range(control_cycles(config))]
        cycles[-1] |= {"begin": 1, "half": half, "settings": settings_of(config, step)}
        if number:
            cycles[first] |= {"phase.save": 1, "phase.saved_pass": number - 1}
        cycles += [{"phase.computing": 1, "half": half} for _ in range(work.compute)]
        if step.drain:
            rows = [{} for _ in range(step.rows + DRAIN_CYCLES)]
            for row in range(step.rows):
                bias = (step.bias_base + row) % (1 << config.bias_address_bits)
                target = (step.output_base + row) % (1 << config.act_row_bits)
                order = {"drain.enable": 1, "drain.clear": 1, "drain.row": row}
                rows[row] |= order | {"drain.bias_address": bias}
                address = (1 - half) << config.act_row_bits | target
                rows[row + DRAIN_CYCLES] |= {
                    "drain.store_enable": 1,
                    "drain.store_address": address,
                }
            cycles += rows
        half ^= step.swap
    return [*cycles, {"phase.save": 1, "phase.saved_pass": len(works) - 1}]


def settings_of(config: EieConfig, step: Descriptor) -> dict[str, int]:
    return {name: int(getattr(step, name)) for name in descriptor_fields(config)}


def assert_trace(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Cycle by cycle, all outputs that are stated, and quiet ones otherwise."""
    assert len(found) == len(expected)
    for number, (outputs, stated) in enumerate(zip(found, expected, strict=True)):
        wanted = QUIET | {"busy": int(number < len(expected) - 1)} | stated
        assert {name: outputs[name] for name in wanted} == wanted, f"cycle {number}"
        assert outputs["host_ready"] == (not outputs["busy"] and not outputs["phase.save"])


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_clears_all_rows_after_reset(rows: int) -> None:
    """Each accumulator once, then I/O mode; a start in between is refused and disturbs nothing."""
    bench = Bench(preset("tiny", rows=rows))

    async def testbench(ctx) -> None:
        await bench.cycle(ctx, start=1)
        ctx.set(bench.dut.start, 0)
        await bench.boot(ctx)

    simulate(bench.dut, testbench)
    clears = [outputs["drain.row"] for outputs in bench.trace if outputs["drain.clear"]]
    assert clears == list(range(rows))
    assert [outputs["busy"] for outputs in bench.trace] == [1] * rows + [0]
    assert [outputs["host_ready"] for outputs in bench.trace] == [0] * rows + [1]
    assert bench.trace[-1]["error"] == Error.BUSY


@pytest.mark.parametrize("fields", [{}, {"rows": 1, "layers": 1}, {"layers": 5, "act_rows": 300}])
def test_passes_one_after_another(fields: dict[str, int], rng: np.random.Generator) -> None:
    """Random tables of one to all passes, run twice: all orders and phases in their cycles."""
    config = preset("tiny", **fields)
    bench = Bench(config)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        for _ in range(8):
            works = [random_work(rng, config) for _ in range(rng.integers(1, config.layers + 1))]
            await bench.load(ctx, works)
            for _ in range(2):
                trace = await bench.run(ctx, works)
                assert_trace(trace, expected_run(config, works))
                assert trace[-1]["error"] == Error.NONE

    simulate(bench.dut, testbench)


def test_counts_what_it_did(rng: np.random.Generator) -> None:
    """Its own counters of control, compute, drain and their sum."""
    config = preset("tiny")
    bench = Bench(config)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        works = [random_work(rng, config) for _ in range(config.layers)]
        await bench.load(ctx, works)
        await bench.run(ctx, works)
        await bench.cycle(ctx)
        for number, work in enumerate(works):
            step = work.descriptor
            wanted = {
                "control": control_cycles(config),
                "compute": work.compute,
                "drain": step.rows + DRAIN_CYCLES if step.drain else 0,
            }
            wanted |= {"cycles": sum(wanted.values()), "broadcasts": 0, "stalls": 0}
            for name, value in wanted.items():
                assert await bench.counter(ctx, number, name) == value, (number, name)

    simulate(bench.dut, testbench)


def test_start_without_an_image(rng: np.random.Generator) -> None:
    """It is refused; a start with one is accepted and forgets the error."""
    config = preset("tiny")
    bench = Bench(config)
    works = [random_work(rng, config)]

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        await bench.cycle(ctx, start=1)
        ctx.set(bench.dut.start, 0)
        for _ in range(5):
            outputs = await bench.cycle(ctx)
            assert (outputs["busy"], outputs["error"]) == (0, Error.NO_IMAGE)
        await bench.load(ctx, works)
        trace = await bench.run(ctx, works)
        assert trace[0]["error"] == Error.NONE
        assert_trace(trace, expected_run(config, works))

    simulate(bench.dut, testbench)


def test_second_start_in_every_cycle_of_a_run(rng: np.random.Generator) -> None:
    """The run goes on as if nothing had been; the error stays until the next accepted start."""
    config = preset("tiny")
    bench = Bench(config)
    works = [random_work(rng, config, drain=True, rows=3), random_work(rng, config, drain=False)]
    expected = expected_run(config, works)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        await bench.load(ctx, works)
        for cycle in range(len(expected) - 1):
            trace = await bench.run(ctx, works, starts=(cycle,))
            assert_trace(trace, expected)
            errors = [outputs["error"] for outputs in trace]
            assert errors == [Error.NONE] * (cycle + 1) + [Error.BUSY] * (len(expected) - cycle - 1)

    simulate(bench.dut, testbench)


def test_start_in_the_cycle_after_a_run(rng: np.random.Generator) -> None:
    """The next run may begin as soon as the one before has ended, while its counters are saved."""
    config = preset("tiny")
    bench = Bench(config)
    works = [random_work(rng, config) for _ in range(2)]
    expected = expected_run(config, works)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        await bench.load(ctx, works)
        trace = await bench.run(ctx, works, starts=(len(expected) - 1,))
        assert_trace(trace, expected)
        trace = await bench.run(ctx, works, started=True)
        assert_trace(trace, expected)
        assert trace[-1]["error"] == Error.NONE

    simulate(bench.dut, testbench)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("scan_error", Error.COLUMN), ("row_error", Error.ROW), ("pointer_error", Error.POINTER)],
)
def test_faults_end_the_run(fault: str, code: Error, rng: np.random.Generator) -> None:
    """No drain and no further pass: counts are saved, sums cleared, the next run is sound."""
    config = preset("tiny")
    bench = Bench(config)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        good = [random_work(rng, config) for _ in range(3)]
        await bench.load(ctx, good)
        for faulty in range(3):
            works = [Work(work.descriptor, work.scan, work.idle) for work in good]
            works[faulty].fault = fault
            works[faulty].idle += 2
            trace = await bench.run(ctx, works)
            before = expected_run(config, works[: faulty + 1])
            compute = max(k for k, stated in enumerate(before) if "phase.computing" in stated) + 1
            clears = [{"drain.clear": 1, "drain.row": row} for row in range(config.rows)]
            clears[0] |= {"phase.save": 1, "phase.saved_pass": faulty}
            assert_trace(trace, [*before[:compute], *clears, {}])
            assert trace[-1]["error"] == code

            trace = await bench.run(ctx, good)
            assert trace[0]["error"] == Error.NONE
            assert_trace(trace, expected_run(config, good))

    simulate(bench.dut, testbench)
