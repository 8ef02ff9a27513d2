"""The cycle model against the array stepped clock by clock, and against what it says of itself."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.eie.cycles import (
    PassCounts,
    control_cycles,
    count_pass,
    dense_cycles,
    drain_cycles,
)
from spec.eie.descriptor import Descriptor, cluster_columns, descriptor_words
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from spec.eie.work import Work
from tests.programs import (
    PIPELINES,
    dense_vectors,
    random_acts,
    random_case,
    random_config,
    random_program,
)
from tests.spec.eie.clocked import run_clocked

pytestmark = pytest.mark.unit


def descriptor(
    config: EieConfig, columns: int, *, split: int = 0, rows: int = 1, drain: bool = True
) -> Descriptor:
    return Descriptor(
        pointer_base=0,
        split=split,
        widen=0,
        columns=columns,
        input_rows=-(-columns // config.pes),
        input_base=0,
        rows=rows << split,
        output_base=0,
        bias_base=0,
        codebook=0,
        multiplier=1,
        shift=0,
        relu=False,
        drain=drain,
        swap=True,
    )


def full_of(weights: np.ndarray) -> Work:
    """Columns without pads, each in one line."""
    return Work(weights, np.zeros_like(weights), (weights > 0).astype(int))


def count(config: EieConfig, live: np.ndarray, work: Work, split: int = 0) -> PassCounts:
    """Predict a pass; ``live`` is (times, columns)."""
    return count_pass(config, descriptor(config, live.shape[1], split=split), live, work)


def assert_same(config: EieConfig, live: np.ndarray, work: Work, split: int = 0) -> None:
    """Every counter of every time, predicted and stepped."""
    counts = count(config, live, work, split)
    per_column = np.stack([work.weights, work.pads, work.lines], axis=-1).tolist()
    for time, row in enumerate(live.astype(int)):
        array, pes = run_clocked(config, split, row.tolist(), per_column)
        assert {name: int(counts.of(name)[time]) for name in array} == array, config
        for pe, expected in enumerate(pes):
            found = {name: int(counts.of(name)[time, pe]) for name in PE_COUNTERS}
            assert found == expected, (config, split, time, pe)


def random_work(rng: np.random.Generator, columns: int, pes: int) -> Work:
    """Every column in every PE, from all empty to long columns."""
    present = rng.random((columns, pes)) < rng.choice([0.0, 0.05, 0.3, 0.7, 1.0])
    entries = rng.integers(1, rng.choice([2, 4, 12]), (columns, pes)) * present
    pads = rng.integers(0, entries + 1) if rng.integers(2) else np.zeros_like(entries)
    return Work(entries - pads, pads, rng.integers(1, 5, (columns, pes)) * present)


def random_live(rng: np.random.Generator, times: int, columns: int, lanes: int) -> np.ndarray:
    """In how many lanes activations are not zero."""
    density = rng.choice([0.0, 0.1, 0.5, 1.0])
    return (rng.random((times, columns, lanes)) < density).sum(axis=2)


@pytest.mark.parametrize("ahead_depth", [0, 1, 2, 4])
@pytest.mark.parametrize("scan_ahead", [False, True])
@pytest.mark.parametrize(
    ("pes", "split"), [(1, 0), (2, 0), (3, 0), (8, 0), (2, 1), (6, 1), (8, 2), (8, 3)]
)
def test_agrees_with_the_clocked_array(rng, pes, split, scan_ahead, ahead_depth):
    for _ in range(6):
        spare = bool(rng.integers(2))
        lanes = int(rng.choice([1, 1, 2, 4, 8]))
        config = preset(
            "tiny",
            pes=pes,
            clusters=1 << split,
            lanes=lanes,
            scan_ahead=scan_ahead,
            ahead_depth=ahead_depth,
            queue_depth=int(rng.integers(1 + spare, 9)),
            queue_spare=spare,
            **PIPELINES[rng.integers(len(PIPELINES))],
        )
        columns = int(rng.integers(1, 60))
        work = random_work(rng, cluster_columns(config, columns, split), pes)
        assert_same(config, random_live(rng, 3, columns, lanes), work, split)


@pytest.mark.parametrize("split", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["isca16", "default"])
def test_agrees_on_the_shapes_of_the_presets(rng, name, split):
    """Fewer PEs; the published machine with clusters that it never had, too."""
    config = preset(name, pes=16, clusters=8, **PIPELINES[split % len(PIPELINES)])
    for density in (0.0, 0.02, 0.3, 1.0):
        columns = cluster_columns(config, 150, split)
        work = full_of(rng.binomial(6 << split, 0.15, (columns, 16)))
        assert_same(config, rng.random((1, 150)) < density, work, split)


@pytest.mark.parametrize("split", [0, 1])
def test_one_activation_at_each_place(rng, split):
    config = preset("tiny", pes=6, clusters=2, scan_ahead=False)
    work = random_work(rng, cluster_columns(config, 14, split), 6)
    assert_same(config, np.eye(14, dtype=bool), work, split)


def test_a_cluster_may_have_no_columns(rng):
    """Three columns on eight PEs: only the first of four clusters has any, and all scan the row."""
    config = preset("tiny", pes=8, clusters=4)
    assert_same(config, np.array([[1, 1, 0]]), random_work(rng, 2, 8), split=2)


def test_one_slow_element_stalls_the_broadcast_of_its_cluster():
    """PE 0 of four is slow: it stalls PE 1, but not the other cluster."""
    config = preset("isca16", pes=4, clusters=2, queue_depth=3)
    work = full_of(np.array([[9, 0, 0, 0]] * 12))
    counts = count(config, np.ones((1, 24), bool), work, split=1)
    blocking = counts.of("blocking")[0]
    assert counts.of("stalls")[0] == blocking[0] > 0
    assert not blocking[1:].any()
    imbalance = counts.of("imbalance")[0]
    assert imbalance[2] == imbalance[3] > imbalance[1] > imbalance[0]


def test_an_empty_column_takes_a_cycle_of_pointer_read():
    """Behind a column of one entry, the first of five empty ones is looked up meanwhile."""
    config = preset("isca16", pes=1)
    work = full_of(np.array([[1], [0], [0], [0], [0], [0], [1]]))
    counts = count(config, np.ones((1, 7), bool), work)
    assert (counts.of("busy")[0, 0], counts.of("empty")[0, 0]) == (2, 4)


def test_empty_columns_vanish_behind_a_queue_of_work():
    """Three empty columns fit behind one of four entries, with or without reading ahead."""
    work = full_of(np.array([[4], [0], [0], [0]] * 6))
    for config in (preset("isca16", pes=1), preset("default", pes=1, clusters=1)):
        counts = count(config, np.ones((1, 24), bool), work)
        assert (counts.of("empty")[0, 0], counts.of("busy")[0, 0]) == (0, 24)


def test_the_default_preset_is_faster_than_the_published_machine(rng):
    work = full_of(rng.binomial(10, 0.1, (1000, 64)))
    live = rng.random((1, 1000)) < 0.4
    published, ours = (
        int(count(preset(name), live, work).of("cycles")[0]) for name in ("isca16", "default")
    )
    assert ours < published


def test_every_cycle_has_one_cause(rng):
    """busy + pads + empty + starved + imbalance + drain + control = cycles, in every PE."""
    states = [name for name in ("busy", *LOST) if name in PE_COUNTERS]
    for _ in range(40):
        case = random_case(rng)
        _, counts = GoldenModel(case.program).run(case.batch)
        for one in counts:
            assert (one.pe >= 0).all()
            assert (one.array >= 0).all()
            outside = one.of("control") + one.of("drain")
            assert (one.of("cycles") == outside + one.of("compute")).all()
            inside = np.sum([one.of(name) for name in states], axis=0)
            assert (inside + outside[:, None] == one.of("cycles")[:, None]).all()


def pairs(program: Program, batch: np.ndarray) -> list[np.ndarray]:
    """Pairs of a non-zero weight and a non-zero activation in each pass, for each image."""
    vectors, model = dense_vectors(program, batch), GoldenModel(program)
    found = []
    for matrix, (_, _, step) in zip(model.decoded, program.passes(), strict=True):
        order = program.order(step.layer - 1) if step.layer else np.arange(program.inputs)
        columns = order[step.first_input :][: step.inputs]
        found.append((vectors[step.layer][:, columns] != 0) @ np.diff(matrix.start))
    return found


def test_busy_lanes_that_are_not_gated_multiply(rng):
    """busy * lanes - gated, over all PEs, are the pairs of non-zero weight and activation.

    Lanes behind the last image compute an image of zeros.
    """
    for _ in range(40):
        case = random_case(rng)
        lanes = case.config.lanes
        _, counts = GoldenModel(case.program).run(case.batch)
        batch = np.pad(case.batch, ((0, -len(case.batch) % lanes), (0, 0)))
        for one, told in zip(counts, pairs(case.program, batch), strict=True):
            macs = (one.of("busy") * lanes - one.of("gated")).sum(axis=1)
            assert macs.tolist() == told.reshape(-1, lanes).sum(axis=1).tolist()


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_batch_counts_like_its_parts(rng, lanes):
    """Every ``lanes`` images count as alone, but for what is loaded, which depends on the ones
    before."""
    loading = [ARRAY_COUNTERS.index(name) for name in ("loads", "hidden")]
    for _ in range(12):
        case = random_case(rng, random_config(rng, lanes=lanes), images=2 * lanes + 1)
        model = GoldenModel(case.program)
        outputs, together = model.run(case.batch)
        assert all(len(many.array) == 3 for many in together)
        for time in range(3):
            images = slice(time * lanes, (time + 1) * lanes)
            output, alone = model.run(case.batch[images])
            assert (output == outputs[images]).all()
            for one, many in zip(alone, together, strict=True):
                assert (one.pe[0] == many.pe[time]).all()
                same = one.array[0] == many.array[time]
                assert np.delete(same, loading).all()


def test_lanes_share_the_array(rng):
    """Four equal images at once take the cycles of one; four that differ, no more than one by
    one."""
    config = preset("default", pes=4, lanes=4)
    program = random_program(rng, config, [60, 40], density=0.3, orders=False)
    alone = GoldenModel(replace(program, config=replace(config, lanes=1)))
    batch = random_acts(rng, config, 4, 60)
    for images in (np.repeat(batch[:1], 4, axis=0), batch):
        (together,) = GoldenModel(program).run(images)[1]
        (one_by_one,) = alone.run(images)[1]
        busy = together.of("busy")[0], one_by_one.of("busy")
        assert (busy[0] >= busy[1]).all()
        assert (busy[0] <= busy[1].sum(axis=0)).all()
    (equal,) = GoldenModel(program).run(np.repeat(batch[:1], 4, axis=0))[1]
    assert equal.of("cycles")[0] == one_by_one.of("cycles")[0]
    assert not equal.of("gated").any()


def test_an_empty_batch_counts_nothing(rng):
    case = random_case(rng)
    outputs, counts = GoldenModel(case.program).run(case.batch[:0])
    assert outputs.shape == (0, case.program.outputs)
    assert all(one.pe.shape[0] == one.array.shape[0] == 0 for one in counts)


def test_descriptors_are_fetched_behind_the_pass_before():
    """A cycle per word and two more, as far as the pass before was not that long; then the first
    row."""
    config = preset("tiny")
    words = descriptor_words(config)
    assert control_cycles(config) == words + 3
    before = np.array([1, words, words + 1, words + 2, 1000])
    assert np.asarray(control_cycles(config, before)).tolist() == [words + 2, 3, 2, 1, 1]
    work, live = full_of(np.ones((4, 4), int)), np.ones((2, 4), int)
    first, behind = (
        count_pass(config, descriptor(config, 4), live, work, cycles)
        for cycles in (0, np.array([2, 99]))
    )
    assert (first.of("control") - behind.of("control")).tolist() == [2, words + 2]
    assert (first.of("cycles") - behind.of("cycles")).tolist() == [2, words + 2]
    assert (first.pe == behind.pe).all()


def test_only_passes_of_one_run_are_prefetched(rng):
    config = preset("tiny")
    words = descriptor_words(config)
    for segments, control in ((False, [words + 3, 1]), (True, [words + 3, words + 3])):
        program = random_program(rng, config, [20, 12, 7], density=0.5, segments=segments, runs=2)
        _, counts = GoldenModel(program).run(random_acts(rng, config, 2, 20))
        assert [one.of("control").tolist() for one in counts] == [[one] * 2 for one in control]


def test_a_pass_without_work_is_shorter_than_the_next_descriptor(rng):
    """Three passes over one row of zeros each: a look, and one to see that all is done."""
    config = preset("tiny")
    program = random_program(rng, config, [12, 4], tiles=(1, 3), orders=False)
    _, counts = GoldenModel(program).run(np.zeros((1, 12), np.int64))
    words = descriptor_words(config)
    assert [int(one.of("compute")[0]) for one in counts] == [2, 2, 2]
    assert [int(one.of("control")[0]) for one in counts] == [words + 3, words, words]


def test_drain_takes_a_cycle_per_row_and_cluster():
    for clusters, halvings in ((1, 0), (2, 1), (8, 3)):
        config = preset("tiny", pes=8, clusters=clusters)
        assert drain_cycles(config, descriptor(config, 4, rows=7, drain=False)) == 0
        for split in range(halvings + 1):
            cycles = drain_cycles(config, descriptor(config, 4, rows=7, split=split))
            assert cycles == (7 << split) + 4 + halvings


@pytest.mark.parametrize("split", [0, 1, 2])
def test_dense_cycles_are_those_of_a_full_matrix(rng, split):
    config = preset("tiny", pes=8, clusters=4, rows=64, lines=512)
    program = random_program(rng, config, [30, 24], density=1.0, split=split)
    _, (counts,) = GoldenModel(program).run(np.ones((1, 30), np.int64))
    (step,) = program.segments[0].passes
    assert counts.of("cycles") == dense_cycles(config, step.descriptor)
