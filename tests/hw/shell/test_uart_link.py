"""UART link: frame by frame it answers as the model does, whatever its streams do."""

from collections.abc import Callable

import numpy as np
import pytest

from hw.shell.uart_link import UartLink
from spec.frames import MOST_BYTES, MOST_WORDS, Kind, encode
from tests.hw.streams import receive, send, simulate
from tests.sw.host.shell.model import REFUSES_FROM, ModelDevice

pytestmark = pytest.mark.unit

DEPTH = 32
PATIENCE = 200
"""Cycles without a byte after which there is no answer."""

HELLO = encode(0, Kind.HELLO, b"")


def read(number: int, address: int) -> bytes:
    return encode(number, Kind.READ, address.to_bytes(2, "little"))


def write(number: int, address: int, word: int) -> bytes:
    payload = address.to_bytes(2, "little") + word.to_bytes(4, "little")
    return encode(number, Kind.WRITE, payload)


def sending(number: int, words: list[int], last: bool = True) -> bytes:
    data = b"".join(word.to_bytes(4, "little") for word in words)
    return encode(number, Kind.SEND, bytes([last]) + data)


def receiving(number: int, count: int) -> bytes:
    return encode(number, Kind.RECEIVE, count.to_bytes(2, "little"))


def core(dut: UartLink, log: list[tuple[int, int]]) -> Callable:
    """Does accesses as the model does, and writes down the writes."""

    async def run(ctx) -> None:
        registers: dict[int, int] = {}
        while True:
            (taken,) = await receive(ctx, dut.access, 1)
            access = taken.payload
            failed = access["address"] >= REFUSES_FROM
            assert access["strobe"] == 15 * access["write"]
            if access["write"] and not failed:
                registers[access["address"]] = access["data"]
                log.append((access["address"], access["data"]))
            found = 0 if failed or access["write"] else registers.get(access["address"], 0)
            await send(ctx, dut.outcome, [{"data": found, "failed": failed}])

    return run


async def talk(ctx, dut: UartLink, data: bytes, patience: int = PATIENCE) -> bytes:
    """Bytes, one in a cycle, and all that comes back until nothing does."""
    answer, idle, at = bytearray(), 0, 0
    ctx.set(dut.o.ready, 1)
    while idle < patience:
        ctx.set(dut.i.valid, at < len(data))
        if at < len(data):
            ctx.set(dut.i.payload, data[at])
            at += 1
        _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
        idle = 0 if valid or at < len(data) else idle + 1
        if valid:
            answer.append(byte)
    ctx.set(dut.i.valid, 0)
    return bytes(answer)


def told(model: ModelDevice, frames: list[bytes]) -> list[bytes]:
    """The same of the model."""
    found = []
    for frame in frames:
        model.write(frame)
        found.append(model.read(2 * MOST_BYTES))
    return found


def random_frame(rng: np.random.Generator, number: int) -> bytes:
    words = [int(word) for word in rng.integers(1 << 32, size=int(rng.integers(12)))]
    address = int(rng.integers(0, 1 << 12)) & ~3
    if rng.random() < 0.1:
        return encode(number, int(rng.integers(256)), rng.bytes(int(rng.integers(12))))
    return [
        encode(number, Kind.HELLO, b""),
        read(number, address),
        write(number, address, int(rng.integers(1 << 32))),
        read(number, 0x10),
        write(number, 0x10, int(rng.integers(1 << 32))),
        sending(number, words, bool(rng.integers(2))),
        receiving(number, int(rng.integers(1 << int(rng.integers(17))))),
    ][int(rng.integers(7))]


def test_it_answers_as_the_model_does(rng):
    """Words that wait included; some frames come twice, some are none."""
    dut, model, log = UartLink(DEPTH), ModelDevice(DEPTH), []
    results = [int(word) for word in rng.integers(1 << 32, size=DEPTH)]
    model.leaving.extend(results)
    frames = [read(1, 0), HELLO]
    for number in range(1, 120):
        frame = random_frame(rng, number)
        frames += [frame] * (2 if rng.random() < 0.2 else 1)

    async def host(ctx) -> tuple[list[bytes], list[dict]]:
        await send(ctx, dut.results, [{"word": word, "last": 0} for word in results])
        found = [await talk(ctx, dut, frame) for frame in frames]
        taken = await receive(ctx, dut.words, len(model.arriving))
        return found, [one.payload for one in taken]

    expected = told(model, frames)
    ((found, words),) = simulate(dut, host, background=[core(dut, log)], limit=200_000)
    for frame, one, other in zip(frames, found, expected, strict=True):
        assert one == other, frame.hex()
    assert words == [{"word": word, "last": last} for word, last in model.arriving]
    assert len(words) > DEPTH // 2
    assert log == model.writes
    assert len(log) > 10


@pytest.mark.parametrize("last", [False, True])
def test_words_go_through(rng, last):
    """The longest frames there are, both ways; only the last word may end a message."""
    dut = UartLink(256)
    words = [int(word) for word in rng.integers(1 << 32, size=MOST_WORDS)]

    async def host(ctx) -> bytes:
        await talk(ctx, dut, HELLO)
        await talk(ctx, dut, sending(1, words, last), MOST_BYTES + PATIENCE)
        return await talk(ctx, dut, receiving(2, 0xFFFF), 5 * MOST_WORDS + PATIENCE)

    async def echo(ctx) -> list[dict]:
        taken = [one.payload for one in await receive(ctx, dut.words, MOST_WORDS)]
        await send(ctx, dut.results, [*taken, *taken[:2]])
        return taken

    answer, taken = simulate(dut, host, echo)
    assert taken == [
        {"word": word, "last": int(last and at == MOST_WORDS - 1)} for at, word in enumerate(words)
    ]
    data = b"".join(word.to_bytes(4, "little") for word in words)
    assert answer == encode(2, Kind.RECEIVE, data)


def test_registers_are_reached_while_words_are_stuck():
    """Nobody takes words from either queue, and both are full."""
    dut, log = UartLink(DEPTH), []

    async def host(ctx) -> list[bytes]:
        ctx.set(dut.results.valid, 1)
        await ctx.tick().repeat(DEPTH + 1)
        frames = [HELLO, sending(1, [5] * DEPTH), sending(2, [6]), write(3, 8, 9), read(4, 8)]
        return [await talk(ctx, dut, frame) for frame in frames]

    (found,) = simulate(dut, host, background=[core(dut, log)])
    assert found[1:] == [
        encode(1, Kind.SEND, bytes([DEPTH, 0])),
        encode(2, Kind.SEND, bytes([0, 0])),
        encode(3, Kind.WRITE, bytes([2])),
        encode(4, Kind.READ, bytes([2, 9, 0, 0, 0])),
    ]
    assert log == [(8, 9)]


def test_restart_empties_the_queues():
    dut = UartLink(DEPTH)

    async def host(ctx) -> list[bytes]:
        await talk(ctx, dut, HELLO)
        await talk(ctx, dut, sending(1, [5] * 7))
        await send(ctx, dut.results, [{"word": 3, "last": 0}] * 7)
        ctx.set(dut.restart, 1)
        ctx.set(dut.words.ready, 1)  # the core begins anew as well
        await ctx.tick()
        ctx.set(dut.words.ready, 0)
        ctx.set(dut.restart, 0)
        assert not ctx.get(dut.words.valid)
        return [await talk(ctx, dut, frame) for frame in (sending(2, []), receiving(3, 9))]

    (found,) = simulate(dut, host)
    assert found == [encode(2, Kind.SEND, bytes([DEPTH, 0])), encode(3, Kind.RECEIVE, b"")]


def test_what_is_dropped_is_counted():
    broken = bytearray(read(1, 4))
    broken[3] ^= 1
    frames = [HELLO, bytes(broken), read(1, 4)[:-1], read(1, 4), encode(2, 77, b""), b"\xc0" * 3]
    dut, counts = UartLink(DEPTH), []

    async def host(ctx) -> None:
        for frame in frames:
            await talk(ctx, dut, frame)
            counts.append(ctx.get(dut.dropped))

    simulate(dut, host, background=[core(dut, [])])
    # A frame without its END ends with that of the next one, and is whole.
    assert counts == [0, 1, 1, 1, 2, 2]


def test_a_byte_that_the_line_breaks_costs_a_frame():
    dut = UartLink(DEPTH)

    async def host(ctx) -> list[bytes]:
        await talk(ctx, dut, HELLO)
        frame = read(1, 4)
        first = await talk(ctx, dut, frame[:4])
        ctx.set(dut.broken, 1)
        await ctx.tick()
        ctx.set(dut.broken, 0)
        return [first, await talk(ctx, dut, frame[4:]), await talk(ctx, dut, frame)]

    (found,) = simulate(dut, host, background=[core(dut, [])])
    assert found == [b"", b"", encode(1, Kind.READ, bytes(5))]


def test_an_answer_that_is_under_way_is_not_spoilt():
    """The host asks again too early: both answers come whole."""
    dut, log = UartLink(DEPTH), []

    async def host(ctx) -> bytes:
        await talk(ctx, dut, HELLO)
        await talk(ctx, dut, write(1, 4, 0x01020304))
        ctx.set(dut.o.ready, 0)
        for byte in read(2, 4) * 2:
            await ctx.tick().repeat(20)
            await send(ctx, dut.i, [byte])
        return await talk(ctx, dut, b"")

    (found,) = simulate(dut, host, background=[core(dut, log)])
    assert found == encode(2, Kind.READ, bytes([0, 4, 3, 2, 1])) * 2
