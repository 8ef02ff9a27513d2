"""Clock, reset and streams of a design under cocotb, and the fields of their payloads.

Every coroutine begins and ends right after a rising edge of the clock: there it changes inputs.
Outputs are looked at when the next edge comes, where they still have the values from before it. The
paces of steady and ragged traffic are those of the benches in Amaranth's simulator.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import cocotb
import numpy as np
from amaranth import Shape
from amaranth.lib import data
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time

from tests.hw.streams import Pace, Taken, steady

PERIOD_STEPS = 10_000
"""Of the clock, in steps of the simulator; any even number would do."""


class Fields:
    """A payload's fields, the first one in the lowest bits.

    Parameters
    ----------
    widths : mapping
        Name and width in bits of each field.
    signed : iterable of str
        Fields in two's complement.
    """

    def __init__(self, widths: Mapping[str, int], signed: Iterable[str] = ()) -> None:
        self.widths = dict(widths)
        self.signed = frozenset(signed)

    @classmethod
    def of(cls, layout: data.StructLayout) -> "Fields":
        """Those of a layout of :mod:`hw.eie.payloads`."""
        shapes = {name: Shape.cast(field.shape) for name, field in layout}
        signed = [name for name, shape in shapes.items() if shape.signed]
        return cls({name: shape.width for name, shape in shapes.items()}, signed)

    def pack(self, **values: int) -> int:
        """All fields as one word; a value that does not fit its field fails."""
        assert values.keys() == self.widths.keys()
        word, at = 0, 0
        for name, width in self.widths.items():
            value = int(values[name])
            low = -(1 << (width - 1)) if name in self.signed else 0
            assert low <= value < low + (1 << width), f"{name} = {value} in {width} bits"
            word |= (value & ((1 << width) - 1)) << at
            at += width
        return word

    def unpack(self, word: int) -> dict[str, int]:
        """The inverse of :meth:`pack`."""
        values = {}
        for name, width in self.widths.items():
            value = word & ((1 << width) - 1)
            is_negative = name in self.signed and value >> (width - 1)
            values[name] = value - (1 << width) if is_negative else value
            word >>= width
        return values


class Bench:
    """A design with a clock and a reset.

    Parameters
    ----------
    dut : cocotb handle of the top
    inputs : str
        Names of inputs that are zero until a bench drives them, separated by spaces.

    Attributes
    ----------
    rng : numpy Generator
        Random numbers of the running test.
    """

    def __init__(self, dut: Any, inputs: str) -> None:
        self.dut = dut
        self.edge = RisingEdge(dut.clk)
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)
        for name in ["rst", *inputs.split()]:
            getattr(dut, name).value = 0
        Clock(dut.clk, PERIOD_STEPS, "step").start()

    @property
    def cycle(self) -> int:
        """Number of the cycle that has just ended; only differences mean something."""
        return int(get_sim_time("step")) // PERIOD_STEPS

    def drive(self, bundle: str, **values: int) -> None:
        """Set members of a bundle of ports."""
        for name, value in values.items():
            getattr(self.dut, f"{bundle}__{name}").value = int(value)

    async def cycles(self, count: int) -> None:
        for _ in range(count):
            await self.edge

    async def pulse(self, name: str, count: int = 1) -> None:
        """Set an input for some cycles."""
        getattr(self.dut, name).value = 1
        await self.cycles(count)
        getattr(self.dut, name).value = 0


class Stream:
    """A stream among the ports of a design, driven by its maker or by its taker.

    Parameters
    ----------
    bench : Bench
    name : str
        Of the stream in its component.
    follow : str, optional
        Another input, which always has the value of ``valid``.
    """

    def __init__(self, bench: Bench, name: str, follow: str | None = None) -> None:
        self.bench = bench
        self.name = name
        self.valid, self.ready, self.payload = (
            getattr(bench.dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self._follower = getattr(bench.dut, follow) if follow else None

    def _offer(self, valid: int) -> None:
        self.valid.value = valid
        if self._follower is not None:
            self._follower.value = valid

    async def send(self, payloads: Iterable[int], pace: Pace = steady) -> list[int]:
        """Offer payloads, in order; returns the cycle of every transfer."""
        sent = []
        try:
            for payload in payloads:
                while not pace():
                    await self.bench.edge
                self.payload.value = int(payload)
                self._offer(1)
                await self.bench.edge
                while not int(self.ready.value):
                    await self.bench.edge
                sent.append(self.bench.cycle)
                self._offer(0)
        finally:
            self._offer(0)
        return sent

    async def receive(self, count: int, pace: Pace = steady) -> list[Taken]:
        """Take ``count`` payloads."""
        taken: list[Taken] = []
        try:
            while len(taken) < count:
                willing = pace()
                self.ready.value = willing
                await self.bench.edge
                if willing and int(self.valid.value):
                    taken.append(Taken(self.bench.cycle, int(self.payload.value)))
        finally:
            self.ready.value = 0
        return taken

    async def watch(self) -> NoReturn:
        """Fail if ``valid`` falls, or the payload changes, before ``ready``, unless by a reset."""
        offered, reset = None, self.bench.dut.rst
        while True:
            await self.bench.edge
            valid = int(self.valid.value)
            if offered is not None:
                assert valid, f"{self.name}: valid fell before ready"
                assert int(self.payload.value) == offered, f"{self.name}: payload changed"
            waits = valid and not int(self.ready.value) and not int(reset.value)
            offered = int(self.payload.value) if waits else None
