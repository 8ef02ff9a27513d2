"""Scan, over activations and non-zero detection: which columns are broadcast, and when."""

from itertools import product

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.descriptor import Descriptor
from tests.hw.eie.scan_bench import Scanned, descriptor, expected, run
from tests.hw.streams import ragged, steady

pytestmark = pytest.mark.unit

both_modes = pytest.mark.parametrize("scan_ahead", [False, True])
both_ways = pytest.mark.parametrize("scan_pipeline", [False, True])


def columns_of(scanned: list[Scanned]) -> list[list[dict]]:
    """What each cluster broadcast, whenever that was."""
    return [[payload for _, payload in one.columns] for one in scanned]


@both_ways
@both_modes
@pytest.mark.parametrize(("pes", "clusters", "rows"), [(1, 1, 3), (2, 1, 3), (3, 1, 2), (4, 2, 2)])
def test_every_pattern_of_zeros(
    scan_ahead: bool, scan_pipeline: bool, pes: int, clusters: int, rows: int
) -> None:
    """All patterns over a few rows, one pass behind the other, under every division."""
    size = pes * rows
    fields = {
        "pes": pes,
        "clusters": clusters,
        "scan_ahead": scan_ahead,
        "scan_pipeline": scan_pipeline,
        "columns": 600,
    }
    config = preset("tiny", act_rows=rows << size, **fields)
    patterns = np.array(list(product([0, 1], repeat=size)))
    acts = np.zeros((2, config.act_rows, pes, 1), np.int64)
    values = patterns * np.arange(1, 1 + patterns.size).reshape(patterns.shape)
    acts[0] = values.reshape(-1, pes, 1)
    passes = [
        (descriptor(config, columns=size, input_base=rows * k, split=split), 0)
        for k in range(len(patterns))
        for split in range(config.splits + 1)
    ]
    for (step, half), found in zip(passes, run(config, acts, passes), strict=True):
        assert found == expected(config, acts, step, half)


@both_ways
@both_modes
@pytest.mark.parametrize(
    ("pes", "clusters", "lanes"), [(1, 1, 1), (4, 2, 2), (12, 4, 1), (17, 1, 1), (16, 8, 1)]
)
def test_random_passes(
    scan_ahead: bool,
    scan_pipeline: bool,
    pes: int,
    clusters: int,
    lanes: int,
    rng: np.random.Generator,
) -> None:
    """Any part of either half, columns that do not fill the last row, any base of pointers."""
    fields = {
        "pes": pes,
        "clusters": clusters,
        "lanes": lanes,
        "scan_ahead": scan_ahead,
        "scan_pipeline": scan_pipeline,
    }
    config = preset("tiny", act_rows=12, columns=1024, **fields)
    for density in (0.1, 1.0):
        acts = random_rows(rng, config, density)
        drawn = [(random_part(rng, config), half) for half in (0, 1, 1, 0) for _ in (1, 2)]
        passes = [one for one in drawn if ends_with_zeros(config, acts, *one)]
        for pace in (steady, ragged(rng, 0.8)):
            for (step, half), found in zip(passes, run(config, acts, passes, pace), strict=True):
                model = expected(config, acts, step, half)
                if pace is steady:
                    assert found == model
                assert columns_of(found) == columns_of(model)
                assert not any(one.errors for one in found)


def random_rows(rng: np.random.Generator, config: EieConfig, density: float) -> np.ndarray:
    """Both halves; what is not zero reaches both ends of an activation's range."""
    most = 1 << config.act_bits - 1
    values = rng.integers(-most, most, (2, config.act_rows, config.pes, config.lanes))
    values[values == 0] = -most
    return values * (rng.random(values.shape) < density)


def random_part(rng: np.random.Generator, config: EieConfig) -> Descriptor:
    """A pass over some rows, the last of them full or not."""
    base = int(rng.integers(0, config.act_rows))
    rows = int(rng.integers(1, config.act_rows + 1 - base))
    columns = rows * config.pes
    if rng.random() < 0.5:
        columns = int(rng.integers((rows - 1) * config.pes + 1, columns + 1))
    places = {"input_base": base, "pointer_base": int(rng.integers(0, 800))}
    split = int(rng.integers(config.splits + 1))
    return descriptor(config, columns=columns, split=split, **places)


def ends_with_zeros(config: EieConfig, acts: np.ndarray, step: Descriptor, half: int) -> bool:
    """What stands behind a pass's last column, in its last row, has to be zero."""
    rows = acts[half, step.input_base :].reshape(-1, config.lanes)
    return not rows[step.columns : step.input_rows * config.pes].any()


@both_ways
@both_modes
@pytest.mark.parametrize(("pes", "clusters"), [(1, 1), (2, 1), (3, 1), (4, 2), (4, 4)])
def test_non_zero_behind_the_last_column(
    scan_ahead: bool, scan_pipeline: bool, pes: int, clusters: int, rng: np.random.Generator
) -> None:
    """Wherever it stands: one error in its cluster, nothing of it is broadcast, the other clusters
    and the next pass are sound."""
    rows = 3 if pes < 4 else 2
    size = rows * pes
    places = [(columns, behind) for behind in range(1, size) for columns in range(1, behind + 1)]
    fields = {
        "pes": pes,
        "clusters": clusters,
        "scan_ahead": scan_ahead,
        "scan_pipeline": scan_pipeline,
        "columns": 1024,
    }
    config = preset("tiny", act_rows=rows * (len(places) + 1), **fields)
    acts = np.zeros((2, len(places) + 1, size), np.int64)
    acts[1, 0] = rng.integers(0, 3, size)
    passes = []
    for number, (columns, behind) in enumerate(places):
        acts[0, number, :columns] = rng.integers(0, 3, columns)
        acts[0, number, behind] = -1
        split = int(rng.integers(config.splits + 1))
        part = {"input_rows": rows, "input_base": number * rows, "split": split}
        passes.append((descriptor(config, columns=columns, **part), 0))
        passes.append((descriptor(config, columns=size, split=split), 1))
    acts = acts.reshape(2, -1, pes, 1)
    found = run(config, acts, passes, ragged(rng, 0.8))
    for number, ((step, half), scanned) in enumerate(zip(passes, found, strict=True)):
        assert columns_of(scanned) == columns_of(expected(config, acts, step, half))
        wrong = places[number // 2][1] % pes // config.cluster_pes(step.split)
        errors = [int(number % 2 == 0 and at == wrong) for at in range(1 << step.split)]
        assert [one.errors for one in scanned] == errors


@pytest.mark.parametrize("split", [0, 1])
def test_columns_behind_the_pointer_memory(split: int) -> None:
    """The last column needs a pointer behind it: without one the scan stops there, in error."""
    config = preset("tiny", pes=4, clusters=2, act_rows=4, columns=9)
    acts = np.ones((2, 4, 4, 1), np.int64)
    for base in range(9):
        step = descriptor(config, columns=16, pointer_base=base, split=split)
        ((*scanned,),) = run(config, acts, [(step, 0)])
        sound = min(config.columns - 1 - base, 16 >> split)
        for one, model in zip(scanned, expected(config, acts, step, 0), strict=True):
            assert one.columns == model.columns[:sound]
            assert one.errors == (sound < 16 >> split)
