"""What columns cost: every short one, walked entry by entry, and matrices at random."""

from itertools import product

import numpy as np
import pytest

from spec.eie.csc import Csc, encode
from spec.eie.golden import GoldenModel
from spec.eie.work import count_work
from tests.programs import random_codes, random_config, random_program
from tests.spec.eie.walked import walk, walk_memory

pytestmark = pytest.mark.unit

LONGEST = 9


def of_columns(columns: list[list[list[bool]]]) -> Csc:
    """A matrix whose PEs have these pads in these columns; its runs say nothing."""
    lengths = [[len(column) for column in pe] for pe in columns]
    pads = np.array([pad for pe in columns for column in pe for pad in column], bool)
    pointers = np.concatenate([np.zeros((len(columns), 1), int), np.cumsum(lengths, axis=1)], 1)
    code = (~pads).astype(np.uint8)
    return Csc(1, len(columns[0]), len(columns), 4, code, code * 0, pointers)


def assert_walked(
    columns: list[list[list[bool]]], starts: np.ndarray, per_line: int, share_pads: bool
) -> None:
    """Columns of PEs, and where each PE's first one starts."""
    work = count_work(of_columns(columns), per_line, share_pads=share_pads, starts=starts)
    found = np.stack([work.weights, work.pads, work.lines], axis=-1).swapaxes(0, 1)
    for pe, own in enumerate(columns):
        at = int(np.broadcast_to(starts, len(columns))[pe])
        for number, column in enumerate(own):
            told = walk(column, at, per_line, share_pads)
            assert tuple(found[pe, number]) == told, (column, at, per_line)
            at += len(column)


EVERY = [
    [list(pads)] for length in range(LONGEST + 1) for pads in product((False, True), repeat=length)
]


@pytest.mark.parametrize("share_pads", [False, True])
@pytest.mark.parametrize("per_line", [1, 2, 3, 4, 5])
def test_every_short_column_at_every_slot(per_line, share_pads):
    for start in range(per_line):
        assert_walked(EVERY, np.array(start), per_line, share_pads)


def test_columns_behind_each_other(rng):
    """No pad is shared across columns or lines, wherever the PEs begin."""
    for _ in range(60):
        pes, count, per_line = (int(rng.integers(1, most)) for most in (6, 12, 12))
        density = rng.random()
        columns = [
            [(rng.random(rng.integers(0, 10)) < density).tolist() for _ in range(count)]
            for _ in range(pes)
        ]
        starts = rng.integers(0, 5 * per_line, pes)
        assert_walked(columns, starts, per_line, bool(rng.integers(2)))


def test_the_matrices_of_clusters(rng):
    """What ``encode`` makes: all of a column's weights are counted, in the PE that has them."""
    for _ in range(40):
        config = random_config(rng)
        clusters = 1 << int(rng.integers(config.splits + 1))
        codes = random_codes(rng, config, *rng.integers(1, 60, 2), density=0.2, long_runs=0.2)
        csc = encode(codes, config.pes, config.run_bits, clusters)
        per_line = config.entries_per_line(config.run_bits)
        work = count_work(csc, per_line, share_pads=config.share_pads)
        assert work.weights.shape == work.pads.shape == (csc.local_columns, config.pes)
        local, pe = np.divmod(np.arange(work.weights.size), config.pes)
        columns = csc.global_columns(pe, local)
        known = columns < codes.shape[1]
        found = np.bincount(columns[known], work.weights.ravel()[known], codes.shape[1])
        assert (found == np.count_nonzero(codes, axis=0)).all()
        assert not work.weights.ravel()[~known].any()
        assert (work.cycles == work.weights + work.pads).all()


def test_the_words_in_the_memories(rng):
    """Matrices anywhere in memory, at any slot, with runs of any width."""
    for _ in range(12):
        config = random_config(rng, run_bits=1)
        options = {"density": 0.15, "long_runs": 0.3, "gaps": True, "top": bool(rng.integers(2))}
        program = random_program(rng, config, [20, 30, 20], **options)
        model = GoldenModel(program)
        for matrix, (_, segment, step) in zip(model.decoded, program.passes(), strict=True):
            work = matrix.work
            found = np.stack([work.weights, work.pads, work.lines], axis=-1).tolist()
            for column, own in enumerate(found):
                for pe, cost in enumerate(own):
                    assert tuple(cost) == walk_memory(config, segment, step, pe, column)


@pytest.mark.parametrize(
    ("pads", "per_line", "cost"),
    [
        ("..", 4, (2, 0, 1)),
        ("o.", 4, (1, 0, 1)),
        ("oo.", 4, (1, 1, 1)),
        ("..o.", 4, (3, 0, 1)),
        (".o.", 2, (2, 0, 2)),
        ("o.o.", 3, (2, 1, 2)),
        ("o", 4, (0, 1, 1)),
        ("", 4, (0, 0, 0)),
    ],
)
def test_a_pad_takes_the_cycle_of_a_neighbour(pads, per_line, cost):
    """``o`` is a pad; the columns begin at slot 0."""
    column = [pad == "o" for pad in pads]
    work = count_work(of_columns([[column]]), per_line, share_pads=True)
    assert (work.weights[0, 0], work.pads[0, 0], work.lines[0, 0]) == cost


def test_without_sharing_every_pad_takes_a_cycle():
    work = count_work(of_columns([[[True, False, True, False]]]), 8, share_pads=False)
    assert (work.weights[0, 0], work.pads[0, 0]) == (2, 2)
