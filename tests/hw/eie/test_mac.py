"""MAC, at work on its accumulators: every product; sums at every distance of equal rows."""

from itertools import product

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.accumulators import Accumulators
from hw.eie.mac import Mac
from hw.eie.payloads import MemoryWrite, lane_update_layout
from hw.streams import steady
from spec.eie.config import EieConfig, preset
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit

Update = tuple[int, int, int] | None
"""Row, activation and weight, or a cycle without an update."""


class MacWithSums(wiring.Component):
    """The unit together with the memory whose time its forwarding has to fit."""

    latency = Mac.latency

    def __init__(self, config: EieConfig):
        self.config = config
        self.mac = Mac(config)
        super().__init__(
            {
                "i": In(steady(lane_update_layout(config))),
                "weight": In(self.mac.weight.shape()),
                "busy": Out(1),
                "write": Out(MemoryWrite(config.row_bits, self.mac.write.data.shape())),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.mac = mac = self.mac
        m.submodules.sums = sums = Accumulators(self.config)
        connect(m, flipped(self.i), mac.i)
        connect(m, mac.read, sums.mac_read)
        connect(m, mac.write, sums.mac_write)
        m.d.comb += [mac.weight.eq(self.weight), self.busy.eq(mac.busy)]
        m.d.comb += [
            getattr(self.write, name).eq(getattr(mac.write, name))
            for name in ("enable", "address", "data")
        ]
        return m


def assert_sums(config: EieConfig, updates: list[Update]) -> None:
    """Every update writes the row's sum so far, ``latency`` later; nothing else is written."""
    steps: list[dict] = []
    for update in updates:
        row, act, weight = update or (1 % config.rows, 3, -3)
        payload = {"row": row, "value": act}
        steps.append({"i.valid": update is not None, "i.payload": payload, "weight": weight})
    steps.append({"i.valid": 0})
    dut = MacWithSums(config)
    found = play(dut, steps, ["busy", "write.enable", "write.address", "write.data"])

    real = [(cycle, *update) for cycle, update in enumerate(updates) if update]
    cycles, rows, acts, weights = np.array(real, np.int64).T
    running = np.zeros((len(real), config.rows), np.int64)
    running[np.arange(len(real)), rows] = acts * weights
    sums = running.cumsum(axis=0)[np.arange(len(real)), rows]
    expected = {
        int(cycle) + dut.latency: (int(row), int(total))
        for cycle, row, total in zip(cycles, rows, sums, strict=True)
    }
    assert {
        cycle: (row, total) for cycle, (_, on, row, total) in enumerate(found) if on
    } == expected
    assert {cycle for cycle, (busy, *_) in enumerate(found) if busy} == set(expected)


@pytest.mark.parametrize(("act_bits", "weight_bits"), [(2, 2), (4, 3), (3, 5)])
def test_every_product(act_bits: int, weight_bits: int) -> None:
    """All operands, in particular both most negative, whose product is the largest one."""
    config = preset("tiny", act_bits=act_bits, weight_bits=weight_bits, rows=2)
    operands = (range(low, high + 1) for low, high in map(signed_bounds, (act_bits, weight_bits)))
    assert_sums(
        config, [(k % 2, act, weight) for k, (act, weight) in enumerate(product(*operands))]
    )


def test_sums_at_both_ends_of_the_accumulator() -> None:
    """Operands at their extremes add up to exactly the largest and the smallest sum."""
    config = preset("tiny", acc_bits=33)
    low, high = signed_bounds(16)
    largest = [(0, low, low)] * 3 + [(0, high, high), (0, high, 2)]
    smallest = [(1, low, high), (1, high, low)] * 2 + [(1, low, 4)]
    sums = [sum(act * weight for _, act, weight in updates) for updates in (smallest, largest)]
    assert tuple(sums) == signed_bounds(33)
    assert_sums(config, [*largest, *smallest])


def test_every_distance_of_equal_rows() -> None:
    """All sequences of five cycles over two rows and gaps: every distance, all combinations."""
    config = preset("tiny", rows=3)
    cycles: list[Update] = []
    for number, pattern in enumerate(product((None, 0, 1), repeat=5)):
        cycles += [
            None if row is None else (row, 1 + number % 5, 3 + place)
            for place, row in enumerate(pattern)
        ]
    assert_sums(config, cycles)


def test_forwards_over_three_rows() -> None:
    """All sequences of four updates over three rows, without any gap."""
    config = preset("tiny", rows=3)
    patterns = product(range(3), repeat=4)
    rows = [row for pattern in patterns for row in pattern]
    assert_sums(config, [(row, 1 + k % 7, 5 - k % 11) for k, row in enumerate(rows)])


@pytest.mark.parametrize("rows", [1, 2, 8, 256])
def test_random_stream(rows: int, rng: np.random.Generator) -> None:
    """Random rows, operands and gaps at the default widths."""
    config = preset("tiny", rows=rows)
    low, high = signed_bounds(config.act_bits)
    drawn = rng.integers([0, low, low], [rows, high + 1, high + 1], (500, 3)).tolist()
    keep = rng.random(500) < 0.8
    assert_sums(
        config, [tuple(update) if kept else None for update, kept in zip(drawn, keep, strict=True)]
    )
