"""UART: every byte, at every rate that is allowed, from a sender that is not quite as fast."""

import pytest

from hw.shell.uart import UartReceiver, UartTransmitter, phase_step
from spec.errors import UserError
from tests.hw.streams import recorder, sender, simulate

pytestmark = pytest.mark.unit

RATES = {"3 Mbaud at 12 MHz": (12e6, 3e6), "3 at 25": (25e6, 3e6), "115200 at 4": (4e6, 115200)}


def line_of(data: bytes, cycles_per_bit: float, idle: int = 30) -> list[int]:
    """The line in every cycle, with some rest before and behind."""
    bits = [1] * idle
    for byte in data:
        bits += [0, *(byte >> at & 1 for at in range(8)), 1]
    ends = [round((at + 1) * cycles_per_bit) for at in range(len(bits))]
    line, at = [], 0
    for cycle in range(ends[-1]):
        at += cycle >= ends[at]
        line.append(bits[at])
    return line + [1] * int(12 * cycles_per_bit)


def received(line: list[int], step: int) -> tuple[bytes, int]:
    """Bytes, and how many were broken."""
    dut, seen = UartReceiver(step), []

    async def drive(ctx) -> None:
        for level in line:
            ctx.set(dut.line, level)
            await ctx.tick()

    simulate(dut, drive, background=[recorder(seen, dut.o.valid, dut.o.payload, dut.broken)])
    return bytes(byte for valid, byte, _ in seen if valid), sum(one[2] for one in seen)


@pytest.mark.parametrize("off", [-0.02, 0, 0.02])
@pytest.mark.parametrize("rate", RATES)
def test_bytes_are_received(rng, rate, off):
    clock, baud = RATES[rate]
    data = bytes([0, 255, 0x55, 0xAA]) + rng.bytes(12)
    line = line_of(data, clock / baud * (1 + off))
    assert received(line, phase_step(clock, baud)) == (data, 0)


@pytest.mark.parametrize("rate", RATES)
def test_bytes_are_sent_as_they_are_received(rng, rate):
    clock, baud = RATES[rate]
    step = phase_step(clock, baud)
    dut, seen, data = UartTransmitter(step), [], rng.bytes(12)

    async def wait(ctx) -> None:
        await ctx.tick().repeat(int(13 * 11 * clock / baud))

    simulate(dut, sender(dut.i, data), wait, background=[recorder(seen, dut.line)])
    line = [level for (level,) in seen]
    assert received(line, step) == (data, 0)
    # Nothing is between two bytes but a cycle: ten bits each.
    start = line.index(0)
    busy = len(line) - line[::-1].index(0) - start
    assert busy <= len(data) * (10 * clock / baud + 2)


def test_noise_is_no_byte():
    step = phase_step(16e6, 1e6)
    assert received([1] * 20 + [0] * 5 + [1] * 300, step) == (b"", 0)


def test_a_byte_without_its_stop_bit_is_dropped():
    step = phase_step(16e6, 1e6)
    line = [1] * 20 + [0] * (16 * 10) + [1] * 40 + line_of(b"x", 16)
    assert received(line, step) == (b"x", 1)


@pytest.mark.parametrize(
    ("clock", "baud", "message"),
    [(12e6, 4e6, "up to 3e"), (12e6, 0, "up to 3e"), (100e6, 300, "too slow")],
)
def test_other_rates_are_refused(clock, baud, message):
    with pytest.raises(UserError, match=message):
        phase_step(clock, baud)
