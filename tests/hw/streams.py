"""Traffic for testbenches in Amaranth's simulator: steady and ragged, the rules of streams watched.

``simulate`` runs testbenches over a component; ``sender`` and ``receiver`` make testbenches of
streams; ``play`` gives a component its inputs cycle by cycle. Cycles are numbered from the start of
the simulation; one ends with the clock edge at which everything is sampled.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from amaranth import ClockDomain, Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.sim import Simulator

PERIOD = 1e-6
"""Of the clock, in seconds of the simulation; any would do."""

MIX = 0x9E3779B97F4A7C15
"""A number by which to multiply so that all bits depend on all bits."""

Context = Any
"""Amaranth's ``SimulatorContext``; its own types leave out that ``tick()`` needs no domain."""

Testbench = Callable[[Context], Awaitable[Any]]
Pace = Callable[[], bool]
"""Asked once in every cycle: is this side of the stream willing?"""


class Taken(NamedTuple):
    """A transfer on a stream: in which cycle, and what."""

    cycle: int
    payload: Any


def steady() -> bool:
    """The pace of a side that is always willing."""
    return True


def ragged(rng: np.random.Generator, share: float = 0.5) -> Pace:
    """A pace that is willing in a random ``share`` of all cycles."""
    return lambda: bool(rng.random() < share)


def paces(rng: np.random.Generator) -> list[tuple[Pace, Pace]]:
    """Every traffic that a stream should bear, as pairs of paces: of the maker, of the taker."""
    return [
        (steady, steady),
        (steady, ragged(rng)),
        (ragged(rng), steady),
        (ragged(rng), ragged(rng)),
        (ragged(rng, 0.9), ragged(rng, 0.2)),
        (ragged(rng, 0.2), ragged(rng, 0.9)),
    ]


def plain(value: Any) -> Any:
    """A sampled payload as integers, dicts (of structures) and lists (of arrays)."""
    if not isinstance(value, data.Const):
        return value
    if isinstance(value.shape(), data.ArrayLayout):
        return [plain(value[index]) for index in range(value.shape().length)]
    return {name: plain(value[name]) for name, _ in value.shape()}


async def send(
    ctx: Context, port: stream.Interface, payloads: Iterable, pace: Pace = steady
) -> list[int]:
    """Put payloads on a stream, in order; returns the cycles of the transfers, from the call."""
    sent, cycle = [], 0
    for payload in payloads:
        while not pace():
            await ctx.tick()
            cycle += 1
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(port.ready)
            cycle += 1
        sent.append(cycle - 1)
        ctx.set(port.valid, 0)
    return sent


async def receive(
    ctx: Context, port: stream.Interface, count: int, pace: Pace = steady
) -> list[Taken]:
    """Take ``count`` payloads off a stream. Cycles count from the call."""
    taken: list[Taken] = []
    always = port.signature.always_ready
    cycle = 0
    while len(taken) < count:
        willing = always or pace()
        if not always:
            ctx.set(port.ready, willing)
        _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
        if willing and valid:
            taken.append(Taken(cycle, plain(payload)))
        cycle += 1
    if not always:
        ctx.set(port.ready, 0)
    return taken


def sender(port: stream.Interface, payloads: Iterable, pace: Pace = steady) -> Testbench:
    """A testbench that does :func:`send`."""
    return lambda ctx: send(ctx, port, payloads, pace)


def receiver(port: stream.Interface, count: int, pace: Pace = steady) -> Testbench:
    """A testbench that does :func:`receive`."""
    return lambda ctx: receive(ctx, port, count, pace)


def watcher(port: stream.Interface, name: str = "stream") -> Testbench:
    """A testbench that fails if ``valid`` falls, or the payload changes, before ``ready``."""

    async def watch(ctx: Context) -> None:
        offered = None
        seen = ctx.tick().sample(port.valid, port.ready, Value.cast(port.payload))
        async for _, reset, valid, ready, payload in seen:
            if offered is not None:
                assert valid, f"{name}: valid fell before ready"
                assert payload == offered, f"{name}: payload changed before ready"
            offered = payload if valid and not ready and not reset else None

    return watch


def recorder(into: list[tuple], *values: Any) -> Testbench:
    """A testbench, for the background, that appends a tuple of samples in every cycle."""

    async def record(ctx: Context) -> None:
        async for _, _, *samples in ctx.tick().sample(*values):
            into.append(tuple(plain(sample) for sample in samples))

    return record


async def write_words(ctx: Context, port: Any, words: Iterable[int], first: int = 0) -> None:
    """Write words through a :class:`hw.eie.payloads.MemoryWrite`, from address ``first`` on."""
    ctx.set(port.enable, 1)
    for address, word in enumerate(words, first):
        ctx.set(port.address, address)
        ctx.set(port.data, int(word))
        await ctx.tick()
    ctx.set(port.enable, 0)


def keep_made(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list:
    """A list to which every component is appended that ``module`` makes of its class ``name``.

    Components inside others are made when those are elaborated: only once the simulation runs.
    """
    made: list = []
    real = getattr(module, name)

    class Kept(real):
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(module, name, Kept)
    return made


def made_streams(dut: wiring.Component) -> list[tuple[str, stream.Interface]]:
    """The streams that a component makes, with their names; those that never wait are left out."""
    found = []
    for name, member in dut.signature.members.items():
        is_made = member.is_signature and not member.dimensions and member.flow == wiring.Out
        if (
            is_made
            and isinstance(member.signature, stream.Signature)
            and not member.signature.always_ready
        ):
            found.append((name, getattr(dut, name)))
    return found


def simulate(
    dut: wiring.Component,
    *testbenches: Testbench,
    background: Sequence[Testbench] = (),
    limit: int = 20_000,
    domain: ClockDomain | None = None,
) -> list[Any]:
    """Run testbenches until all have ended; returns what each returned.

    Those of the ``background`` are not waited for. Every stream that ``dut`` makes is watched. More
    than ``limit`` cycles fail. Give a ``domain`` to reset the component through ``domain.rst``.
    """
    m = Module()
    m.domains.sync = domain or ClockDomain("sync")
    m.submodules.dut = dut
    simulator = Simulator(m)
    simulator.add_clock(PERIOD)
    results: list[Any] = [None] * len(testbenches)

    def keep(index: int, testbench: Testbench) -> Callable:
        async def run(ctx: Context) -> None:
            results[index] = await testbench(ctx)

        return run

    async def guard(ctx: Context) -> None:
        await ctx.delay(limit * PERIOD)
        raise AssertionError(f"testbenches have not ended after {limit} cycles")

    for index, testbench in enumerate(testbenches):
        simulator.add_testbench(keep(index, testbench))
    watchers = [watcher(port, name) for name, port in made_streams(dut)]
    for testbench in (*background, *watchers, guard):
        simulator.add_testbench(testbench, background=True)
    simulator.run()
    return results


def port_at(dut: Any, path: str) -> Any:
    """A port, or a part of one, by its path; numbers in it are places in arrays."""
    for name in path.split("."):
        dut = dut[int(name)] if name.isdigit() else getattr(dut, name)
    return dut


def play(
    dut: wiring.Component, steps: Sequence[dict[str, Any]], outputs: Sequence[str], *, tail: int = 0
) -> list[tuple]:
    """Set inputs cycle by cycle, and sample outputs in each of these cycles.

    Parameters
    ----------
    steps : sequence of dict
        What changes in a cycle: path of an input, such as ``"i.payload.row"`` or ``"i.3"`` (of an
        array), to its value.
    outputs : sequence of str
        Paths of ports to sample; combinational ones answer to the same cycle's inputs.
    tail : int
        Cycles to go on afterwards with the last inputs.
    """

    async def testbench(ctx: Context) -> list[tuple]:
        sampled = []
        tick = ctx.tick().sample(*(port_at(dut, path) for path in outputs))
        for step in [*steps, *[{}] * tail]:
            for path, value in step.items():
                is_numpy = isinstance(value, np.generic)
                ctx.set(port_at(dut, path), value.item() if is_numpy else value)
            _, _, *values = await tick
            sampled.append(tuple(plain(value) for value in values))
        return sampled

    return simulate(dut, testbench, limit=len(steps) + tail + 1)[0]
