"""Host port: every request reaches the one it is for; answers in order; what waits for a run."""

from typing import Any

import numpy as np
import pytest

from hw.eie.host_port import HostPort
from spec.config import IO_DATA_BITS
from spec.eie.config import EieConfig, preset
from spec.eie.iomap import WHILE_COMPUTING, Memory
from tests.hw.streams import MIX, Pace, paces, ragged, receiver, recorder, send, simulate, steady
from tests.programs import PIPELINES

pytestmark = pytest.mark.unit

CONTROL = "control"

ARRAY_WIDE = (Memory.CONTROL, Memory.DESCRIPTORS)


def target_of(config: EieConfig, request: dict[str, int]) -> str | int | None:
    """Central control, a PE's number, or nobody: a PE number that does not exist."""
    if request["memory"] in ARRAY_WIDE:
        return CONTROL
    return request["pe"] if request["pe"] < config.pes else None


def answer_of(config: EieConfig, target: str | int | None, request: dict[str, int]) -> int:
    """What the targets of this bench answer: hardly two requests alike, and full words."""
    if target is None:
        return 0
    number = 77 if target == CONTROL else int(target)
    mixed = (number << 40 | request["memory"] << 32 | request["address"]) * MIX
    bits = IO_DATA_BITS if target == CONTROL else config.element_answer_bits
    return mixed % (1 << bits) | 1 << bits - 1


def draw(
    rng: np.random.Generator, config: EieConfig, count: int, kind: str
) -> list[dict[str, int]]:
    limits = {
        "address": 1 << config.io_address_bits,
        "memory": len(Memory),
        "pe": 1 << config.pe_bits,
    }
    requests = [
        {name: int(rng.integers(limit)) for name, limit in limits.items()} for _ in range(count)
    ]
    if kind == "write":
        for request in requests:
            request["data"] = int(rng.integers(1 << 64, dtype=np.uint64))
    return requests


class Bench:
    """A host port, targets that answer, and a record of every access to them."""

    def __init__(self, config: EieConfig):
        self.config = config
        self.dut = HostPort(config)
        self.targets: dict[str | int, Any] = {CONTROL: self.dut.control}
        self.targets |= {pe: self.dut.pes[pe] for pe in range(config.pes)}
        self.samples: list[tuple] = []

    async def answer(self, ctx) -> None:
        """Each target answers in the cycle after it was asked, a registered PE four later, central
        control of a pipelined array one later, and is zero otherwise."""
        late, late_control = 4 * self.config.pe_registers, int(self.config.scan_pipeline)
        ways = {name: [0] * (late_control if name == CONTROL else late) for name in self.targets}
        ports = [
            port
            for target in self.targets.values()
            for port in (target.read_enable, target.memory, target.address)
        ]
        async for _, _, *values in ctx.tick().sample(*ports):
            for number, (name, target) in enumerate(self.targets.items()):
                asked, memory, address = values[3 * number : 3 * number + 3]
                request = {"memory": memory, "address": address}
                ways[name].append(answer_of(self.config, name, request) if asked else 0)
                ctx.set(target.answer, ways[name].pop(0))

    def run(
        self,
        writes: list[dict],
        reads: list[dict],
        write_pace: Pace = steady,
        read_pace: Pace = steady,
        data_pace: Pace = steady,
        open_pace: Pace = steady,
    ):
        """Cycles of the writes and reads, answers with their cycles."""
        dut = self.dut

        async def gate(ctx) -> None:
            while True:
                ctx.set(dut.open, open_pace())
                await ctx.tick()

        async def write(ctx) -> list[int]:
            return await send(ctx, dut.write, writes, write_pace)

        async def read(ctx) -> list[int]:
            return await send(ctx, dut.read, reads, read_pace)

        names = ("write_enable", "read_enable", "memory", "address", "data")
        ports = [getattr(target, name) for target in self.targets.values() for name in names]
        take = receiver(dut.data, len(reads), data_pace)
        background = [gate, self.answer, recorder(self.samples, dut.open, dut.wrote, *ports)]
        return simulate(dut, write, read, take, background=background)

    def accesses(self) -> list[tuple]:
        """(cycle, kind, target, memory, address, data or 0) of everything that reached a target."""
        found = []
        for cycle, (_, _, *values) in enumerate(self.samples):
            for number, target in enumerate(self.targets):
                writes, reads, memory, address, data = values[5 * number : 5 * number + 5]
                if writes:
                    found.append((cycle, "write", target, memory, address, data))
                if reads:
                    found.append((cycle, "read", target, memory, address, 0))
        return found


@pytest.mark.parametrize(("pes", "double_buffer"), [(1, True), (3, False), (4, False), (4, True)])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_any_traffic(
    pes: int, double_buffer: bool, pipeline: dict[str, bool], rng: np.random.Generator
) -> None:
    """Writes and reads at once, to all targets and to none, while I/O mode comes and goes. With
    ``scan_pipeline`` they come to PEs a cycle later."""
    config = preset("tiny", pes=pes, clusters=1, double_buffer=double_buffer, **pipeline)
    late = pipeline["scan_pipeline"]
    for number, (maker, taker) in enumerate(paces(rng)):
        bench = Bench(config)
        writes, reads = draw(rng, config, 25, "write"), draw(rng, config, 25, "read")
        gate = steady if number % 2 else ragged(rng, 0.7)
        written, asked, taken = bench.run(writes, reads, maker, ragged(rng, 0.6), taker, gate)

        answers = [answer_of(config, target_of(config, read), read) for read in reads]
        assert [answer for _, answer in taken] == answers
        requests = [("write", *pair) for pair in zip(written, writes, strict=True)]
        requests += [("read", *pair) for pair in zip(asked, reads, strict=True)]
        expected = []
        for kind, cycle, request in requests:
            target = target_of(config, request)
            if target is not None:
                memory, address = request["memory"], request["address"]
                comes = cycle + (late and target != CONTROL)
                bits = IO_DATA_BITS if target == CONTROL else config.element_word_bits
                word = request.get("data", 0) % (1 << bits)
                expected.append((comes, kind, target, memory, address, word))
        # The last may come when nobody looks any more.
        seen = [one for one in expected if one[0] < len(bench.samples)]
        assert len(seen) >= len(expected) - late
        assert sorted(bench.accesses(), key=str) == sorted(seen, key=str)
        assert not set(written) & set(asked)
        wrote = [cycle for cycle, (_, wrote, *_) in enumerate(bench.samples) if wrote]
        assert wrote == written
        pairs = zip(written, writes, strict=True)
        waits = [cycle for cycle, write in pairs if must_wait(config, write)]
        assert all(bench.samples[cycle][0] for cycle in (*waits, *asked))


def must_wait(config: EieConfig, write: dict[str, int]) -> bool:
    """Whether a write has to wait for I/O mode."""
    return not (config.double_buffer and write["memory"] in WHILE_COMPUTING)


@pytest.mark.parametrize("double_buffer", [False, True])
def test_writes_while_computing(double_buffer: bool, rng: np.random.Generator) -> None:
    """One in every cycle, up to the first that has to wait."""
    config = preset("tiny", double_buffer=double_buffer)
    requests = draw(rng, config, 200, "write")
    early = [write for write in requests if write["memory"] in WHILE_COMPUTING]
    late = [write for write in requests if write["memory"] not in WHILE_COMPUTING]
    closed = iter([False] * 200)
    written, _, _ = Bench(config).run([*early, *late], [], open_pace=lambda: next(closed, True))
    before = len(early) if double_buffer else 0
    assert written[:before] == list(range(before))
    assert written[before:] == list(range(200, 200 + len(requests) - before))


@pytest.mark.parametrize(("pipeline", "latency"), [*zip(PIPELINES, [2, 3, 7], strict=True)])
def test_steady_traffic(pipeline: dict[str, bool], latency: int, rng: np.random.Generator) -> None:
    """A write in every cycle; a read when the one before is answered, ``latency`` cycles later, and
    its answer taken."""
    config = preset("tiny", **pipeline)
    writes, reads = draw(rng, config, 30, "write"), draw(rng, config, 30, "read")
    written, _, _ = Bench(config).run(writes, [])
    assert written == list(range(30))
    bench = Bench(config)
    _, asked, taken = bench.run([], reads)
    assert asked == list(range(0, 30 * (latency + 1), latency + 1))
    assert bench.dut.latency == latency
    assert [cycle for cycle, _ in taken] == [cycle + latency for cycle in asked]


def test_writes_go_first(rng: np.random.Generator) -> None:
    """While there is something to write, reads wait."""
    config = preset("tiny")
    written, asked, _ = Bench(config).run(
        draw(rng, config, 20, "write"), draw(rng, config, 3, "read")
    )
    assert written == list(range(20))
    assert asked == [20, 23, 26]
