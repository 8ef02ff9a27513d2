"""Tallies: every event of a pass, kept for every pass, however short, none lost or mixed up."""

from dataclasses import dataclass

import numpy as np
import pytest

from hw.eie.tallies import SETTLE_CYCLES, Tallies
from spec.config import bits_for
from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Pass:
    """Cycles of a pass: before it computes (one at least), while it does, and behind that.

    ``density`` is the share of computing cycles with an event, for each counter."""

    before: int
    computing: int
    drain: int
    density: float | list[float] = 0.5


def run_passes(
    passes: list[Pass],
    rng: np.random.Generator,
    names: tuple[str, ...] = PE_COUNTERS,
    widths: dict[str, int] | None = None,
    counter_bits: int = 24,
    again: int = 1,
    begin: int = 0,
    seamless: bool = False,
) -> tuple[list[list[int]], list[list[int]]]:
    """Counted and expected, per pass and counter, after running the passes ``again`` times.

    Between two runs, and before the host reads, is as long as the counts take to settle. It reads
    the last pass first, from counter ``begin`` on. Passes that are ``seamless`` have no cycle
    between them: they are saved in the next one's first, and fall silent in their last.
    """
    widths = widths or {}
    config = preset("tiny", rows=1 << 16, layers=len(passes), counter_bits=counter_bits)
    most = [(1 << widths.get(name, 1)) - 1 for name in names]
    steps: list[dict] = []
    expected: list[list[int]] = []
    for _ in range(again):
        expected, save, idle = [], {"phase.save": 0}, {}
        for number, one in enumerate(passes):
            happens = rng.random((one.computing, len(names))) < one.density
            events = happens * rng.integers(1, most, happens.shape, endpoint=True)
            expected.append(events.sum(axis=0).tolist())
            idle = {"phase.computing": 0, "events": dict.fromkeys(names, 0)}
            # The number of a pass is known a cycle after it began.
            now = {"phase.saved_pass": number, "phase.computing": 1, "phase.save": 0}
            counted = [
                now | {"events": dict(zip(names, row, strict=True))} for row in events.tolist()
            ]
            if seamless:
                counted[0] |= save | {"phase.saved_pass": number - (number > 0)}
                counted[-1] |= {"phase.computing": 0}
            else:
                steps += [idle | save] + [idle | {"phase.save": 0}] * (one.before - 1)
            steps += counted
            steps += [idle] * one.drain
            save = {"phase.save": 1}
        steps += [idle | save] + [idle | {"phase.save": 0}] * (SETTLE_CYCLES - 1)
    # Events come a cycle late.
    late = [dict.fromkeys(names, 0), *(step["events"] for step in steps)]
    steps = [step | {"events": events} for step, events in zip(steps, late, strict=False)]
    pick_bits, quiet = bits_for(len(names) - 1), len(steps)
    order = [
        (number, (begin + index) % len(names))
        for number in reversed(range(len(passes)))
        for index in range(len(names))
    ]
    for number, index in order:
        steps.append({"read_enable": 1, "read_address": number << pick_bits | index})
    dut = Tallies(config, names, widths, bits=counter_bits)
    found = [value for (value,) in play(dut, steps, ["read_data"], tail=1)]
    counted = [[-1] * len(names) for _ in passes]
    for (number, index), value in zip(order, found[quiet + 1 :], strict=True):
        counted[number][index] = value
    return counted, expected


@pytest.mark.parametrize("names", [PE_COUNTERS, ("one",), ("a", "b", "c")])
def test_passes_of_any_length(names: tuple[str, ...], rng: np.random.Generator) -> None:
    """One right behind the other, several times, so that old counts are there to be replaced."""
    lengths = [40, 1, 1, 17, 300, 2, 16, 15, 1, 18, 100, 3, 64, 1, 1, 1]
    passes = [
        Pass(int(rng.integers(1, 3)), length, int(rng.integers(2)), rng.random())
        for length in lengths
    ]
    for _ in range(3):
        counted, expected = run_passes(passes, rng, names, again=3)
        assert counted == expected


@pytest.mark.parametrize("first", range(1, 36))
def test_an_event_in_every_cycle(first: int, rng: np.random.Generator) -> None:
    """All counters carry at once, and in the last cycle that a pass can carry in; shortest
    passes follow."""
    passes = [Pass(1, cycles, 0, 1.0) for cycles in (first, 2, 50 - first, 1, first, 1, 1, 80)]
    counted, expected = run_passes(passes, rng, again=2, begin=first % 8)
    assert counted == expected


@pytest.mark.parametrize("first", range(1, 36))
def test_no_cycle_between_passes(first: int, rng: np.random.Generator) -> None:
    """As central control counts: also in the cycle in which the pass before is saved. Its passes
    last for some cycles at least."""
    lengths = (first, 4, 54 - first, 4, first, 4, 5, 80)
    passes = [Pass(0, max(4, cycles), 0, 1.0) for cycles in lengths]
    counted, expected = run_passes(
        passes, rng, ARRAY_COUNTERS, {"stalls": 3}, again=2, seamless=True
    )
    assert counted == expected


def test_a_counter_of_its_own_pace(rng: np.random.Generator) -> None:
    """Some counters stand still while others carry."""
    density = [0.0, 1.0, 0.5, 0.1, 0.0, 1.0, 0.9, 0.0]
    counted, expected = run_passes([Pass(3, 400, 5, density)] * 5, rng, again=2)
    assert counted == expected


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_more_than_one_at_once(bits: int, rng: np.random.Generator) -> None:
    """Increments of several widths, up to their largest."""
    passes = [Pass(1, cycles, 0, 1.0) for cycles in (16, 33, 1, 16, 200, 15, 17)]
    widths = {"gated": bits, "busy": 1}
    counted, expected = run_passes(passes, rng, widths=widths, again=2)
    assert counted == expected


@pytest.mark.parametrize("counter_bits", [8, 10, 64])
def test_widths(counter_bits: int, rng: np.random.Generator) -> None:
    """Up to the largest value of a narrow counter."""
    counted, expected = run_passes(
        [Pass(1, 255, 0, 1.0), Pass(1, 3, 0)], rng, counter_bits=counter_bits
    )
    assert counted == expected
    assert counted[0][0] == 255
