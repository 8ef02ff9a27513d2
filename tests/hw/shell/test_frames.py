"""Deframe and enframe against :mod:`spec.frames`."""

import pytest

from hw.shell.deframe import Deframe
from hw.shell.enframe import Enframe
from spec.frames import END, ESC, Decoder, encode
from tests.hw.streams import paces, simulate, watcher

pytestmark = pytest.mark.unit


def deframed(sent: bytes, broken: set[int] = frozenset()) -> list[bytes]:  # type: ignore[assignment]
    """Frames that are kept, each for a few cycles after its END."""
    dut, found = Deframe(), []

    async def line(ctx) -> None:
        for at, byte in enumerate(sent):
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.broken, at in broken)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.broken, 0)
            if byte == END:
                await ctx.tick().repeat(60)

    async def take(ctx) -> None:
        while True:
            await ctx.tick()
            if ctx.get(dut.whole):
                frame = []
                for at in range(ctx.get(dut.length)):
                    ctx.set(dut.address, at)
                    await ctx.tick()
                    frame.append(ctx.get(dut.data))
                found.append(bytes(frame))
                ctx.set(dut.done, 1)
                await ctx.tick()
                ctx.set(dut.done, 0)

    simulate(dut, line, background=[take])
    return found


@pytest.mark.parametrize("event", ["none", "flip", "drop", "insert"])
def test_frames_are_found_as_by_the_model(rng, event):
    sent = b""
    for trial in range(40):
        payload = rng.bytes(int(rng.integers(30))) + bytes([END, ESC][: int(rng.integers(3))])
        frame = bytearray(encode(trial, int(rng.integers(256)), payload))
        at = int(rng.integers(len(frame)))
        happens = event if trial % 2 else "none"
        if happens == "flip":
            frame[at] ^= 1 << int(rng.integers(8))
        elif happens == "drop":
            del frame[at]
        elif happens == "insert":
            frame.insert(at, int(rng.integers(256)))
        sent += bytes(frame)
    expected = [bytes([number, kind]) + payload for number, kind, payload in Decoder().feed(sent)]
    assert deframed(sent) == expected
    assert len(expected) == 40 if event == "none" else 20 <= len(expected) < 40


def test_a_byte_that_the_line_lost_spoils_a_frame():
    good = encode(1, 2, b"abc")
    assert deframed(good + good, {3}) == [b"\x01\x02abc"]


def test_what_is_too_long_is_no_frame():
    assert deframed(encode(1, 2, bytes(2100)) + encode(3, 4, b"x")) == [b"\x03\x04x"]


def test_a_frame_stays_while_others_come():
    """Until it is done with; what came in part meanwhile is no frame, either."""
    dut = Deframe()

    async def drive(ctx) -> None:
        async def feed(data: bytes) -> None:
            for byte in data:
                ctx.set(dut.i.payload, byte)
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
            ctx.set(dut.i.valid, 0)

        await feed(encode(1, 2, b"first"))
        assert ctx.get(dut.whole)
        second = encode(1, 2, b"second")
        await feed(second[:5])
        assert (ctx.get(dut.whole), ctx.get(dut.length)) == (1, 7)
        ctx.set(dut.done, 1)
        await ctx.tick()
        ctx.set(dut.done, 0)
        await feed(second[5:])
        assert not ctx.get(dut.whole)
        await feed(encode(1, 2, b"third"))
        assert ctx.get(dut.whole)

    simulate(dut, drive)


@pytest.mark.parametrize("traffic", [0, 1, 4])
def test_frames_are_sent_and_sent_again(rng, traffic):
    _, pace = paces(rng)[traffic]
    dut, frames = Enframe(), [rng.bytes(2), rng.bytes(40), bytes([END, ESC] * 8)]

    async def drive(ctx) -> bytes:
        seen = bytearray()
        for frame in frames:
            for at, byte in enumerate(frame):
                ctx.set(dut.write_address, at)
                ctx.set(dut.write_data, byte)
                ctx.set(dut.write_enable, 1)
                await ctx.tick()
            ctx.set(dut.write_enable, 0)
            ctx.set(dut.length, len(frame))
            for _ in range(2):
                ctx.set(dut.start, 1)
                await ctx.tick()
                ctx.set(dut.start, 0)
                await sending(ctx, seen)
        return bytes(seen)

    async def sending(ctx, seen: bytearray) -> None:
        while ctx.get(dut.busy):
            willing = pace()
            ctx.set(dut.o.ready, willing)
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if willing and valid:
                seen.append(byte)
        ctx.set(dut.o.ready, 0)

    (seen,) = simulate(dut, drive, background=[watcher(dut.o)])
    expected = [encode(frame[0], frame[1], frame[2:]) for frame in frames]
    assert seen == b"".join(one * 2 for one in expected)
