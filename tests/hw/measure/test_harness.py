"""Harness: every input can be set, every output is seen."""

import pytest
from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.measure.harness import Harness
from tests.hw.streams import simulate

pytestmark = pytest.mark.unit


class Unit(wiring.Component):
    """Ports of every kind; the output is all inputs backwards, a cycle later."""

    def __init__(self):
        super().__init__(
            {
                "word": In(4),
                "pair": In(data.StructLayout({"low": 2, "high": 3})),
                "i": In(stream.Signature(2, always_ready=True)),
                "o": Out(12),
            }
        )

    def elaborate(self, platform):
        m = Module()
        joined = Signal(12)
        m.d.comb += [joined[:4].eq(self.word), joined[4:9].eq(self.pair)]
        m.d.comb += [joined[9:11].eq(self.i.payload), joined[11].eq(self.i.valid)]
        m.d.sync += self.o.eq(joined[::-1])
        return m


def outputs(bits: list[int]) -> list[int]:
    """What leaves in every cycle when these bits are shifted in."""
    dut, seen = Harness(Unit(), "unit_under_test"), []

    async def testbench(ctx) -> None:
        for bit in bits:
            ctx.set(dut.i, bit)
            _, _, o = await ctx.tick().sample(dut.o)
            seen.append(o)

    simulate(dut, testbench)
    return seen


def backwards(word: int) -> int:
    return int(f"{word:012b}"[::-1], 2)


def expected(bits: list[int]) -> list[int]:
    """Registers of inputs, of the unit, of outputs, and the signature, as numbers."""
    mask, given, unit, taken, signature, seen = (1 << 12) - 1, 0, 0, 0, 0, []
    for bit in bits:
        seen.append(signature >> 11)
        signature = ((signature << 1 | bit) & mask) ^ taken
        taken, unit, given = unit, backwards(given), (given << 1 | bit) & mask
    return seen


def test_every_input_has_a_register_and_every_output_counts(rng):
    bits = rng.integers(0, 2, 200).tolist()
    assert outputs(bits) == expected(bits)
    assert outputs([1] + [0] * 60) == expected([1] + [0] * 60)
