"""Central control with a scan and PEs that the bench plays, and what it should do when."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hw.eie.central_control import CentralControl
from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.cycles import DRAIN_CYCLES, control_cycles
from spec.eie.descriptor import Descriptor, descriptor_fields
from spec.eie.iomap import Memory, array_counter_bits, descriptor_word_bits
from tests.hw.streams import plain


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


def random_work(rng: np.random.Generator, config: EieConfig, **fixed: Any) -> Work:
    """Any descriptor, all of its fields over their whole width, but ``rows`` and the flags."""
    fields: dict[str, Any] = {
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
