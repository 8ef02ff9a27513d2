"""Pointer read: both pointers of a column in one cycle; empty and impossible columns."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.act_queue import ActQueue
from hw.eie.payloads import MemoryWrite, column_layout, span_layout
from hw.eie.pointer_read import PointerRead
from spec.eie.config import PAIRED_WORDS, EieConfig, preset
from tests.hw.streams import paces, receive, recorder, send, simulate, steady, write_words

pytestmark = pytest.mark.unit

BANKS = preset("tiny", columns=33, lines=25, run_bits_most=4)
"""An odd number of pointers, so that the banks are not used alike."""

CONFIGS = {
    "banks": BANKS,
    "pairs": replace(BANKS, double_buffer=False),
    "banks, too many for pairs": replace(BANKS, double_buffer=False, columns=PAIRED_WORDS + 1),
}


class PointerReadBehindQueue(wiring.Component):
    """The unit together with the queue that tells it what comes."""

    latency = ActQueue.latency + PointerRead.latency

    def __init__(self, config: EieConfig):
        self.queue = ActQueue(config)
        self.pointers = PointerRead(config)
        self.busy, self.empty, self.error = (
            getattr(self.pointers, name) for name in ("busy", "empty", "error")
        )
        write = MemoryWrite(config.pointer_address_bits, config.pointer_bits)
        super().__init__(
            {
                "i": In(stream.Signature(column_layout(config))),
                "o": Out(stream.Signature(span_layout(config))),
                "write": In(write),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue, m.submodules.pointers = queue, pointers = self.queue, self.pointers
        connect(m, flipped(self.i), queue.i)
        connect(m, queue.o, pointers.i)
        connect(m, pointers.o, flipped(self.o))
        connect(m, flipped(self.write), pointers.write)
        m.d.comb += pointers.following.eq(queue.following)
        return m


def columns_of(addresses: list[int]) -> list[dict]:
    """Columns whose value tells them apart."""
    return [{"pointer": address, "values": [7 * k - 300]} for k, address in enumerate(addresses)]


def is_bad(config: EieConfig, start: int, end: int) -> bool:
    return end < start or end > config.pointer_limit


def run(
    config: EieConfig,
    pointers: list[int],
    addresses: list[int],
    maker=steady,
    taker=steady,
    others: Sequence[dict[str, int]] = (),
):
    """Cycles of columns in, spans out with their cycles, and (busy, empty, error) in every cycle.

    Cycles count from the end of loading. ``others`` are writes from then on, one in a cycle.
    """
    dut = PointerReadBehindQueue(config)
    spans = len(expected_spans(config, pointers, addresses))
    states: list[tuple] = []

    async def feed(ctx) -> list[int]:
        await write_words(ctx, dut.write, pointers)
        sent = await send(ctx, dut.i, columns_of(addresses), maker)
        await ctx.tick().repeat(len(addresses))  # until the last column is looked at
        return sent

    async def take(ctx) -> list:
        await ctx.tick().repeat(len(pointers))
        return await receive(ctx, dut.o, spans, taker)

    async def write_others(ctx) -> None:
        await ctx.tick().repeat(len(pointers))
        for other in others:
            for name, value in ({"enable": 1} | other).items():
                ctx.set(getattr(dut.write, name), value)
            await ctx.tick()
        ctx.set(dut.write.enable, 0)

    record = recorder(states, dut.busy, dut.empty, dut.error)
    background = [record, write_others] if others else [record]
    sent, taken = simulate(dut, feed, take, background=background)
    return sent, taken, states[len(pointers) :]


def expected_spans(config: EieConfig, pointers: list[int], addresses: list[int]) -> list[dict]:
    def parts(pointer: int) -> dict[str, int]:
        line, slot = divmod(pointer, 1 << config.slot_bits)
        return {"slot": slot, "line": line}

    spans = []
    for column in columns_of(addresses):
        start, end = pointers[column["pointer"]], pointers[column["pointer"] + 1]
        if start != end and not is_bad(config, start, end):
            ends = {"start": parts(start), "end": parts(end)}
            spans.append(ends | {"values": column["values"]})
    return spans


@pytest.mark.parametrize("queue_depth", [1, 2, 3, 8])
@pytest.mark.parametrize("name", CONFIGS)
def test_any_traffic(name: str, queue_depth: int, rng: np.random.Generator) -> None:
    """Columns in any order, starting in either bank, some of them empty."""
    config = replace(CONFIGS[name], queue_depth=queue_depth)
    steps = rng.choice([0, 1, 2, 5], BANKS.columns)
    pointers = (np.cumsum(steps) - steps[0]).tolist()
    addresses = rng.integers(0, BANKS.columns - 1, 60).tolist()
    for maker, taker in paces(rng):
        _, taken, states = run(config, pointers, addresses, maker, taker)
        assert [span for _, span in taken] == expected_spans(config, pointers, addresses)
        empties = sum(pointers[at] == pointers[at + 1] for at in addresses)
        assert sum(busy and empty for busy, empty, _ in states) == empties
        assert not any(error for *_, error in states)


@pytest.mark.parametrize("queue_depth", [1, 2, 8])
def test_pointers_of_other_columns_are_written_meanwhile(
    queue_depth: int, rng: np.random.Generator
) -> None:
    """As in an array that is loaded while it computes."""
    config = replace(BANKS, double_buffer=True, queue_depth=queue_depth)
    half = BANKS.columns // 2
    pointers = np.cumsum(rng.choice([0, 1, 2], half)).tolist()
    addresses = rng.integers(0, half - 1, 60).tolist()
    places = rng.integers(half, BANKS.columns, 300).tolist()
    data = rng.integers(0, 1 << config.pointer_bits, 300).tolist()
    others = [{"address": at, "data": word} for at, word in zip(places, data, strict=True)]
    for maker, taker in paces(rng):
        _, taken, _ = run(config, pointers, addresses, maker, taker, others)
        assert [span for _, span in taken] == expected_spans(config, pointers, addresses)


@pytest.mark.parametrize("name", CONFIGS)
def test_one_column_in_a_cycle(name: str) -> None:
    """Every column, empty or not, takes one cycle, and its span comes ``latency`` later."""
    pointers = [0, 3, 3, 3, 4, 4, 9, 9, 9, 9, 10, 12]
    addresses = [*range(len(pointers) - 1), 0, 2, 1, 3]
    sent, taken, _ = run(CONFIGS[name], pointers, addresses)
    assert sent == list(range(len(addresses)))
    full = [k for k, at in enumerate(addresses) if pointers[at] != pointers[at + 1]]
    assert [cycle for cycle, _ in taken] == [sent[k] + PointerReadBehindQueue.latency for k in full]


def test_empty_columns_need_no_taker() -> None:
    """They are dropped while nobody is ready; a column with entries then waits."""
    dut = PointerReadBehindQueue(BANKS)

    async def feed(ctx) -> tuple[int, list[int]]:
        await write_words(ctx, dut.write, [5, 5, 5, 5, 6])
        sent = await send(ctx, dut.i, columns_of([0, 1, 2, 3]))
        await ctx.tick().repeat(5)
        ports = (dut.pointers.i.ready, dut.o.valid, dut.empty)
        return sent[-1], [ctx.get(port) for port in ports]

    assert simulate(dut, feed) == [(3, [0, 1, 0])]


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize(("lines", "line_bits"), [(1, 32), (3, 16), (4, 24), (8, 8)])
def test_every_pair_of_pointers(parity: int, lines: int, line_bits: int) -> None:
    """All starts and ends at a small width, from each bank: good, empty, or one cycle's error.

    Slots that no line has are as good as any here: matrix read bears them.
    """
    fields = {"line_bits": line_bits, "run_bits_most": 4}
    config = preset("tiny", columns=2100, lines=lines, **fields)
    pairs = list(product(range(1 << config.pointer_bits), repeat=2))
    pointers = [0] * parity + [pointer for pair in pairs for pointer in pair] + [0]
    addresses = [parity + 2 * k for k in range(len(pairs))]
    sent, taken, states = run(config, pointers, addresses)
    assert [span for _, span in taken] == expected_spans(config, pointers, addresses)
    errors = [bool(error) for _, _, error in states]
    looked = [cycle + PointerReadBehindQueue.latency for cycle in sent]
    assert [errors[cycle] for cycle in looked] == [is_bad(config, *pair) for pair in pairs]
    assert sum(errors) == sum(is_bad(config, *pair) for pair in pairs)
