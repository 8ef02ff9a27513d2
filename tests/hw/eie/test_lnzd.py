"""Leading non-zero detection: the first pending non-zero of a sector's row."""

from itertools import product

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.eie.lnzd import NODE_INPUTS, Lnzd, LnzdNode
from spec.eie.config import EieConfig, preset
from spec.numbers import signed_bounds
from tests.hw.streams import plain, port_at

pytestmark = pytest.mark.unit

NOTHING = {"found": 0}


def settle(dut, inputs: list[dict]) -> list:
    """Outputs of a component without a clock for each of the inputs, by path."""
    found = []

    async def testbench(ctx) -> None:
        for step in inputs:
            for path, value in step.items():
                ctx.set(port_at(dut, path), value)
            found.append(plain(ctx.get(dut.o)))

    simulator = Simulator(dut)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


def check_rows(config: EieConfig, acts: np.ndarray, pending: np.ndarray) -> None:
    """Rows of activations (n, sector_pes, lanes) and pending masks (n, sector_pes) against the
    definition."""
    weights = 1 << np.arange(config.sector_pes).astype(object)
    pending = pending & (acts != 0).any(axis=-1)
    beyond = np.cumsum(pending, axis=1) % 2 == 1  # any will do
    inputs = [
        {f"acts.{pe}": values for pe, values in enumerate(row)}
        | {"pending": int((mask * weights).sum()), "beyond": int((late * weights).sum())}
        for row, mask, late in zip(acts.tolist(), pending, beyond, strict=True)
    ]
    candidates = settle(Lnzd(config), inputs)
    for row, mask, late, candidate in zip(acts, pending, beyond, candidates, strict=True):
        places = np.flatnonzero(mask)
        if len(places) == 0:
            assert candidate | NOTHING == candidate, (row, mask)
            continue
        first = int(places[0])
        expected = {"found": 1, "pe": first, "values": row[first].tolist()}
        expected["beyond"] = int(late[first])
        assert candidate == expected, (row, mask)


@pytest.mark.parametrize("pes", [1, 2, 3, 4, 5])
def test_every_pattern_of_a_few(pes: int, rng: np.random.Generator) -> None:
    """All patterns of zeros under all pending masks, with any values."""
    patterns = np.array(list(product([False, True], repeat=2 * pes)))
    nonzero, pending = patterns[:, :pes], patterns[:, pes:]
    config = preset("tiny", pes=pes, clusters=1)
    low, high = signed_bounds(config.act_bits)
    values = rng.choice([low, -1, 1, 2, high], nonzero.shape)
    check_rows(config, (values * nonzero)[..., None], pending)


@pytest.mark.parametrize("lanes", [2, 4])
def test_any_lane_counts(lanes: int, rng: np.random.Generator) -> None:
    """Rows of sectors whose activations are zero in some of the lanes only."""
    config = preset("tiny", pes=12, clusters=4, lanes=lanes)
    low, high = signed_bounds(config.act_bits)
    values = rng.choice([low, -1, 1, high], (300, config.sector_pes, lanes))
    keep = rng.random(values.shape) < rng.choice([0.1, 0.3], (300, 1, 1))
    check_rows(config, values * keep, rng.random(values.shape[:2]) < 0.8)


@pytest.mark.parametrize(("pes", "rows"), [(7, 100), (16, 50), (17, 50), (64, 12), (65, 12)])
def test_random_rows_of_many(pes: int, rows: int, rng: np.random.Generator) -> None:
    """Uneven trees, and rows from almost empty to full; lone non-zeros in many places."""
    config = preset("tiny", pes=pes, clusters=1)
    low, high = signed_bounds(config.act_bits)
    values = rng.integers(low, high + 1, (rows, pes))
    values[values == 0] = 1
    density = rng.choice([1 / pes, 0.1, 0.5, 1.0], (2, rows, 1))
    keep, pending = rng.random((2, rows, pes)) < density
    lone = np.eye(pes, dtype=bool)[rng.permutation(pes)[:rows]]
    acts = np.concatenate([values * keep, values[: len(lone)] * lone])
    check_rows(config, acts[..., None], np.concatenate([pending, np.ones_like(lone)]))


def test_every_input_of_a_node() -> None:
    """All patterns of found; what was not found carries rubbish, which must not pass."""
    config = preset("tiny", pes=16)
    inputs, expected = [], []
    for pattern in product([0, 1], repeat=NODE_INPUTS):
        candidates = [
            {"found": found, "pe": 3 + place, "values": [-(5 << place)]}
            for place, found in enumerate(pattern)
        ]
        inputs.append({f"i.{place}": candidate for place, candidate in enumerate(candidates)})
        expected.append(next((one for one in candidates if one["found"]), NOTHING))
    for candidate, wanted in zip(settle(LnzdNode(config), inputs), expected, strict=True):
        assert candidate | wanted == candidate
