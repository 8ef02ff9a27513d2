"""Bench of the N:M MAC unit: weights and places of packed strips in, sums compared."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import cocotb
import numpy as np

from hw.nm.mac import mac_latency
from spec.nm.config import NmConfig
from spec.nm.golden import Decoded
from spec.nm.program import Layer
from spec.nm.strips import Strip
from spec.nm.tiles import restore
from tests.hw.nm.machine import Job
from tests.hw.streams import Pace, ragged, steady
from tests.sim.benches.drivers import Bench
from tests.sim.benches.nm_jobs import read_layers


@dataclass(frozen=True)
class Step:
    """What the unit takes in a cycle."""

    weights: np.ndarray
    places: np.ndarray
    windows: np.ndarray
    first: bool

    def products(self) -> int:
        """What it adds to the sum."""
        picked = np.take_along_axis(self.windows, self.places[:, None], axis=1)
        return int((self.weights * picked[:, 0]).sum())


def steps_of(job: Job, output: int, acts: np.ndarray, rng: np.random.Generator) -> list[Step]:
    """The steps of one output over one token; ``output`` in the array's order."""
    config, layer = job.program.config, job.program.layers[job.number]
    number, row = divmod(output, config.rows)
    parts = slice(number * layer.parts, (number + 1) * layer.parts)
    found: list[Step] = []
    for strip in job.program.strips(job.number)[parts]:
        windows = windows_of(config, layer, strip, len(found), acts, rng)
        found += [
            Step(weights, places, window, first=False)
            for weights, places, window in zip(
                strip.values[:, row], strip.places[:, row], windows, strict=True
            )
        ]
    found[0] = replace(found[0], first=True)
    return found


def windows_of(
    config: NmConfig,
    layer: Layer,
    strip: Strip,
    begin: int,
    acts: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """What multipliers may pick from, (steps, multipliers, m); anything beyond the mode's group.

    ``begin`` is the number of the first step.
    """
    mode = layer.pattern
    group = np.arange(config.multipliers) // mode.n * mode.m
    first = np.arange(strip.steps)[:, None] * config.step_inputs(mode)
    inputs = (first + group)[:, :, None] + np.arange(mode.m)
    if layer.gather:
        inputs = restore(config, strip.offsets)[inputs]
    else:
        inputs += begin * config.step_inputs(mode)
    low = -(1 << (config.act_bits - 1))
    windows = rng.integers(low, -low, (strip.steps, config.multipliers, config.m))
    # Behind the last input there are zeros.
    windows[:, :, : mode.m] = np.append(acts, 0)[np.minimum(inputs, layer.inputs)]
    return windows


class MacBench(Bench):
    """A MAC unit; its sum is compared in every cycle.

    Attributes
    ----------
    total : int
        Sum of the steps so far.
    """

    def __init__(self, dut: Any, config: NmConfig) -> None:
        places = " places" if config.place_bits else ""
        super().__init__(dut, f"valid first weights windows{places}")
        self.config = config
        self._forget()

    def _forget(self) -> None:
        self.total = 0
        self._under_way = deque([0] * mac_latency(self.config))

    def _drive(self, step: Step) -> None:
        config = self.config
        self.dut.first.value = int(step.first)
        self.dut.weights.value = packed(step.weights, config.weight_bits)
        self.dut.windows.value = packed(step.windows, config.act_bits)
        if config.place_bits:
            self.dut.places.value = packed(step.places, config.place_bits)

    def _anything(self) -> Step:
        """Operands that nobody should look at."""
        config, rng = self.config, self.rng
        shape = (config.multipliers, config.m)
        return Step(
            rng.integers(-1, 1, config.multipliers),
            rng.integers(0, config.m, config.multipliers),
            rng.integers(-1, 1, shape),
            bool(rng.integers(2)),
        )

    async def clock(self, step: Step | None) -> None:
        """A cycle with a step or without one; what stands on ``o`` in it is compared."""
        if step:
            self.total = step.products() + (0 if step.first else self.total)
        self._drive(step or self._anything())
        self.dut.valid.value = int(step is not None)
        await self.edge
        self._under_way.append(self.total)
        expected = self._under_way.popleft()
        assert self.dut.o.value.to_signed() == expected

    async def feed(self, steps: list[Step], pace: Pace) -> None:
        """Steps in order."""
        for step in steps:
            while not pace():
                await self.clock(None)
            await self.clock(step)

    async def reset(self) -> None:
        """Reset while operands go on coming: nothing of what is under way reaches the sum."""
        for _ in range(int(self.rng.integers(1, 3))):
            self._drive(self._anything())
            self.dut.valid.value = 1
            self.dut.rst.value = 1
            await self.edge
        self.dut.rst.value = 0
        self._forget()


def packed(values: np.ndarray, bits: int) -> int:
    """Fields of a port, the first one lowest, in two's complement."""
    mask = (1 << bits) - 1
    return sum((int(value) & mask) << bits * at for at, value in enumerate(values.ravel()))


def chosen(job: Job, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """Some outputs, in the array's order, and tokens."""
    outputs = rng.integers(job.program.layers[job.number].outputs, size=count)
    return list(zip(outputs.tolist(), rng.integers(job.tokens, size=count).tolist(), strict=True))


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(traffic=["steady", "ragged"])
async def layers(dut: Any, traffic: str) -> None:
    """Outputs of all layers, and so modes, right behind each other; sums are the golden ones."""
    jobs = read_layers()
    bench = MacBench(dut, jobs[0].program.config)
    await bench.pulse("rst")
    for number in bench.rng.permutation(2 * len(jobs)):
        job = jobs[number % len(jobs)]
        sums = Decoded(job.program, job.number).multiply(job.acts)
        for output, token in chosen(job, bench.rng, 8):
            share = float(bench.rng.choice([0.2, 0.5, 0.9]))
            pace = ragged(bench.rng, share) if traffic == "ragged" else steady
            await bench.feed(steps_of(job, output, job.acts[token], bench.rng), pace)
            assert bench.total == sums[token, output]
    await bench.feed([], steady)
    for _ in range(mac_latency(bench.config)):
        await bench.clock(None)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def resets(dut: Any) -> None:
    """In any step of an output: the sum is zero, stays so, and the next ones are right."""
    jobs = read_layers()
    bench = MacBench(dut, jobs[0].program.config)
    await bench.pulse("rst")
    for job, following in zip(jobs, [*jobs[1:], jobs[0]], strict=True):
        for output, token in chosen(job, bench.rng, 6):
            steps = steps_of(job, output, job.acts[token], bench.rng)
            await bench.feed(steps[: int(bench.rng.integers(1, len(steps) + 1))], steady)
            await bench.reset()
            for _ in range(int(bench.rng.integers(mac_latency(bench.config) + 2))):
                await bench.clock(None)
            for other, moment in chosen(following, bench.rng, 2):
                acts = following.acts[moment]
                await bench.feed(steps_of(following, other, acts, bench.rng), steady)
