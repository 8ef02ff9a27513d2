"""Division: the first candidate of every cluster, and who waits for whom, in every small array."""

from itertools import product

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.eie.division import Division
from spec.eie.config import EieConfig, preset
from tests.hw.streams import plain, port_at

pytestmark = pytest.mark.unit

ARRAYS = [(3, 1), (2, 2), (6, 2), (4, 4), (12, 4)]
"""PEs and most clusters."""
MANY = [(16, 8), (40, 8), (16, 16)]


def settle(config: EieConfig, steps: list[dict], outputs: list[str]) -> list[list]:
    """Outputs for each of the inputs, by path."""
    dut = Division(config)
    found = []

    async def testbench(ctx) -> None:
        for step in steps:
            for path, value in step.items():
                ctx.set(port_at(dut, path), value)
            found.append([plain(ctx.get(port_at(dut, path))) for path in outputs])

    simulator = Simulator(dut)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


def clusters_of(config: EieConfig, split: int) -> list[range]:
    """The sectors of each cluster."""
    size = config.clusters >> split
    return [range(first, first + size) for first in range(0, config.clusters, size)]


def assert_picked(config: EieConfig, split: int, candidates: list[dict], found: list) -> None:
    """Every sector sees the first candidate of its cluster, and knows whether it is its own."""
    sectors, mine = config.clusters, found[-1]
    for cluster in clusters_of(config, split):
        finders = [sector for sector in cluster if candidates[sector]["found"]]
        more = len(finders) > 1 or any(candidates[sector]["more"] for sector in finders)
        for sector in cluster:
            picked, first_pe = found[sector], found[sectors + sector]
            assert first_pe == cluster[0] * config.sector_pes
            assert picked["found"] == bool(finders)
            if finders:
                first = candidates[finders[0]]
                pe = (finders[0] - cluster[0]) * config.sector_pes + first["pe"]
                assert picked == first | {"more": more, "pe": pe}
                assert mine >> sector & 1 == (sector == finders[0])


def check_candidates(config: EieConfig, patterns: list, rng: np.random.Generator) -> None:
    """``patterns`` say of each sector: 0 nothing is found, 1 one, 2 more than one."""
    sectors = range(config.clusters)
    steps: list[dict] = []
    for pattern, split in product(patterns, range(config.splits + 1)):
        pes = rng.integers(0, config.sector_pes, config.clusters).tolist()
        beyond = rng.integers(0, 2, config.clusters).tolist()
        candidates = [
            {
                "found": int(n > 0),
                "more": int(n > 1),
                "beyond": late,
                "pe": pe,
                "values": [7 * sector - 30],
            }
            for sector, (n, pe, late) in enumerate(zip(pattern, pes, beyond, strict=True))
        ]
        given = {f"candidates.{sector}": one for sector, one in enumerate(candidates)}
        steps.append({"settings.split": split} | given)
    outputs = [f"{name}.{sector}" for name in ("picked", "first_pe") for sector in sectors]
    for step, found in zip(steps, settle(config, steps, [*outputs, "mine"]), strict=True):
        candidates = [step[f"candidates.{sector}"] for sector in sectors]
        assert_picked(config, step["settings.split"], candidates, found)


def check_room(config: EieConfig, patterns: list[tuple[int, int]]) -> None:
    """``patterns`` are sectors with places, and clusters, by the bit of their first sector, that
    offer a column."""
    steps: list[dict] = []
    wanted = []
    for (places, offers), split in product(patterns, range(config.splits + 1)):
        room = offered = broadcasts = stalls = 0
        for cluster in clusters_of(config, split):
            bits = sum(1 << sector for sector in cluster)
            room |= bits if places & bits == bits else 0
            if offers >> cluster[0] & 1:
                offered |= bits
                broadcasts += places & bits == bits
                stalls += places & bits != bits
        steps.append({"settings.split": split, "places": places, "offered": offered})
        wanted.append([room, broadcasts, stalls])
    assert settle(config, steps, ["room", "broadcasts", "stalls"]) == wanted


@pytest.mark.parametrize(("pes", "clusters"), ARRAYS)
def test_every_pattern_of_candidates(pes: int, clusters: int, rng: np.random.Generator) -> None:
    config = preset("tiny", pes=pes, clusters=clusters)
    check_candidates(config, list(product(range(3), repeat=clusters)), rng)


@pytest.mark.parametrize(("pes", "clusters"), ARRAYS)
def test_every_pattern_of_room(pes: int, clusters: int) -> None:
    config = preset("tiny", pes=pes, clusters=clusters)
    check_room(config, list(product(range(1 << clusters), repeat=2)))


@pytest.mark.parametrize(("pes", "clusters"), MANY)
def test_many_sectors(pes: int, clusters: int, rng: np.random.Generator) -> None:
    """Few candidates, so that they come from far away; few sectors without room."""
    config = preset("tiny", pes=pes, clusters=clusters)
    check_candidates(config, rng.choice(3, (80, clusters), p=[0.8, 0.1, 0.1]).tolist(), rng)
    full = (1 << clusters) - 1
    lone = [(full ^ 1 << int(rng.integers(clusters)), full) for _ in range(40)]
    drawn = rng.integers(0, full, (40, 2), endpoint=True).tolist()
    check_room(config, [*lone, *drawn])
