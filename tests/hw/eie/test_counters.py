"""Counters: every event of a pass, kept for every pass, none lost or counted twice between two."""

from itertools import product

import numpy as np
import pytest

from hw.eie.counters import Counters
from spec.config import bits_for
from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def run_passes(
    names: tuple[str, ...],
    lengths: list[int],
    counter_bits: int,
    rng: np.random.Generator,
    widths: dict[str, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Counted and expected, shape (passes, counters), for increments of these ``widths`` (1 bit
    where none is named).

    A pass is saved in the cycle after its last one, which is the first of the next: passes of
    length 1 save in every cycle.
    """
    widths = widths or {}
    config = preset("tiny", layers=len(lengths), counter_bits=counter_bits)
    most = [(1 << widths.get(name, 1)) - 1 for name in names]
    happens = rng.random((sum(lengths), len(names))) < rng.choice([0.0, 0.3, 1.0], len(names))
    events = happens * rng.integers(1, most, happens.shape, endpoint=True)
    ends = np.cumsum(lengths)
    steps: list[dict] = []
    for cycle, row in enumerate([*events.tolist(), [0] * len(names)]):
        saved = np.flatnonzero(ends == cycle)
        steps.append(
            {
                "events": dict(zip(names, row, strict=True)),
                "phase.save": len(saved) > 0,
                "phase.saved_pass": int(saved[0]) if len(saved) else 0,
            }
        )
    saving = len(steps)
    pick_bits = bits_for(len(names) - 1)
    for number, index in product(range(len(lengths)), range(len(names))):
        address = number << pick_bits | index
        steps.append({"phase.save": 0, "read_enable": 1, "read_address": address})
        steps.append({"read_enable": 0, "read_address": 0})
    found = [value for (value,) in play(Counters(config, names, widths), steps, ["read_data"])]
    counted = np.array(found[saving + 1 :: 2]).reshape(len(lengths), len(names))
    expected = np.stack([part.sum(axis=0) for part in np.split(events, ends[:-1])])
    return counted, expected


LENGTHS = [1, 1, 1, 2, 7, 1, 30, 2, 2, 60]


@pytest.mark.parametrize("names", [PE_COUNTERS, ARRAY_COUNTERS, ("one",), ("a", "b", "c")])
def test_passes_back_to_back(names: tuple[str, ...], rng: np.random.Generator) -> None:
    """Passes of any length, in particular of one and two cycles, are counted apart."""
    counted, expected = run_passes(names, LENGTHS, 32, rng)
    assert counted.tolist() == expected.tolist()


def test_more_than_one_at_once(rng: np.random.Generator) -> None:
    """Increments of several widths, beside those of one bit, up to their largest."""
    names, widths = ("a", "b", "c", "d", "e"), {"b": 2, "d": 4, "e": 20}
    counted, expected = run_passes(names, LENGTHS, 32, rng, widths)
    assert counted.tolist() == expected.tolist()


@pytest.mark.parametrize("counter_bits", [8, 10, 64])
def test_widths(counter_bits: int, rng: np.random.Generator) -> None:
    """Up to the largest value of a narrow counter; beside it the neighbours stay intact."""
    counted, expected = run_passes(PE_COUNTERS, [255, 3], counter_bits, rng)
    assert counted.tolist() == expected.tolist()
