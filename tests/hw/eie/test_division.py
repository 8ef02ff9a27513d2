"""Division: the first candidate of every cluster, and who waits for whom, in every small array."""

from itertools import product

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.eie.count_few import MANY
from hw.eie.division import Division
from spec.eie.config import EieConfig, preset
from tests.hw.streams import plain, port_at

pytestmark = pytest.mark.unit

ARRAYS = [(3, 1), (2, 2), (6, 2), (4, 4), (12, 4)]
"""PEs and most clusters."""
LARGE = [(16, 8), (40, 8), (16, 16)]


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
        for sector in cluster:
            picked, first_pe = found[sector], found[sectors + sector]
            assert first_pe == cluster[0] * config.sector_pes
            assert picked["found"] == bool(finders)
            if finders:
                first = candidates[finders[0]]
                pe = (finders[0] - cluster[0]) * config.sector_pes + first["pe"]
                assert picked == first | {"pe": pe}
                assert mine >> sector & 1 == (sector == finders[0])


def check_candidates(config: EieConfig, patterns: list, rng: np.random.Generator) -> None:
    """``patterns`` say of each sector how many non-zeros are pending; those of the next row are as
    many as in the sector behind."""
    sectors = range(config.clusters)
    steps: list[dict] = []
    for pattern, split in product(patterns, range(config.splits + 1)):
        pes = rng.integers(0, config.sector_pes, config.clusters).tolist()
        beyond = rng.integers(0, 2, config.clusters).tolist()
        candidates = [
            {
                "found": int(n > 0),
                "beyond": late,
                "pe": pe,
                "values": [7 * sector - 30],
            }
            for sector, (n, pe, late) in enumerate(zip(pattern, pes, beyond, strict=True))
        ]
        given = {f"candidates.{sector}": one for sector, one in enumerate(candidates)}
        for sector, n in enumerate(pattern):
            given |= {f"counts.{sector}": n, f"coming.{sector - 1 if sector else sectors[-1]}": n}
        steps.append({"settings.split": split} | given)
    ports = ("picked", "first_pe", "count_in_all", "coming_in_all")
    outputs = [f"{port}.{sector}" for port in ports for sector in sectors]
    for step, found in zip(steps, settle(config, steps, [*outputs, "mine"]), strict=True):
        candidates = [step[f"candidates.{sector}"] for sector in sectors]
        assert_picked(config, step["settings.split"], candidates, found)
        for cluster in clusters_of(config, step["settings.split"]):
            for at, port in enumerate(("counts", "coming"), start=2):
                many = min(MANY, sum(step[f"{port}.{sector}"] for sector in cluster))
                in_all = found[at * config.clusters :][: config.clusters]
                assert [in_all[sector] for sector in cluster] == [many] * len(cluster)


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
    counts = range(3 + (clusters < 4))  # four sectors with up to two have more than any count
    check_candidates(config, list(product(counts, repeat=clusters)), rng)


@pytest.mark.parametrize(("pes", "clusters"), ARRAYS)
def test_every_pattern_of_room(pes: int, clusters: int) -> None:
    config = preset("tiny", pes=pes, clusters=clusters)
    check_room(config, list(product(range(1 << clusters), repeat=2)))


@pytest.mark.parametrize(("pes", "clusters"), LARGE)
def test_many_sectors(pes: int, clusters: int, rng: np.random.Generator) -> None:
    """Few candidates, so that they come from far away; few sectors without room."""
    config = preset("tiny", pes=pes, clusters=clusters)
    check_candidates(config, rng.choice(4, (80, clusters), p=[0.8, 0.1, 0.05, 0.05]).tolist(), rng)
    full = (1 << clusters) - 1
    lone = [(full ^ 1 << int(rng.integers(clusters)), full) for _ in range(40)]
    drawn = rng.integers(0, full, (40, 2), endpoint=True).tolist()
    check_room(config, [*lone, *drawn])
