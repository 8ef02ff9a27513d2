"""Router by itself, between arrays, a register file and messages that the bench plays."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import wiring

from hw.shell.router import Router
from spec.eie import iomap as eie_iomap
from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from spec.messages import Kind, number
from spec.nm import iomap as nm_iomap
from spec.nm.config import NmConfig
from spec.nm.config import preset as nm_preset
from spec.registers.table import EIE, NM, Counter, registers
from tests.hw.shell.router_bench import Bench, Config, answer_of, expected_request
from tests.hw.streams import paces, ragged, simulate, steady

pytestmark = pytest.mark.unit

SHELLS: dict[str, list[Config]] = {
    "eie": [eie_preset("tiny", pes=3, clusters=1)],
    "nm": [nm_preset("tiny")],
    "both": [eie_preset("tiny", pes=6), nm_preset("tiny", load_bits=128)],
}
IOMAPS: dict[str, Any] = {EIE: eie_iomap, NM: nm_iomap}

FETCH_CYCLES = 3
"""Of a counter, if nothing is in its way: it is asked for, answered, and a cycle late."""


def counters(configs: list[Config]) -> list[Counter]:
    """Every counter that a register shows, once."""
    shown = [one.counter for one in registers(configs) if one.counter is not None]
    return [one for one in shown if not one.high]


def item(rng: np.random.Generator, config: Config, kind: Kind) -> tuple[dict, Any]:
    """A random item, the unused bits of its last word set, and what the array is to get."""
    engine = config.engine
    if isinstance(config, NmConfig) and kind == Kind.LOAD:
        word = int.from_bytes(rng.bytes(config.load_bits // 8), "little")
        packed, payload, bits = word, word, config.load_bits
    else:
        iomap = IOMAPS[engine]
        fields = iomap.write_fields if kind == Kind.WRITE else iomap.read_fields
        widths = fields(config)
        payload = {
            name: int(rng.integers(1 << width, dtype=np.uint64))
            if width < 64
            else int.from_bytes(rng.bytes(8), "little")
            for name, width in widths.items()
        }
        pack = iomap.pack_writes if kind == Kind.WRITE else iomap.pack_reads
        values = {name: np.array([value], np.uint64) for name, value in payload.items()}
        limbs = np.ravel(pack(config, **values)).tolist()
        packed = sum(limb << 64 * place for place, limb in enumerate(limbs))
        bits = sum(widths.values())
    made = {
        "data": packed | (1 << -(-bits // 32) * 32) - (1 << bits),
        "kind": kind,
        "engine": number(engine),
        "last": int(rng.integers(2)),
    }
    return made, payload


def random_items(
    rng: np.random.Generator, configs: list[Config], count: int
) -> list[tuple[dict, Any]]:
    """Random items of all kinds for all arrays."""
    drawn = []
    while len(drawn) < count:
        config = configs[rng.integers(len(configs))]
        kind = Kind(int(rng.integers(3)))
        if kind != Kind.LOAD or config.engine == NM:
            drawn.append(item(rng, config, kind))
    return drawn


def meant(items: Iterable[tuple[dict, Any]], kind: Kind, engine: str) -> list:
    """What an array is to get of these items."""
    own = number(engine)
    return [payload for one, payload in items if (one["kind"], one["engine"]) == (kind, own)]


def expected_answers(items: Iterable[tuple[dict, Any]]) -> list[dict]:
    """What comes back for these items, in order."""
    names = {number(name): name for name in IOMAPS}
    return [
        {"data": answer_of(names[one["engine"]], payload), "last": one["last"]}
        for one, payload in items
        if one["kind"] == Kind.READ
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_counter_is_fetched(shell: str, rng: np.random.Generator) -> None:
    """From where the array keeps it, of any pass and PE, as fast as the array answers."""
    configs = SHELLS[shell]
    bench = Bench(configs)

    async def testbench(ctx) -> None:
        wanted = counters(configs)
        for place in rng.permutation(len(wanted)):
            config = bench.arrays[wanted[place].engine].config
            if isinstance(config, EieConfig):
                bench.number = int(rng.integers(config.layers))
                bench.pe = int(rng.integers(config.pes))
            assert await bench.fetch(ctx, wanted[place]) == FETCH_CYCLES
            request = expected_request(bench, wanted[place])
            assert bench.outcome == answer_of(config.engine, request)
            await bench.cycle(ctx)

    simulate(bench.dut, testbench)
    asked = sum(len(array.asked) for array in bench.arrays.values())
    assert asked == len(counters(configs))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_busy_array_shows_no_counters(shell: str) -> None:
    """They are refused in the next cycle, and the array is not asked; another array's are there."""
    configs = SHELLS[shell]
    bench = Bench(configs)

    async def testbench(ctx) -> None:
        for busy in [None, *bench.arrays]:
            for name, array in bench.arrays.items():
                array.busy = name == busy
            for counter in counters(configs):
                before = len(bench.arrays[counter.engine].asked)
                cycles = await bench.fetch(ctx, counter)
                refused = counter.engine == busy
                assert cycles == (2 if refused else FETCH_CYCLES)
                assert (bench.outcome is None) == refused
                assert len(bench.arrays[counter.engine].asked) == before + (not refused)

    simulate(bench.dut, testbench)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_message_that_reads_goes_first(shell: str, rng: np.random.Generator) -> None:
    """In every cycle from when its read is wanted until its answer is taken, a counter is refused,
    of whichever array; the message gets its own answer."""
    configs = SHELLS[shell]
    asking = taking = False
    bench = Bench(configs, delay=lambda: 4, taker=lambda: taking, pace=lambda: asking)

    async def testbench(ctx) -> None:
        nonlocal asking, taking
        for reader in bench.arrays.values():
            for before in range(12):
                made, request = item(rng, reader.config, Kind.READ)
                bench.items.append(made)
                # The array takes the read in the third cycle, and answers in the seventh.
                for cycle in range(before):
                    asking = cycle == 2
                    await bench.cycle(ctx)
                asking = before == 2
                counter = counters(configs)[rng.integers(len(counters(configs)))]
                assert await bench.fetch(ctx, counter) == 2
                assert bench.outcome is None
                asking = taking = True
                await bench.drain(ctx)
                assert bench.answers.pop()["data"] == answer_of(reader.config.engine, request)
                assert not bench.answers
                assert await bench.fetch(ctx, counter) == FETCH_CYCLES + 3
                taking = False

    simulate(bench.dut, testbench)


@pytest.mark.parametrize("traffic", range(6))
@pytest.mark.parametrize("shell", SHELLS)
def test_any_traffic(shell: str, traffic: int, rng: np.random.Generator) -> None:
    """Messages and counters at once, while arrays run and while they do not: every item where it is
    meant to go, and nobody gets another's answer."""
    configs = SHELLS[shell]
    maker, taker = paces(rng)[traffic]
    pace = ragged(rng, 0.6) if traffic else steady
    bench = Bench(configs, maker, taker, pace, lambda: int(rng.integers(1, 6)))
    items, outcomes = random_items(rng, configs, 150), []
    turns, asks, sends = ragged(rng, 0.06), ragged(rng, 0.3), ragged(rng, 0.1)

    async def testbench(ctx) -> None:
        sent = 0
        # Until all has been sent, and some counters were there and some refused.
        while sent < len(items) or bench.items or bench.reading or {*outcomes} != {False, True}:
            if not bench.items and sends():
                message = items[sent : sent + int(rng.integers(1, 9))]
                bench.items += [made for made, _ in message]
                sent += len(message)
            for array in bench.arrays.values():
                array.busy ^= turns()
            if bench.probe is None and asks():
                config = configs[rng.integers(len(configs))]
                bench.number, bench.pe = int(rng.integers(getattr(config, "layers", 1))), 2
                bench.probe = counters([config])[rng.integers(len(counters([config])))]
            waited = bench.probe is not None
            await bench.cycle(ctx)
            if waited and bench.probe is None:
                outcomes.append(bench.outcome is None)

    simulate(bench.dut, testbench)
    assert bench.answers == expected_answers(items)
    for name, array in bench.arrays.items():
        assert array.written == meant(items, Kind.WRITE, name)
        # What was dropped is watched cycle by cycle.
        words = iter(meant(items, Kind.LOAD, name))
        assert all(word in words for word in array.loaded)


def test_a_load_word_waits_only_in_a_run(rng: np.random.Generator) -> None:
    """Behind a run words are dropped, one in a cycle, even if the array would take none."""
    (config,) = SHELLS["nm"]
    takes = False
    bench = Bench([config], pace=lambda: takes)
    items = [item(rng, config, Kind.LOAD) for _ in range(12)]
    words = [payload for _, payload in items]
    (array,) = bench.arrays.values()

    async def testbench(ctx) -> None:
        nonlocal takes
        bench.items += [made for made, _ in items]
        for array.busy, willing, left in [
            (False, False, 9),
            (False, True, 6),
            (True, False, 6),
            (True, True, 3),
            (False, False, 0),
        ]:
            takes = willing
            for _ in range(3):
                await bench.cycle(ctx)
            assert len(bench.items) == left

    simulate(bench.dut, testbench)
    assert array.loaded == words[6:9]


class Unwatched(wiring.Component):
    """A router whose stream may break off, as it does with a restart."""

    def __init__(self, router: Router):
        self.router = router
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.router = self.router
        return m


@pytest.mark.parametrize("after", range(10))
@pytest.mark.parametrize("shell", SHELLS)
def test_restart_forgets_a_read(shell: str, after: int, rng: np.random.Generator) -> None:
    """In whichever cycle of it: it is not answered any more, and messages and counters behind are,
    each with its own."""
    configs = SHELLS[shell]
    bench = Bench(configs, delay=lambda: 4, taker=lambda: taking)
    taking = False

    async def testbench(ctx) -> None:
        nonlocal taking
        for reader in configs:
            taking = False
            bench.items.append(item(rng, reader, Kind.READ)[0])
            for _ in range(after):
                await bench.cycle(ctx)
            await bench.cycle(ctx, restart=True)
            taking = True
            for _ in range(rng.integers(10)):
                await bench.cycle(ctx)
                assert not bench.answers
            for config in configs:
                made, request = item(rng, config, Kind.READ)
                bench.items.append(made)
                await bench.drain(ctx)
                assert [one["data"] for one in bench.answers] == [answer_of(config.engine, request)]
                bench.answers.clear()
                counter = counters([config])[rng.integers(len(counters([config])))]
                assert await bench.fetch(ctx, counter) == FETCH_CYCLES + 3
                assert bench.outcome is not None

    simulate(Unwatched(bench.dut), testbench, limit=1000)
