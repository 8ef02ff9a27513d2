"""Reduce: sums over all clusters, for every division of every small array."""

from itertools import product

import numpy as np
import pytest

from hw.eie.reduce import Reduce
from spec.eie.config import EieConfig, preset
from spec.numbers import signed_bounds
from tests.hw.streams import play, simulate

pytestmark = pytest.mark.unit

ARRAYS = [(1, 1), (4, 1), (2, 2), (6, 2), (4, 4), (12, 4), (24, 8), (16, 16)]
"""PEs and most clusters."""


def config_of(pes: int, clusters: int, **fields: int) -> EieConfig:
    return preset("tiny", pes=pes, clusters=clusters, **fields)


def add_up(config: EieConfig, split: int, sums: np.ndarray) -> np.ndarray:
    """Sums over the clusters, back in every PE. The second axis is that of PEs."""
    clusters = 1 << split
    total = sums.reshape(len(sums), clusters, -1, config.lanes).sum(axis=1)
    return np.tile(total, (1, clusters, 1))


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize(("pes", "clusters"), ARRAYS)
def test_a_row_in_every_cycle(pes: int, clusters: int, lanes: int, rng: np.random.Generator):
    """Rows of random sums under every division, the next one begun behind the last."""
    config = config_of(pes, clusters, lanes=lanes)
    dut = Reduce(config)
    assert dut.latency == config.splits
    low, high = signed_bounds(config.acc_bits)
    steps: list[dict] = []
    due: dict[int, list] = {}
    for split in rng.permutation(config.splits + 1):
        rows = rng.integers(low >> split, high >> split, (6, pes, lanes), endpoint=True)
        rows[0] = low >> split
        for number, wanted in enumerate(add_up(config, int(split), rows).tolist()):
            due[len(steps) + number + dut.latency] = wanted
        for row in rows.tolist():
            sums = {f"i.{pe}": values for pe, values in enumerate(row)}
            steps.append({"enable": 1, "settings.split": int(split)} | sums)
        steps += [{}] * dut.latency
    found = play(dut, steps, [f"o.{pe}" for pe in range(pes)])
    assert {cycle: list(found[cycle]) for cycle in due} == due


@pytest.mark.parametrize(("pes", "clusters"), ARRAYS)
def test_clusters_take_turns(pes: int, clusters: int) -> None:
    """Row r is stored in the sectors of cluster r % C, and only when a row is stored at all."""
    config = config_of(pes, clusters)
    dut = Reduce(config)

    async def testbench(ctx) -> None:
        for split, row, on in product(range(config.splits + 1), range(clusters), (0, 1)):
            ctx.set(dut.settings.split, split)
            ctx.set(dut.store_row, row)
            ctx.set(dut.store_enable, on)
            first = row % (1 << split) * config.cluster_pes(split)
            mine = range(first, first + config.cluster_pes(split))
            wanted = {pe // config.sector_pes for pe in mine} if on else set()
            assert ctx.get(dut.stores) == sum(1 << sector for sector in wanted)

    simulate(dut, testbench)
