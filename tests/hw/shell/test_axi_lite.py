"""AXI4-Lite: every access once and in order, whoever is slow; its rules hold on all channels."""

from collections.abc import Callable

import pytest

from hw.shell.axi_lite import OKAY, SLVERR, AxiLite
from tests.hw.streams import Pace, paces, ragged, simulate, steady

pytestmark = pytest.mark.unit

CHANNELS = {
    "aw": ("awaddr", "awprot"),
    "w": ("wdata", "wstrb"),
    "b": ("bresp",),
    "ar": ("araddr", "arprot"),
    "r": ("rdata", "rresp"),
}


def offer(bus, channel: str, words: list[dict], pace: Pace) -> Callable:
    """A manager's side of a channel that it drives."""

    async def run(ctx) -> None:
        valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
        for word in words:
            while not pace():
                await ctx.tick()
            for name, value in word.items():
                ctx.set(getattr(bus, name), value)
            ctx.set(valid, 1)
            await ctx.tick().until(ready)
            ctx.set(valid, 0)

    return run


def take(bus, channel: str, count: int, pace: Pace) -> Callable:
    """A manager's side of a channel that answers."""

    async def run(ctx) -> list[tuple]:
        valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
        fields = [getattr(bus, name) for name in CHANNELS[channel]]
        found: list[tuple] = []
        while len(found) < count:
            willing = pace()
            ctx.set(ready, willing)
            _, _, there, *values = await ctx.tick().sample(valid, *fields)
            if willing and there:
                found.append(tuple(values))
        ctx.set(ready, 0)
        return found

    return run


def rules(bus) -> Callable:
    """AMBA AXI, A3.2.1: what is offered stays as it is until it is taken."""

    async def watch(ctx) -> None:
        ports = []
        for channel, fields in CHANNELS.items():
            names = (f"{channel}valid", f"{channel}ready", *fields)
            ports += [getattr(bus, name) for name in names]
        before: dict[str, tuple | None] = dict.fromkeys(CHANNELS)
        async for _, _, *values in ctx.tick().sample(*ports):
            for channel, fields in CHANNELS.items():
                valid, ready, *word = (values.pop(0) for _ in range(2 + len(fields)))
                if before[channel] is not None:
                    assert valid, channel
                    assert tuple(word) == before[channel], channel
                before[channel] = tuple(word) if valid and not ready else None

    return watch


def registers(dut: AxiLite, log: list[dict], pace: Pace) -> Callable:
    """Does accesses: a read gives twice the address, and what is above 0x800 fails."""

    async def run(ctx) -> None:
        while True:
            while not pace():
                await ctx.tick()
            ctx.set(dut.o.ready, 1)
            payload = dut.o.payload
            _, _, valid, access = await ctx.tick().sample(dut.o.valid, payload)
            ctx.set(dut.o.ready, 0)
            if not valid:
                continue
            log.append({name: access[name] for name in ("address", "write", "data", "strobe")})
            while not pace():
                await ctx.tick()
            address = access["address"]
            ctx.set(dut.i.payload, {"data": 2 * address, "failed": address >= 0x800})
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    return run


@pytest.mark.parametrize("traffic", range(6))
def test_reads_and_writes(rng, traffic):
    dut, log = AxiLite(), []
    pace, other = paces(rng)[traffic]
    count = 25
    reads = [{"araddr": int(at)} for at in rng.integers(1 << 12, size=count)]
    writes = [
        ({"awaddr": int(at)}, {"wdata": int(word), "wstrb": int(strobe)})
        for at, word, strobe in zip(
            rng.integers(1 << 12, size=count),
            rng.integers(1 << 32, size=count),
            rng.integers(16, size=count),
            strict=True,
        )
    ]
    bus = dut.bus
    *_, written, read = simulate(
        dut,
        offer(bus, "ar", reads, pace),
        offer(bus, "aw", [one for one, _ in writes], pace),
        offer(bus, "w", [one for _, one in writes], ragged(rng, 0.7)),
        take(bus, "b", count, other),
        take(bus, "r", count, other),
        background=[registers(dut, log, pace), rules(bus)],
    )
    response = {False: OKAY, True: SLVERR}
    addresses = [one["araddr"] for one in reads]
    assert read == [(2 * at, response[at >= 0x800]) for at in addresses]
    assert written == [(response[one["awaddr"] >= 0x800],) for one, _ in writes]
    assert [one["address"] for one in log if not one["write"]] == addresses
    assert [(one["address"], one["data"], one["strobe"]) for one in log if one["write"]] == [
        (a["awaddr"], w["wdata"], w["wstrb"]) for a, w in writes
    ]


def test_they_take_turns():
    """Neither can starve the other."""
    dut, log = AxiLite(), []
    bus = dut.bus
    simulate(
        dut,
        offer(bus, "ar", [{"araddr": 4}] * 10, steady),
        offer(bus, "aw", [{"awaddr": 8}] * 10, steady),
        offer(bus, "w", [{"wstrb": 15}] * 10, steady),
        take(bus, "b", 10, steady),
        take(bus, "r", 10, steady),
        background=[registers(dut, log, steady)],
    )
    assert [one["write"] for one in log] == [0, 1] * 10
