"""A router with arrays, a register file and messages that the bench plays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hw.shell.router import Router
from spec.eie import iomap as eie_iomap
from spec.eie.config import EieConfig
from spec.messages import Kind, number
from spec.nm import iomap as nm_iomap
from spec.nm.config import NmConfig
from spec.registers.table import NM, Counter
from tests.hw.streams import MIX, Pace, plain, steady

Config = EieConfig | NmConfig


def answer_of(engine: str, request: dict[str, int]) -> int:
    """What an array of this bench answers: hardly two requests alike."""
    mixed = number(engine) + 1
    for value in request.values():
        mixed = (mixed << 24 | value) * MIX % (1 << 64)
    return mixed


@dataclass
class Array:
    """An array with a queue: takes requests when it likes, one read at a time, and answers it after
    ``delay()`` cycles without a run."""

    config: Config
    port: Any
    pace: Pace
    delay: Callable[[], int]
    busy: bool = False
    written: list[dict] = field(default_factory=list)
    loaded: list[int] = field(default_factory=list)
    asked: list[dict] = field(default_factory=list)
    left: int | None = None

    @property
    def there(self) -> bool:
        """Its answer is."""
        return self.left == 0

    def drive(self, ctx) -> None:
        port = self.port
        ctx.set(port.busy, self.busy)
        ctx.set(port.write.ready, self.pace())
        ctx.set(port.read.ready, self.left is None and self.pace())
        ctx.set(port.data.valid, self.there)
        answer = answer_of(self.config.engine, self.asked[-1]) if self.there else (1 << 64) - 1
        ctx.set(port.data.payload, answer)
        if self.config.engine == NM:
            ctx.set(port.load.ready, self.pace())

    def streams(self) -> list[Any]:
        """Of what comes and goes: whether it does, and what it is."""
        names = ["write", "read", "data", *(["load"] if self.config.engine == NM else [])]
        ports = [getattr(self.port, name) for name in names]
        return [part for one in ports for part in (one.valid & one.ready, one.payload)]

    def follow(self, samples: list[Any]) -> bool:
        """Do what a cycle brought; whether a read was taken in it."""
        writes, write, reads, read, taken, _, loads, word = [*samples, 0, 0][:8]
        if self.left and not self.busy:
            self.left -= 1
        if taken:
            assert self.there
            self.left = None
        if writes:
            self.written.append(plain(write))
        if reads:
            self.asked.append(plain(read))
            self.left = self.delay() - 1
        if loads:
            self.loaded.append(word)
        return bool(reads)


class Bench:
    """A router, what is around it, and whose read is under way.

    ``probe`` is the counter that the register file waits for; it becomes ``None`` with its
    ``outcome``, a word, or ``None`` if it was refused.
    """

    def __init__(
        self,
        configs: list[Config],
        maker: Pace = steady,
        taker: Pace = steady,
        pace: Pace = steady,
        delay: Callable[[], int] = lambda: 1,
    ):
        self.dut = Router(configs)
        self.arrays = {
            one.engine: Array(one, getattr(self.dut, one.engine), pace, delay) for one in configs
        }
        self.maker, self.taker = maker, taker
        self.items: list[dict] = []
        self.answers: list[dict] = []
        self.probe: Counter | None = None
        self.outcome: int | None = None
        self.number, self.pe = 0, 0
        self._offers = False
        self.reading = ""
        self._due = (False, False)

    async def cycle(self, ctx, restart: bool = False) -> None:
        """Offer the first item, if there is one; and keep what comes of it."""
        dut, probe = self.dut, self.probe
        self._offers = bool(self.items) and (self._offers or self.maker())
        ctx.set(dut.i.valid, self._offers)
        if self._offers:
            ctx.set(dut.i.payload, self.items[0])
        ctx.set(dut.o.ready, self.taker())
        ctx.set(dut.probing, probe is not None)
        if probe is not None:
            told = {"engine": number(probe.engine), "in_pe": probe.in_pe, "index": probe.index}
            ctx.set(dut.probe, told)
        ctx.set(dut.pass_number, self.number)
        ctx.set(dut.pe, self.pe)
        ctx.set(dut.restart, restart)
        for array in self.arrays.values():
            array.drive(ctx)
        streams = [array.streams() for array in self.arrays.values()]
        _, _, took, given, answer, probed, refused, word, *rest = await ctx.tick().sample(
            self._offers & dut.i.ready,
            *(dut.o.valid & dut.o.ready, dut.o.payload),
            *(dut.probed, dut.refused, dut.counter),
            *(part for parts in streams for part in parts),
        )

        assert (probed, refused) == self._due, "a counter is there, or refused, a cycle late"
        self._expect_outcome(probed, refused)
        if given:
            assert self.reading == "message"
            self.answers.append(plain(answer))
        if probed:
            assert word == answer_of(probe.engine, expected_request(self, probe))
        if probed or refused:
            self.probe, self.outcome = None, word if probed else None
        done = given or probed
        for array, parts in zip(self.arrays.values(), streams, strict=True):
            samples, rest = rest[: len(parts)], rest[len(parts) :]
            self._follow(array, samples, took)
        if done:
            self.reading = ""
        if took:
            self.items.pop(0)
            self._offers = False
        if restart:
            self._restart()

    def _expect_outcome(self, probed: bool, refused: bool) -> None:
        """What the register file is to hear in the next cycle."""
        there = any(array.there for array in self.arrays.values())
        refuses = False
        if self.probe is not None and not refused:
            wanted = self._offers and self.items[0]["kind"] == Kind.READ
            busy = self.arrays[self.probe.engine].busy
            refuses = self.reading == "message" or (not self.reading and (busy or wanted))
        self._due = (self.reading == "counter" and there and not probed, refuses)

    def _follow(self, array: Array, samples: list[Any], took: bool) -> None:
        """An array's part of a cycle: what it got was meant for it, whoever asked."""
        asked, busy, loaded = self.reading, array.busy, len(array.loaded)
        reads = array.follow(samples)
        item = self.items[0] if self._offers else {"kind": None, "engine": None}
        mine = item["engine"] == number(array.config.engine)
        if reads:
            assert not asked, "one read at a time"
            self.reading = "message" if took and mine and item["kind"] == Kind.READ else "counter"
            if self.reading == "counter":
                assert self.probe is not None
                assert array.asked[-1] == expected_request(self, self.probe)
        if mine and item["kind"] == Kind.LOAD:
            assert took or busy, "dropped at once"
            assert len(array.loaded) == loaded + (took and busy)

    def _restart(self) -> None:
        """Everything around it begins anew, too, but for the register file."""
        self.reading, self._offers, self._due = "", False, (False, False)
        self.items.clear()
        for array in self.arrays.values():
            array.left, array.busy = None, False

    async def fetch(self, ctx, counter: Counter) -> int:
        """Ask for a counter; gives the cycles up to its outcome, with that one."""
        self.probe, cycles = counter, 0
        while self.probe is not None:
            await self.cycle(ctx)
            cycles += 1
        return cycles

    async def drain(self, ctx) -> None:
        """Go on until nothing is left of messages, and of reads."""
        while self.items or self.reading:
            await self.cycle(ctx)


def expected_request(bench: Bench, counter: Counter) -> dict[str, int]:
    """Where the array keeps a counter, as its ``iomap`` states it."""
    if counter.engine == NM:
        return {"address": counter.index, "memory": nm_iomap.Memory.COUNTERS}
    bits = eie_iomap.pe_counter_bits() if counter.in_pe else eie_iomap.array_counter_bits()
    memory = eie_iomap.Memory.COUNTERS if counter.in_pe else eie_iomap.Memory.CONTROL
    return {"address": bench.number << bits | counter.index, "memory": memory, "pe": bench.pe}
