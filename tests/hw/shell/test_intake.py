"""Intake: items of good messages come whole and in order; of bad ones it says so, and goes on."""

import numpy as np
import pytest

from hw.shell.intake import Intake
from spec.messages import KIND_BITS, WORD_BITS, words_for
from spec.registers.table import ShellError
from tests.hw.streams import paces, receiver, recorder, sender, simulate, steady, watcher

pytestmark = pytest.mark.unit

TAKERS = {(0, 0): 70, (0, 1): 20, (1, 0): 96, (1, 2): 32}
"""Items of 3, 1, 3 and 1 words."""


def expected(messages: list[list[int]]) -> tuple[list[dict], int, int]:
    """Items, bad headers, and messages that are cut."""
    items, bad, cut = [], 0, 0
    for head, *words in messages:
        bits = TAKERS.get((head >> KIND_BITS, head & ((1 << KIND_BITS) - 1)))
        if bits is None:
            bad += 1
            continue
        size = words_for(bits)
        for at in range(0, len(words) // size * size, size):
            value = sum(word << (WORD_BITS * place) for place, word in enumerate(words[at:][:size]))
            items.append(
                {
                    "data": value,
                    "words": size,
                    "kind": head & 255,
                    "engine": head >> KIND_BITS,
                    "last": int(at + size == len(words)),
                }
            )
        cut += len(words) % size != 0
    return items, bad, cut


def random_messages(rng: np.random.Generator, count: int) -> list[list[int]]:
    """Most of them good."""
    heads = [engine << KIND_BITS | kind for engine, kind in TAKERS]
    odd = [2, 0x100 + 1, 0x200, 0x10000, 0xFFFFFFFF]
    messages = []
    for _ in range(count):
        head = int(rng.choice(heads if rng.random() < 0.8 else odd))
        length = int(rng.integers(0, 4)) * int(rng.choice([1, 3, 3]))
        messages.append([head, *map(int, rng.integers(1 << WORD_BITS, size=length))])
    return messages


def as_words(messages: list[list[int]]) -> list[dict]:
    return [
        {"word": word, "last": at == len(message) - 1}
        for message in messages
        for at, word in enumerate(message)
    ]


def seen_of(item: dict, words: int) -> dict:
    """An item without the words that it does not have."""
    return item | {"data": item["data"] & ((1 << (words * WORD_BITS)) - 1)}


@pytest.mark.parametrize("traffic", range(6))
def test_random_messages(rng, traffic):
    dut, errors = Intake(TAKERS), []
    messages = random_messages(rng, 60)
    items, bad, cut = expected(messages)
    pace, other = paces(rng)[traffic]
    _, taken = simulate(
        dut,
        sender(dut.i, as_words([*messages, [0]]), pace),
        receiver(dut.o, len(items), other),
        background=[watcher(dut.o), recorder(errors, dut.error)],
    )
    found = [seen_of(one.payload, item["words"]) for one, item in zip(taken, items, strict=True)]
    assert found == [{k: v for k, v in item.items() if k != "words"} for item in items]
    assert errors.count((ShellError.HEADER,)) == bad
    assert errors.count((ShellError.CUT,)) == cut


def test_a_word_in_every_cycle():
    dut = Intake(TAKERS)
    message = [0x100, *range(30)]
    sent, taken = simulate(
        dut, sender(dut.i, as_words([message]), steady), receiver(dut.o, 10, steady)
    )
    assert sent == list(range(31))
    assert [one.cycle for one in taken] == [3 + 3 * at + Intake.latency for at in range(10)]


@pytest.mark.parametrize("after", range(8))
def test_restart_throws_the_message_away(after):
    """After so many words of a message of two items: none of the rest is taken for a new one."""
    dut, items = Intake(TAKERS), []

    async def drive(ctx) -> None:
        ctx.set(dut.o.ready, 1)
        message = as_words([[0x100, 1, 2, 3, 0x100, 5, 6], [0x001, 7]])
        for at, word in enumerate(message):
            ctx.set(dut.i.payload, word)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.restart, at == after)
            ctx.set(dut.cut, not word["last"])
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.restart, 0)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.receiving)

    watch = recorder(items, dut.o.valid, dut.o.payload)
    simulate(dut, drive, background=[watch])
    found = [(item["engine"], item["kind"], item["last"]) for valid, item in items if valid]
    first, second, behind = (1, 0, 0), (1, 0, 1), (0, 1, 1)
    # An item that is there in the cycle of the restart is still taken in it.
    whole = [first] * (after > 3) + [second] * (after > 6)
    assert found == whole + ([behind] if after < 7 else [])
