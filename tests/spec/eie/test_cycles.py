"""The cycle model against the array stepped clock by clock, and against what it says of itself."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.eie.cycles import PassCounts, control_cycles, count_pass, drain_cycles
from spec.eie.descriptor import Descriptor
from spec.eie.golden import GoldenModel
from tests.programs import random_case, random_config
from tests.spec.eie.clocked import run_clocked

pytestmark = pytest.mark.unit


def descriptor(config: EieConfig, columns: int, rows: int = 1, drain: bool = True) -> Descriptor:
    return Descriptor(
        pointer_base=0,
        columns=columns,
        input_rows=-(-columns // config.pes),
        input_base=0,
        rows=rows,
        output_base=0,
        bias_base=0,
        codebook=0,
        multiplier=1,
        shift=0,
        relu=False,
        drain=drain,
        swap=True,
    )


def count(
    config: EieConfig, nonzero: np.ndarray, entries: np.ndarray, pads: np.ndarray
) -> PassCounts:
    """Predict a pass; ``nonzero`` is (images, columns)."""
    active = [np.flatnonzero(image) for image in nonzero]
    return count_pass(config, descriptor(config, nonzero.shape[1]), active, entries, pads)


def assert_same(
    config: EieConfig, nonzero: np.ndarray, entries: np.ndarray, pads: np.ndarray
) -> None:
    """Every counter of every image, predicted and stepped."""
    counts = count(config, nonzero, entries, pads)
    for image, row in enumerate(nonzero):
        array, pes = run_clocked(config, list(row), (entries - pads).tolist(), pads.tolist())
        found: dict[str, int] = dict(zip(ARRAY_COUNTERS, counts.array[image].tolist(), strict=True))
        assert {name: found[name] for name in array} == array, config
        for pe, expected in enumerate(pes):
            found = dict(zip(PE_COUNTERS, counts.pe[image, pe].tolist(), strict=True))
            assert found == expected, (config, image, pe)


def random_work(rng: np.random.Generator, columns: int, pes: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries and pads of every column in every PE, from all empty to long columns."""
    present = rng.random((columns, pes)) < rng.choice([0.0, 0.05, 0.3, 0.7, 1.0])
    entries = rng.integers(1, rng.choice([2, 4, 12]), (columns, pes)) * present
    pads = rng.integers(0, entries + 1) if rng.integers(2) else np.zeros_like(entries)
    return entries, pads


@pytest.mark.parametrize("ahead_depth", [0, 1, 2, 4])
@pytest.mark.parametrize("scan_ahead", [False, True])
@pytest.mark.parametrize("pes", [1, 2, 3, 8])
def test_agrees_with_the_clocked_array(rng, pes, scan_ahead, ahead_depth):
    for _ in range(8):
        spare = bool(rng.integers(2))
        config = preset(
            "tiny",
            pes=pes,
            scan_ahead=scan_ahead,
            ahead_depth=ahead_depth,
            queue_depth=int(rng.integers(1 + spare, 9)),
            queue_spare=spare,
        )
        columns = int(rng.integers(1, 50))
        nonzero = rng.random((3, columns)) < rng.choice([0.0, 0.1, 0.5, 1.0])
        assert_same(config, nonzero, *random_work(rng, columns, pes))


@pytest.mark.parametrize("density", [0.0, 0.02, 0.3, 1.0])
def test_agrees_on_the_shape_of_the_published_machine(rng, density):
    config = replace(preset("isca16"), pes=16)
    entries = rng.binomial(6, 0.15, (80, 16))
    assert_same(config, rng.random((2, 80)) < density, entries, np.zeros_like(entries))


def test_one_activation_at_each_place(rng):
    config = preset("tiny", pes=3, scan_ahead=False)
    entries, pads = random_work(rng, 10, 3)
    assert_same(config, np.eye(10, dtype=bool), entries, pads)


def test_one_slow_element_stalls_the_broadcast():
    config = preset("isca16", pes=2, queue_depth=3)
    entries = np.array([[9, 0]] * 6)
    counts = count(config, np.ones((1, 6), bool), entries, np.zeros_like(entries))
    array = dict(zip(ARRAY_COUNTERS, counts.array[0].tolist(), strict=True))
    blocking = counts.pe[0, :, PE_COUNTERS.index("blocking")]
    assert array["stalls"] == blocking[0] > 0
    assert blocking[1] == 0


def test_an_empty_column_takes_a_cycle_of_pointer_read():
    """Behind a column of one entry, the first of five empty ones is looked up meanwhile."""
    config = preset("isca16", pes=1)
    entries = np.array([[1], [0], [0], [0], [0], [0], [1]])
    counts = count(config, np.ones((1, 7), bool), entries, np.zeros_like(entries))
    in_pe = dict(zip(PE_COUNTERS, counts.pe[0, 0].tolist(), strict=True))
    assert (in_pe["busy"], in_pe["empty"]) == (2, 4)


def test_empty_columns_vanish_behind_a_queue_of_work():
    """Three empty columns fit behind one of four entries, with or without reading ahead."""
    entries = np.array([[4], [0], [0], [0]] * 6)
    for config in (preset("isca16", pes=1), preset("default", pes=1)):
        counts = count(config, np.ones((1, 24), bool), entries, np.zeros_like(entries))
        assert counts.pe[0, 0, PE_COUNTERS.index("empty")] == 0
        assert counts.pe[0, 0, PE_COUNTERS.index("busy")] == 24


def test_the_default_preset_is_faster_than_the_published_machine(rng):
    entries = rng.binomial(10, 0.1, (1000, 64))
    nonzero = rng.random((1, 1000)) < 0.4
    published, ours = (
        int(count(preset(name), nonzero, entries, np.zeros_like(entries)).array[0, 0])
        for name in ("isca16", "default")
    )
    assert ours < published


def test_every_cycle_has_one_cause(rng):
    """busy + pads + empty + starved + imbalance + drain + control = cycles, in every PE."""
    states = [PE_COUNTERS.index(name) for name in ("busy", *LOST) if name in PE_COUNTERS]
    for _ in range(40):
        case = random_case(rng)
        _, counts = GoldenModel(case.program).run(case.batch)
        for one in counts:
            array = dict(zip(ARRAY_COUNTERS, one.array.T, strict=True))
            assert (one.pe >= 0).all()
            assert (array["cycles"] == array["control"] + array["compute"] + array["drain"]).all()
            in_pass = one.pe[:, :, states].sum(axis=2).T + array["drain"] + array["control"]
            assert (in_pass == array["cycles"]).all()


def test_a_batch_counts_like_its_images(rng):
    for _ in range(20):
        case = random_case(rng, images=5)
        model = GoldenModel(case.program)
        outputs, together = model.run(case.batch)
        for image in range(len(case.batch)):
            output, alone = model.run(case.batch[image : image + 1])
            assert (output[0] == outputs[image]).all()
            for one, many in zip(alone, together, strict=True):
                assert (one.pe[0] == many.pe[image]).all()
                assert (one.array[0] == many.array[image]).all()


def test_an_empty_batch_counts_nothing(rng):
    case = random_case(rng)
    outputs, counts = GoldenModel(case.program).run(case.batch[:0])
    assert outputs.shape == (0, case.program.outputs)
    assert all(one.pe.shape[0] == one.array.shape[0] == 0 for one in counts)


def test_fixed_costs():
    config = random_config(np.random.default_rng(1))
    assert control_cycles(config) >= 3
    assert drain_cycles(descriptor(config, 4, rows=7, drain=False)) == 0
    assert (
        drain_cycles(descriptor(config, 4, rows=8))
        == drain_cycles(descriptor(config, 4, rows=7)) + 1
    )
