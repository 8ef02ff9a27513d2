"""Preset ``isca16`` takes the published machine's cycles, and one to see that all PEs are idle."""

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.cycles import count_pass
from spec.eie.descriptor import Descriptor
from spec.eie.work import Work
from tests.spec.eie import published

pytestmark = pytest.mark.unit


def predicted(entries: np.ndarray, acts: np.ndarray) -> dict[str, int]:
    """Counters of the array, with the bias as the last column."""
    columns, pes = entries.shape
    descriptor = Descriptor(
        pointer_base=0,
        split=0,
        widen=0,
        columns=columns,
        input_rows=-(-columns // pes),
        input_base=0,
        rows=1,
        output_base=0,
        bias_base=0,
        codebook=0,
        multiplier=1,
        shift=0,
        relu=True,
        drain=True,
        swap=True,
    )
    live = np.append(acts, 1.0)[None] > 0
    none = np.zeros_like(entries)
    counts = count_pass(preset("isca16", pes=pes), descriptor, live, Work(entries, none, none))
    return {name: int(counts.of(name)[0]) for name in ARRAY_COUNTERS}


@pytest.mark.parametrize("trial", range(40))
def test_cycles_and_stalls(rng: np.random.Generator, trial: int) -> None:
    pes, rows = int(rng.choice([1, 2, 4, 16, 64])), int(rng.integers(1, 25))
    entries = rng.binomial(
        int(rng.integers(1, 12)), rng.choice([0.05, 0.1, 0.3]), (rows * pes, pes)
    )
    entries = np.append(entries, np.ones((1, pes), int), axis=0)
    acts = (rng.random(rows * pes) < rng.choice([0.0, 0.1, 0.35, 1.0])).astype(float)
    counts = predicted(entries, acts)
    assert published.run(entries, acts, places=8) == (counts["compute"] - 1, counts["stalls"])


def test_a_queue_of_eight_holds_seven() -> None:
    """A long column at first: the scan runs ahead by the queue and the pointer stage."""
    entries = np.ones((30, 1), int)
    entries[0] = 100
    acts = np.ones(29)
    counts = predicted(entries, acts)
    assert counts["stalls"] > 0
    assert published.run(entries, acts, places=8) == (counts["compute"] - 1, counts["stalls"])
    assert published.run(entries, acts, places=9)[1] == counts["stalls"] - 1
