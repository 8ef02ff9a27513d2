"""Central control with scans and PEs that the bench plays, and what it should do when."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hw.eie.central_control import CentralControl
from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.cycles import control_cycles, drain_cycles, drain_latency
from spec.eie.descriptor import Descriptor, descriptor_fields
from spec.eie.iomap import Memory, arming, array_counter_bits, descriptor_word_bits
from tests.hw.streams import plain


@dataclass
class Work:
    """A pass, and how long the scans and the PEs take over it (in cycles from the first look); a
    fault of theirs is told in the cycle ``fault_at``."""

    descriptor: Descriptor
    scan: int = 3
    idle: int = 5
    fault: str = ""
    fault_at: int = 1

    def compute(self, config: EieConfig) -> int:
        """Cycles until the end is seen: a cycle later by a pipelined array."""
        return max(self.scan, self.idle) + 1 + config.scan_pipeline

    def before(self, config: EieConfig) -> int:
        """Cycles from the pass's first row on."""
        return 1 + self.compute(config) + drain_cycles(config, self.descriptor)


def control_of(config: EieConfig, works: list[Work]) -> list[int]:
    """Cycles of control in each pass of a run."""
    before = [0, *(work.before(config) for work in works[:-1])]
    return [int(control_cycles(config, cycles)) for cycles in before]


def random_work(rng: np.random.Generator, config: EieConfig, **fixed: Any) -> Work:
    """Any descriptor, all of its fields over their whole width, but for ``rows``, ``split`` and
    the flags."""
    fields: dict[str, Any] = {
        name: int(rng.integers(1 << bits)) for name, bits in descriptor_fields(config).items()
    }
    fields["rows"] = int(rng.integers(1, config.rows + 1))
    fields["split"] = int(rng.integers(config.splits + 1))
    flags = {name: bool(rng.integers(2)) for name in ("relu", "drain", "swap")}
    scan, idle = (int(cycles) for cycles in rng.integers(1, 9, 2))
    return Work(Descriptor(**(fields | flags | fixed)), scan, idle)


_OUTPUTS = (
    *("busy", "error", "host_ready", "half", "begin", "settings"),
    *("reducing", "store_row"),
)


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
        ports = {name: getattr(dut, name) for name in _OUTPUTS}
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
        await self.cycle(ctx, wrote=1)
        ctx.set(self.dut.host.write_enable, 0)
        ctx.set(self.dut.wrote, 0)

    async def boot(self, ctx) -> None:
        """Wait for I/O mode after reset."""
        while (await self.cycle(ctx, idle=1))["busy"]:
            pass

    async def load(self, ctx, works: list[Work], first: int = 0) -> None:
        """Write a run's passes into the table, from ``first`` on, and arm them."""
        for number, work in enumerate(works, first):
            for index, word in enumerate(work.descriptor.pack(self.config)):
                address = number << descriptor_word_bits(self.config) | index
                await self.write(ctx, Memory.DESCRIPTORS, address, word)
        await self.arm(ctx, first, len(works))

    async def arm(self, ctx, first: int, count: int) -> None:
        await self.write(ctx, Memory.CONTROL, 0, arming(first, count))

    async def run(
        self,
        ctx,
        works: list[Work],
        starts: tuple[int, ...] = (),
        started: bool = False,
        events: Callable[[bool], dict[str, int]] = lambda scanning: {},
    ) -> list[dict[str, Any]]:
        """Start; play the scans and the PEs; give the cycles in which it was busy, and one more.

        ``starts`` are cycles of the run with another start; ``started`` says that it has begun.
        ``events`` draws what else happens in a cycle, told whether the scans are at work.
        """
        if not started:
            await self.cycle(ctx, start=1, **events(False))
        first, passes, since, work = len(self.trace), iter(works), -1, Work(works[0].descriptor)
        while True:
            number = len(self.trace) - first
            playing = since >= 0
            scanning = playing and since < work.scan
            fault = work.fault if playing and since == work.fault_at else ""
            outputs = await self.cycle(
                ctx,
                start=number in starts,
                scanning=scanning,
                idle=not (playing and since < work.idle),
                **{name: name == fault for name in ("scan_error", "row_error", "pointer_error")},
                **events(scanning),
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
        # Only what was asked for in that cycle counts.
        ctx.set(host.memory, Memory.COUNTERS)
        ctx.set(host.address, 0)
        if self.config.scan_pipeline:
            assert ctx.get(host.answer) == 0, "it answers a cycle later"
            await self.cycle(ctx)
        answer = ctx.get(host.answer)
        await self.cycle(ctx)
        assert ctx.get(host.answer) == 0, "it answers once"
        return answer


def expected_run(config: EieConfig, works: list[Work], first: int = 0) -> list[dict[str, Any]]:
    """What is not quiet in each cycle of a run without errors, and of the one behind it.

    ``first`` is the place of its first pass in the table.
    """
    cycles: list[dict[str, Any]] = []
    half = 0
    for number, (work, control) in enumerate(zip(works, control_of(config, works), strict=True)):
        step = work.descriptor
        begin = len(cycles)
        cycles += [{} for _ in range(control)]
        cycles[-1] |= {"begin": 1, "half": half, "settings": settings_of(config, step)}
        if number:
            cycles[begin] |= {"phase.save": 1, "phase.saved_pass": first + number - 1}
        cycles += [{"phase.computing": 1, "half": half} for _ in range(work.compute(config))]
        cycles += expected_drain(config, step, half)
        half ^= step.swap
    return [*cycles, {"phase.save": 1, "phase.saved_pass": first + len(works) - 1}]


def expected_drain(config: EieConfig, step: Descriptor, half: int) -> list[dict[str, Any]]:
    """Each row is ordered, gets its bias when the clusters' sums are there, and is stored."""
    cycles: list[dict[str, Any]] = [{"reducing": 1} for _ in range(drain_cycles(config, step))]
    if not step.drain:
        return cycles
    for row in range(step.rows):
        place = row >> step.split
        bias = (step.bias_base + place) % (1 << config.bias_address_bits)
        target = (step.output_base + place) % (1 << config.act_row_bits)
        cycles[row] |= {"drain.enable": 1, "drain.clear": 1, "drain.row": row}
        cycles[row + config.splits] |= {"drain.bias_address": bias}
        cycles[row + drain_latency(config)] |= {
            "drain.store_enable": 1,
            "drain.store_address": (1 - half) << config.act_row_bits | target,
            "store_row": row % config.clusters,
        }
    for cycle in cycles:
        cycle |= {"drain.bias_enable": 1}
    return cycles


def settings_of(config: EieConfig, step: Descriptor) -> dict[str, int]:
    return {name: int(getattr(step, name)) for name in descriptor_fields(config)}
