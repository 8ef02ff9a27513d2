"""The stored form: the paper's and the lecture's examples, inverses, and refusals."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.csc import check, decode, encode, locate
from spec.errors import UserError
from tests.programs import random_codes, random_config

pytestmark = pytest.mark.unit


def test_the_papers_column():
    """Han et al., ISCA 2016, section III.B: a run of 18 zeros needs a pad."""
    column = np.array([0, 0, 1, 2, *[0] * 18, 3], np.uint8)[:, None]
    csc = encode(column, pes=1, run_bits=4)
    assert csc.code.tolist() == [1, 2, 0, 3]
    assert csc.run.tolist() == [2, 0, 15, 2]
    assert csc.pads.tolist() == [False, False, True, False]
    assert np.array_equal(decode(csc), column)


def test_the_papers_figure_3():
    """PE 0 of four holds rows 0, 4, 8 and 12 of a 16 x 8 matrix."""
    matrix = np.zeros((16, 8), np.uint8)
    kept = [(0, 0), (8, 0), (12, 0), (4, 1), (0, 2), (12, 2), (0, 4), (4, 4)]
    kept += [(0, 5), (12, 5), (0, 6), (8, 7), (12, 7)]
    for row, column in kept:
        matrix[row, column] = 1
    csc = encode(matrix, pes=4, run_bits=4)
    assert csc.of_pe(0)[1].tolist() == [0, 1, 0, 1, 0, 2, 0, 0, 0, 2, 0, 2, 0]
    assert csc.pointers[0].tolist() == [0, 3, 4, 6, 6, 8, 10, 11, 13]


def lecture_matrix() -> np.ndarray:
    """The lecture's 8 x 4 example; each weight has a code of its own."""
    matrix = np.zeros((8, 4), np.uint8)
    kept = ("00", "01", "03", "12", "21", "23", "42", "43", "50", "63", "71")
    for code, (row, column) in enumerate(kept, 1):
        matrix[int(row), int(column)] = code
    return matrix


def test_the_lectures_example():
    matrix = lecture_matrix()
    csc = encode(matrix, pes=4, run_bits=4)
    places = [(0, 0), (0, 1), (4, 2), (0, 3), (4, 3)]
    assert csc.of_pe(0)[0].tolist() == [matrix[place] for place in places]
    assert csc.pointers.tolist() == [
        [0, 1, 2, 3, 5],
        [0, 1, 1, 2, 2],
        [0, 0, 1, 1, 3],
        [0, 0, 1, 1, 1],
    ]
    assert np.array_equal(decode(csc), matrix)


def test_both_ways_to_count_zeros():
    """The paper starts again at each column, and so do we; the lecture counts on across columns."""
    of_pe0 = lecture_matrix()[0::4]
    ours = encode(lecture_matrix(), pes=4, run_bits=4).of_pe(0)[1]
    assert ours.tolist() == [0, 0, 1, 0, 0]
    one_long_column = of_pe0.T.reshape(-1, 1)
    lectures = encode(one_long_column, pes=1, run_bits=4).run
    assert lectures.tolist() == [0, 1, 2, 0, 0]


@pytest.mark.parametrize(("zeros", "pads"), [(0, 0), (15, 0), (16, 1), (31, 1), (32, 2), (47, 2)])
def test_a_pad_takes_a_row_of_its_own(zeros, pads):
    column = np.array([0] * zeros + [5], np.uint8)[:, None]
    csc = encode(column, pes=1, run_bits=4)
    assert csc.code.tolist() == [0] * pads + [5]
    assert csc.run.tolist() == [15] * pads + [zeros - 16 * pads]
    assert np.array_equal(decode(csc), column)


def test_decode_undoes_encode(rng):
    for _ in range(200):
        config = random_config(rng)
        rows, columns = (int(size) for size in rng.integers(1, 90, 2))
        codes = random_codes(
            rng,
            config,
            rows,
            columns,
            density=float(rng.choice([0, 0.02, 0.1, 0.5, 1])),
            empty_rows=0.1,
            empty_columns=0.1,
            long_runs=0.2,
        )
        clusters = 1 << int(rng.integers(config.splits + 1))
        csc = encode(codes, config.pes, config.run_bits, clusters)
        assert np.array_equal(decode(csc), codes)
        assert np.count_nonzero(~csc.pads) == np.count_nonzero(codes)
        assert (csc.run[csc.pads] == (1 << config.run_bits) - 1).all()


@pytest.mark.parametrize(("pes", "clusters"), [(2, 2), (4, 2), (6, 2), (8, 4), (8, 8)])
def test_a_cluster_stores_its_columns_like_an_array_of_its_own(rng, pes, clusters):
    """Those of the activations in its PEs: j in PE j % pes; rows go to its PEs in turn."""
    own = pes // clusters
    for columns in (1, own, pes - 1, pes, 3 * pes + own + 1):
        codes = random_codes(rng, random_config(rng, code_bits=4), 41, columns, density=0.2)
        csc = encode(codes, pes, 2, clusters)
        assert (csc.cluster_pes, csc.local_rows) == (own, -(-41 // pes) * clusters)
        for cluster in range(clusters):
            mine = [j for j in range(columns) if j % pes // own == cluster]
            alone = encode(codes[:, mine], own, 2)
            for pe in range(own):
                whole = cluster * own + pe
                assert np.array_equal(csc.of_pe(whole), alone.of_pe(pe))
                ends = np.pad(alone.pointers[pe], (0, csc.local_columns - len(mine)), "edge")
                assert np.array_equal(csc.pointers[whole], ends)
            local = np.arange(len(mine))
            assert csc.global_columns(np.full_like(local, cluster * own), local).tolist() == mine


def test_no_column_ends_with_a_pad(rng):
    codes = random_codes(rng, random_config(rng, code_bits=4), 200, 20, density=0.01)
    csc = encode(codes, 3, 2)
    ends = (csc.first[:-1, None] + csc.pointers[:, 1:])[np.diff(csc.pointers, axis=1) > 0]
    assert not csc.pads[ends - 1].any()


def test_entries_stand_where_the_dense_matrix_has_them(rng):
    codes = random_codes(rng, random_config(rng, code_bits=4), 50, 20, density=0.1)
    for clusters in (1, 2, 4):
        csc = encode(codes, 4, 1, clusters)
        where = locate(csc)
        rows = csc.global_rows(where.pe, where.local_row)
        columns = csc.global_columns(where.pe, where.column)
        kept = ~csc.pads
        assert np.array_equal(codes[rows[kept], columns[kept]], csc.code[kept])
        assert (codes[rows[~kept], columns[~kept]] == 0).all()


def test_a_matrix_of_zeros_has_no_entries():
    csc = encode(np.zeros((9, 5), np.uint8), 4, 4)
    assert len(csc.code) == 0
    assert not csc.pointers.any()
    assert not decode(csc).any()


def test_a_vector_is_refused():
    with pytest.raises(UserError, match="2 dimensions, this one has 1"):
        encode(np.zeros(4, np.uint8), 1, 4)


@pytest.fixture
def csc(rng):
    return encode(random_codes(rng, random_config(rng, code_bits=4), 12, 6, density=0.5), 3, 4)


def test_backward_pointers_are_refused(csc):
    pointers = csc.pointers.copy()
    pointers[1, 2] = pointers[1, 3] + 1
    with pytest.raises(UserError, match="PE 1, column 2: its pointers go backwards"):
        check(replace(csc, pointers=pointers))


def test_pointers_of_another_shape_are_refused(csc):
    with pytest.raises(UserError, match=r"shape \(2, 7\), must be of 3 PEs"):
        check(replace(csc, pointers=csc.pointers[1:]))
    with pytest.raises(UserError, match="must be .* and start at 0"):
        check(replace(csc, pointers=csc.pointers + 1))


def test_missing_entries_are_refused(csc):
    with pytest.raises(
        UserError, match=f"end at {len(csc.code)}, but there are {len(csc.code) - 1}"
    ):
        check(replace(csc, code=csc.code[:-1], run=csc.run[:-1]))
    with pytest.raises(UserError, match="pointers end at"):
        check(replace(csc, run=csc.run[:-1]))


def test_an_entry_behind_the_last_row_is_refused(csc):
    run = csc.run.copy()
    run[0] += 4
    column = int(locate(csc).column[0])
    with pytest.raises(UserError, match=f"PE 0, column {column}: an entry stands in row .* has 12"):
        check(replace(csc, run=run))


def test_an_entry_in_a_column_that_is_none_is_refused():
    """Five columns on two clusters of one PE: the second has two, and room for three."""
    csc = encode(np.ones((2, 5), np.uint8), 2, 4, 2)
    pointers = csc.pointers.copy()
    assert pointers.tolist() == [[0, 2, 4, 6], [0, 2, 4, 4]]
    pointers[1, 1:] = 1, 2, 4
    with pytest.raises(UserError, match="PE 1, column 2: .* in column 5, the matrix has 5"):
        check(replace(csc, pointers=pointers))
