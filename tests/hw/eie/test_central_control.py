"""Central control, with scans and PEs that the bench plays: states, orders, errors, cycles."""

from typing import Any

import numpy as np
import pytest

from hw.eie.tallies import SETTLE_CYCLES
from spec.eie.config import preset
from spec.eie.cycles import drain_cycles
from spec.eie.descriptor import descriptor_words
from spec.eie.iomap import Error, Memory, arming, descriptor_word_bits
from tests.hw.eie.control_bench import Bench, Work, control_of, expected_run, random_work
from tests.hw.streams import simulate

pytestmark = pytest.mark.unit

QUIET = {
    "begin": 0,
    "reducing": 0,
    "phase.computing": 0,
    "phase.save": 0,
    "drain.enable": 0,
    "drain.clear": 0,
    "drain.bias_enable": 0,
    "drain.store_enable": 0,
}

CONFIGS = {
    "tiny": {},
    "one of each": {"rows": 1, "layers": 1, "clusters": 1},
    "many clusters": {"pes": 24, "clusters": 8, "rows": 20, "layers": 5},
    "pipelined": {"scan_pipeline": True},
    "pipelined, many clusters": {"pes": 24, "clusters": 8, "scan_pipeline": True},
    "long descriptors": {
        "act_rows": 65536,
        "biases": 65536,
        "columns": 1 << 20,
        "codebooks": 256,
    },
}

PIPELINED = pytest.mark.parametrize("pipelined", [False, True])
"""What it hears of the host's, and of the end of a pass, may come a cycle later."""

FAULTS = pytest.mark.parametrize(
    ("fault", "code"),
    [("scan_error", Error.COLUMN), ("row_error", Error.ROW), ("pointer_error", Error.POINTER)],
)


def assert_trace(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Cycle by cycle, all outputs that are stated, and quiet ones otherwise."""
    assert len(found) == len(expected)
    saves = [outputs["phase.save"] for outputs in found]
    for number, (outputs, stated) in enumerate(zip(found, expected, strict=True)):
        wanted = QUIET | {"busy": int(number < len(expected) - 1)} | stated
        assert {name: outputs[name] for name in wanted} == wanted, f"cycle {number}"
        settled = not any(saves[max(0, number + 1 - SETTLE_CYCLES) : number + 1])
        assert outputs["host_ready"] == (not outputs["busy"] and settled)


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


@pytest.mark.parametrize("name", CONFIGS)
def test_passes_one_after_another(name: str, rng: np.random.Generator) -> None:
    """Random runs of one to all passes, anywhere in the table, each twice: all orders and phases in
    their cycles."""
    config = preset("tiny", **CONFIGS[name])
    bench = Bench(config)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        for _ in range(8):
            works = [random_work(rng, config) for _ in range(rng.integers(1, config.layers + 1))]
            first = int(rng.integers(config.layers + 1 - len(works)))
            await bench.load(ctx, works, first)
            for _ in range(2):
                trace = await bench.run(ctx, works)
                assert_trace(trace, expected_run(config, works, first))
                assert trace[-1]["error"] == Error.NONE

    simulate(bench.dut, testbench)


@PIPELINED
def test_descriptors_are_fetched_behind_the_pass_before(
    pipelined: bool, rng: np.random.Generator
) -> None:
    """A pass waits for its descriptor only behind one that is shorter than the fetch of it."""
    config = preset("tiny", **CONFIGS["long descriptors"], layers=12, scan_pipeline=pipelined)
    assert descriptor_words(config) == 3
    bench = Bench(config)
    works = [random_work(rng, config, drain=False) for _ in range(config.layers)]
    for cycles, work in enumerate(works, 1):
        work.scan = work.idle = cycles // 2 + 1
    assert control_of(config, works)[:4] == ([6, 2, 1, 1] if pipelined else [6, 3, 2, 2])

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        await bench.load(ctx, works)
        assert_trace(await bench.run(ctx, works), expected_run(config, works))

    simulate(bench.dut, testbench)


@PIPELINED
def test_counts_what_it_did(pipelined: bool, rng: np.random.Generator) -> None:
    """Control, compute, drain and their sum; what the scans send; words that the host writes."""
    config = preset("tiny", pes=12, clusters=4, scan_pipeline=pipelined)
    bench = Bench(config)
    drawn: list[dict[str, int]] = []

    def events(scanning: bool) -> dict[str, int]:
        most = {"broadcasts": 4 * scanning, "stalls": 4 * scanning, "wrote": 1}
        drawn.append({name: int(rng.integers(high + 1)) for name, high in most.items()})
        return drawn[-1]

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        for _ in range(5):
            works = [random_work(rng, config) for _ in range(rng.integers(1, config.layers + 1))]
            first = int(rng.integers(config.layers + 1 - len(works)))
            # Some are so long that counts carry, some so short that they may not.
            for work in works:
                work.scan += 300 * int(rng.integers(2))
            await bench.load(ctx, works, first)
            loads = sum(happened["wrote"] for happened in drawn)
            loads += len(works) * descriptor_words(config) + 1
            drawn.clear()
            await bench.run(ctx, works, events=events)
            await bench.cycle(ctx, wrote=0)
            await assert_counts(ctx, bench, works, first, drawn, loads)

    simulate(bench.dut, testbench)


async def assert_counts(
    ctx, bench: Bench, works: list[Work], first: int, events: list[dict[str, int]], loads: int
) -> None:
    """The counters of every pass of a run, with what happened in each cycle from its start on."""
    begin = 1
    for number, (work, control) in enumerate(
        zip(works, control_of(bench.config, works), strict=True)
    ):
        drain = drain_cycles(bench.config, work.descriptor)
        wanted = {"control": control, "compute": work.compute(bench.config), "drain": drain}
        cycles = sum(wanted.values())
        own = events[begin : begin + cycles]
        for counter, event in (("broadcasts",) * 2, ("stalls",) * 2, ("hidden", "wrote")):
            wanted[counter] = sum(one[event] for one in own)
        wanted |= {"cycles": cycles, "loads": 0 if number else loads}
        for name, value in wanted.items():
            found = await bench.counter(ctx, first + number, name)
            assert found == value, (number, name)
        begin += cycles


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 0), (3, 0), (0, 5), (1, 4), (4, 1), (3, 2), (65535, 1), (65535, 65535), (0, 65535)],
)
def test_arming_what_the_table_does_not_hold(
    first: int, count: int, rng: np.random.Generator
) -> None:
    """It arms nothing, and takes back what was armed."""
    config = preset("tiny", layers=4)
    bench = Bench(config)
    works = [random_work(rng, config)]

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        await bench.load(ctx, works, 3)
        assert_trace(await bench.run(ctx, works), expected_run(config, works, 3))
        await bench.arm(ctx, first, count)
        await bench.cycle(ctx, start=1)
        ctx.set(bench.dut.start, 0)
        outputs = await bench.cycle(ctx)
        assert (outputs["busy"], outputs["error"]) == (0, Error.NO_IMAGE)
        await bench.arm(ctx, 3, 1)
        assert_trace(await bench.run(ctx, works), expected_run(config, works, 3))

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


@PIPELINED
def test_second_start_in_every_cycle_of_a_run(pipelined: bool, rng: np.random.Generator) -> None:
    """The run goes on as if nothing had been; the error stays until the next accepted start."""
    config = preset("tiny", scan_pipeline=pipelined)
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


@PIPELINED
def test_start_in_the_cycle_after_a_run(pipelined: bool, rng: np.random.Generator) -> None:
    """The next run may begin as soon as the one before has ended, while its counters are saved."""
    config = preset("tiny", scan_pipeline=pipelined)
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


@PIPELINED
@FAULTS
def test_faults_end_the_run(
    fault: str, code: Error, pipelined: bool, rng: np.random.Generator
) -> None:
    """No drain and no further pass: counts are saved, sums cleared, the next run is sound."""
    config = preset("tiny", scan_pipeline=pipelined)
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


@PIPELINED
@FAULTS
def test_a_fault_at_the_last_moment(
    fault: str, code: Error, pipelined: bool, rng: np.random.Generator
) -> None:
    """One that is told in the last cycle of work ends the run; of a pipelined array, in which the
    PEs tell it a cycle later, one in the cycle behind."""
    config = preset("tiny", scan_pipeline=pipelined)
    bench = Bench(config)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        for drain in (False, True):
            works = [random_work(rng, config, drain=drain) for _ in range(2)]
            works[0].fault, works[0].fault_at = fault, works[0].compute(config) - 2
            await bench.load(ctx, works)
            trace = await bench.run(ctx, works)
            assert trace[-1]["error"] == code
            begun = sum(outputs["begin"] for outputs in trace)
            computed = sum(outputs["phase.computing"] for outputs in trace)
            assert (begun, computed) == (1, works[0].compute(config))
            assert not any(outputs["drain.enable"] for outputs in trace)

    simulate(bench.dut, testbench)


@PIPELINED
@pytest.mark.parametrize("name", ["tiny", "long descriptors"])
def test_start_behind_the_last_word_of_the_table(
    name: str, pipelined: bool, rng: np.random.Generator
) -> None:
    """The word that is wanted first may be written in the cycle before, and what is armed before or
    behind it."""
    config = preset("tiny", **CONFIGS[name], scan_pipeline=pipelined)
    bench = Bench(config)

    async def testbench(ctx) -> None:
        await bench.boot(ctx)
        for arms_first in (True, False):
            works, words = [random_work(rng, config) for _ in range(config.layers)], []
            for number, work in enumerate(works):
                for index, word in enumerate(work.descriptor.pack(config)):
                    words.append((number << descriptor_word_bits(config) | index, word))
            order = [(Memory.DESCRIPTORS, *pair) for pair in reversed(words)]
            order.insert(
                0 if arms_first else len(order), (Memory.CONTROL, 0, arming(0, len(works)))
            )
            for access in order:
                await bench.write(ctx, *access)
            assert_trace(await bench.run(ctx, works), expected_run(config, works))

    simulate(bench.dut, testbench)


@PIPELINED
def test_the_next_run_is_written_during_a_run(pipelined: bool, rng: np.random.Generator) -> None:
    """Into other passes of the table, a word in any cycle: neither run notices."""
    config = preset("tiny", layers=8, scan_pipeline=pipelined)
    bench = Bench(config)
    works = [random_work(rng, config, drain=True, rows=4) for _ in range(8)]

    async def testbench(ctx) -> None:
        host, later = bench.dut.host, []
        for number, work in enumerate(works[4:], 4):
            for index, word in enumerate(work.descriptor.pack(config)):
                later.append((number << descriptor_word_bits(config) | index, word))

        def events(scanning: bool) -> dict[str, int]:
            writes = bool(later) and rng.random() < 0.5
            ctx.set(host.write_enable, writes)
            if writes:
                address, word = later.pop()
                ctx.set(host.memory, Memory.DESCRIPTORS)
                ctx.set(host.address, address)
                ctx.set(host.data, word)
            return {"wrote": writes}

        await bench.boot(ctx)
        await bench.load(ctx, works[:4])
        assert_trace(
            await bench.run(ctx, works[:4], events=events), expected_run(config, works[:4])
        )
        assert not later
        await bench.arm(ctx, 4, 4)
        assert_trace(await bench.run(ctx, works[4:]), expected_run(config, works[4:], 4))

    simulate(bench.dut, testbench)
