# amaranth: UnusedElaboratable=no
"""The queue of a UART link: all words in order, and always as many as it says."""

import pytest

from hw.shell.uart_queue import UartQueue
from spec.errors import UserError
from tests.hw.streams import paces, receiver, sender, simulate, steady, watcher

pytestmark = pytest.mark.unit


def counter(dut: UartQueue, depth: int):
    """Counts along with ``level``."""

    async def watch(ctx) -> None:
        level = 0
        ports = (dut.level, dut.i.valid, dut.i.ready, dut.o.valid, dut.o.ready)
        async for _, _, told, comes, room, there, taken in ctx.tick().sample(*ports):
            assert told == level
            assert room == (level < depth)
            assert level or not there
            level += (comes and room) - (there and taken)

    return watch


@pytest.mark.parametrize("depth", [2, 16])
@pytest.mark.parametrize("traffic", range(6))
def test_words_come_in_order(rng, depth, traffic):
    dut = UartQueue(16, depth)
    pace, other = paces(rng)[traffic]
    words = [int(word) for word in rng.integers(1 << 16, size=100)]
    _, taken = simulate(
        dut,
        sender(dut.i, words, pace),
        receiver(dut.o, len(words), other),
        background=[watcher(dut.o), counter(dut, depth)],
    )
    assert [one.payload for one in taken] == words


def test_a_word_in_every_cycle():
    dut = UartQueue(16, 16)
    sent, taken = simulate(dut, sender(dut.i, range(50), steady), receiver(dut.o, 50, steady))
    assert sent == list(range(50))
    assert [one.cycle for one in taken] == [at + UartQueue.latency for at in range(50)]


@pytest.mark.parametrize("before", [0, 1, 2, 9, 16])
@pytest.mark.parametrize("comes", [0, 1])
def test_restart_empties_it(before, comes):
    """Also of a word that comes in the very cycle."""
    dut = UartQueue(16, 16)

    async def drive(ctx) -> list[int]:
        ctx.set(dut.i.valid, 1)
        for word in range(before):
            ctx.set(dut.i.payload, word)
            await ctx.tick()
        ctx.set(dut.i.valid, comes)
        ctx.set(dut.restart, 1)
        ctx.set(dut.o.ready, 1)  # whoever takes it begins anew as well
        await ctx.tick()
        ctx.set(dut.o.ready, 0)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.restart, 0)
        assert ctx.get(dut.level) == 0
        await sender(dut.i, [100, 101])(ctx)
        return [one.payload for one in await receiver(dut.o, 2)(ctx)]

    (found,) = simulate(dut, drive)
    assert found == [100, 101]


@pytest.mark.parametrize("depth", [0, 1, 3, 100])
def test_other_depths_are_refused(depth):
    with pytest.raises(UserError, match=f"a queue of {depth} words: it must be a power of two"):
        UartQueue(8, depth)
