"""Balance: work in the columns of each cluster, and rows that share it out evenly."""

import numpy as np
import pytest

from sw.compile.eie import balance
from sw.compile.eie.balance import balance_rows, count_live, pe_loads, row_work

pytestmark = pytest.mark.unit


def balanced(rows: list, pes: int) -> tuple[list[int], list[list[float]]]:
    """Order and loads of rows whose work is given."""
    work = np.array(rows, float).reshape(len(rows), -1)
    order = balance_rows(work, pes)
    return order.tolist(), pe_loads(work, order, pes).tolist()


def test_heavy_and_light_rows_share_a_pe():
    order, loads = balanced([8, 7, 6, 5, 4, 3, 2, 1], 2)
    assert loads == [[18, 18]]
    assert order == [0, 1, 3, 2, 4, 5, 7, 6]


def test_a_row_loads_its_pe_in_every_cluster():
    """By their sums alone, the first two rows would meet the last two in any way."""
    _, loads = balanced([(6, 0), (0, 5), (5, 0), (0, 6)], 2)
    assert sorted(loads[0]) == [5, 6]
    assert sorted(loads[1]) == [5, 6]


def test_the_pe_with_fewer_places_gets_the_heavy_row():
    """Longest first alone would give it to PE 0, and then a second one."""
    assert balanced([4, 2, 2], 2) == ([1, 0, 2], [[4, 4]])


def test_equal_rows_stay_where_they_are():
    assert balanced([1] * 7, 3)[0] == list(range(7))
    assert balanced([0] * 5, 8)[0] == list(range(5))


def test_every_row_has_one_place_and_no_pe_has_holes(rng):
    for _ in range(50):
        rows, pes, clusters = (int(rng.integers(1, most)) for most in (60, 20, 5))
        order = balance_rows(rng.integers(0, 9, (rows, clusters)).astype(float), pes)
        assert sorted(order) == list(range(rows))
        for pe in range(pes):
            assert (np.diff(order[pe::pes]) > 0).all(), "rows of one PE keep their order"


@pytest.mark.parametrize("clusters", [1, 2, 4])
def test_uneven_rows_come_out_even(rng, clusters):
    """A layer of 600 rows on 64 PEs: ten rows in some, nine in the others."""
    shape = (600, clusters)
    work = np.rint(rng.lognormal(4, 0.6, (600, 1)) * rng.normal(1, 0.05, shape).clip(0.5))
    pes = 64 // clusters
    plain, even = (
        pe_loads(work, order, pes) for order in (np.arange(600), balance_rows(work, pes))
    )
    assert plain.max() > 1.1 * plain.mean()
    assert even.max() < 1.02 * even.mean()
    np.testing.assert_array_equal(even.sum(axis=1), work.sum(axis=0))


def test_work_is_weights_times_how_often_they_are_needed(rng, monkeypatch):
    codes = (rng.integers(0, 5, (9, 23)) * (rng.random((9, 23)) < 0.4)).astype(np.uint8)
    live = rng.integers(0, 100, 23)
    wanted = np.zeros((9, 3))
    for row, column in zip(*np.nonzero(codes), strict=True):
        wanted[row, column % 6 // 2] += live[column]
    np.testing.assert_array_equal(row_work(codes, live, 6, 3), wanted)
    monkeypatch.setattr(balance, "_BLOCK_WEIGHTS", 50)
    np.testing.assert_array_equal(row_work(codes, live, 6, 3), wanted)


def test_inputs_that_never_live_count_a_little():
    activity = np.array([[True, False, True], [True, False, False]])
    assert count_live(activity, 3).tolist() == [3, 1, 2]
    assert count_live(None, 3).tolist() == [1, 1, 1]
