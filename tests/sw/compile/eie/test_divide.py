"""Division: strips under each limit, the width of runs, and the number of clusters."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.csc import encode
from spec.eie.golden import GoldenModel
from spec.errors import UserError
from sw.compile.eie.balance import count_live, pe_loads, row_work
from sw.compile.eie.divide import Division, check_clusters, divide_layer, predict_cycles
from sw.compile.eie.gather import fits
from sw.compile.eie.pack import pack_network
from sw.compile.eie.strip import Room
from sw.compile.eie.tile import tile_network
from tests.sw.compile.eie.tiles import AMPLE, PLAIN, check_cover, full, plain_layer, spans, sparse

pytestmark = pytest.mark.unit


def divide(codes: np.ndarray, config: EieConfig, **options) -> Division:
    return divide_layer(sparse(codes), config, Room.of(config), **options)


@pytest.mark.parametrize(
    ("limit", "value", "expected"),
    [
        ("rows", 2, [(0, 8, 0, 20), (8, 4, 0, 20)]),
        ("biases", 2, [(0, 8, 0, 20), (8, 4, 0, 20)]),
        (
            "act_rows",
            2,
            [(o, n, i, m) for o, n in ((0, 8), (8, 4)) for i, m in ((0, 8), (8, 8), (16, 4))],
        ),
        ("lines", 12, [(0, 12, i, 4) for i in range(0, 20, 4)]),
        # Not even four columns fit at full height, nor at half of it.
        ("lines", 7, [(o, 4, i, 4) for o in (0, 4, 8) for i in range(0, 20, 4)]),
        ("lines", 8, [(o, 4, i, m) for o in (0, 4, 8) for i, m in ((0, 8), (8, 8), (16, 4))]),
    ],
)
def test_each_limit(limit, value, expected):
    codes, config = np.ones((12, 20)), replace(PLAIN, **{limit: value})
    tiles = divide(codes, config).tiles
    assert spans(tiles) == expected
    check_cover(tiles, codes, config)


def test_a_cluster_more_takes_accumulators_more():
    """Three rows of activations are twelve accumulators of each PE in four clusters."""
    config, codes = replace(AMPLE, clusters=4), np.ones((12, 20))
    for rows, strips in ((12, 1), (11, 2), (8, 2), (7, 3), (4, 3)):
        tiles = divide(codes, replace(config, rows=rows), clusters=4).tiles
        assert len(tiles) == strips
        check_cover(tiles, codes, replace(config, rows=rows))
    with pytest.raises(UserError, match=r"4 clusters take .* which has 3 \(rows\)"):
        divide(codes, replace(config, rows=3), clusters=4)
    assert divide(codes, replace(config, rows=3)).clusters < 4


@pytest.mark.parametrize("outputs", [1, 3, 4, 30])
def test_layers_that_cannot_be_tiled(outputs):
    with pytest.raises(
        UserError,
        match=r"layer fc cannot be tiled: columns 0\.\.\.3 of outputs 0\.\.\..* take 4 lines of 1 "
        r"entries in PE 0, its matrix memory holds 3 \(lines\)",
    ):
        divide(np.ones((outputs, 9)), replace(PLAIN, lines=3))
    with pytest.raises(
        UserError, match=r"fc cannot be tiled: 2 columns, .* in 2 cluster.*, .* holds 2 \(columns\)"
    ):
        divide(np.ones((outputs, 9)), replace(AMPLE, columns=2))
    assert divide(np.ones((outputs, 9)), replace(AMPLE, columns=3)).clusters == 2
    # Two clusters would do, if there were accumulators for them.
    with pytest.raises(UserError, match=r"4 columns, .* in 1 cluster"):
        divide(np.ones((outputs, 9)), replace(AMPLE, columns=3, rows=1))


def test_random_layers_under_random_limits(rng):
    for _ in range(60):
        inputs, outputs = (int(size) for size in rng.integers(1, 50, 2))
        codes = rng.random((outputs, inputs)) < rng.choice([0, 0.05, 0.4, 1])
        clusters = int(rng.choice([1, 2, 4]))
        config = replace(
            AMPLE,
            pes=clusters * int(rng.integers(1, 4)),
            clusters=clusters,
            rows=int(rng.integers(4, 12)),
            act_rows=int(rng.integers(1, 8)),
            lines=int(rng.integers(5, 30)),
            columns=int(rng.integers(13, 40)),
            run_bits=int(rng.integers(1, 4)),
        )
        division = divide(codes, config)
        check_cover(division.tiles, codes, config)
        assert all(fits([tile], Room.of(config)) for tile in division.tiles)
        assert len({tile.strip.split for tile in division.tiles}) == 1
        assert sorted(division.order) == list(range(outputs))


# Order of rows ------------------------------------------------------------------------------------


def test_every_strip_is_balanced_by_itself(rng):
    codes = rng.random((150, 60)) < np.resize([0.6, 0.3, 0.2, 0.1], 150)[:, None]
    config = replace(PLAIN, rows=20)
    division = divide(codes, config)
    assert [strip.outputs for strip in division.strips] == [76, 74]
    assert division.work_after < 1.02 < 1.05 < division.work_before
    for strip in division.strips:
        span = np.arange(strip.first_output, strip.first_output + strip.outputs)
        np.testing.assert_array_equal(np.sort(strip.order), span)
    work = row_work(codes, count_live(None, 60), 4, 1)
    loads = [pe_loads(work, strip.order, 4) for strip in division.strips]
    most, mean = sum(load.max() for load in loads), sum(load.mean() for load in loads)
    assert division.work_after == pytest.approx(most / mean)


@pytest.mark.parametrize("clusters", [1, 2, 4])
def test_work_is_that_of_the_clusters_in_use(rng, clusters):
    """An array that divides into four; in fewer clusters, neighbours are one."""
    config = replace(AMPLE, pes=8, clusters=4)
    codes = rng.random((40, 30)) < np.linspace(0, 1, 30)
    codes[:, np.arange(30) % 8 < 4] = False
    division = divide(codes, config, clusters=clusters)
    work = row_work(codes, count_live(None, 30), 8, clusters)
    loads = pe_loads(work, division.order, 8 // clusters)
    assert division.work_after == pytest.approx(loads.max() / loads.mean())


def test_plain_interleave(rng):
    division = divide(rng.random((50, 20)) < 0.3, PLAIN, balance=False)
    assert division.order.tolist() == list(range(50))
    assert division.work_before == division.work_after


def test_inputs_that_are_zero_are_no_work():
    """All rows have four weights, but those of every fourth row meet inputs that never live."""
    codes = np.zeros((64, 8))
    codes[:, :4] = 1
    codes[::4] = np.repeat([0, 1], 4)
    layer = sparse(codes, np.tile(np.arange(8) < 4, (99, 1)))
    division = divide_layer(layer, PLAIN, Room.of(PLAIN))
    assert division.work_after < 1.01
    assert division.work_before > 1.3
    assert divide(codes, PLAIN).work_before == 1


def test_an_empty_layer_has_no_work():
    division = divide(np.zeros((9, 5)), AMPLE)
    assert (division.work_before, division.work_after) == (1, 1)
    assert division.order.tolist() == list(range(9))


# Width of runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0, 0.01, 0.04, 0.1, 0.3])
def test_runs_take_the_fewest_bits(rng, density):
    config = replace(AMPLE, rows=4096, act_rows=1024, biases=1024, lines=1 << 16)
    codes = (rng.random((3000, 12)) < density).astype(np.uint8)
    for clusters in (1, 2):
        division = divide(codes, config, clusters=clusters)
        (strip,) = division.strips
        bits = {
            width: len(encode(codes[strip.order], 4, width, clusters).code) * (4 + width)
            for width in (4, 5, 6)
        }
        chosen = strip.csc.run_bits
        assert bits[chosen] == min(bits.values())
        assert chosen == min(width for width in bits if bits[width] == bits[chosen])
        assert len(strip.csc.code) * (4 + chosen) == bits[chosen]


# Clusters -----------------------------------------------------------------------------------------


def wide_layer(rng: np.random.Generator) -> np.ndarray:
    """Few outputs: on many PEs, hardly any column has work for each of them."""
    return rng.random((48, 400)) < 0.1


def test_few_rows_divide_the_array(rng):
    config = preset("default", pes=32)
    codes = wide_layer(rng)
    live = np.ones((1, 400), int)
    cycles = {
        clusters: predict_cycles(divide(codes, config, clusters=clusters).tiles, live)
        for clusters in (1, 2, 4)
    }
    assert min(cycles, key=lambda clusters: cycles[clusters]) > 1
    best = divide(codes, config)
    assert predict_cycles(best.tiles, live) == min(cycles.values())


def test_what_lives_decides(rng):
    """Only activations of the first cluster live: to divide would leave the others idle."""
    config, codes = preset("default", pes=32), wide_layer(rng)
    activity = np.zeros((3, 400), bool)
    activity[:, np.arange(400) % 32 < 8] = True
    division = divide_layer(sparse(codes, activity), config, Room.of(config))
    assert division.clusters == 1


def test_fewer_segments_come_before_fewer_cycles():
    """Dense rows are best left whole, but the pointers of one cluster would take two segments."""
    codes = np.ones((64, 40))
    assert divide(codes, AMPLE).clusters == 1
    assert divide(codes, replace(AMPLE, columns=30)).clusters == 2


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_predicted_cycles_are_those_of_the_golden_model(rng, lanes):
    """Two strips, or four, in one run, on sparse activations."""
    config = replace(AMPLE, lanes=lanes, rows=6)
    layer = plain_layer(rng.random((40, 20)) < 0.3)
    acts = rng.integers(1, 99, (lanes, 20)) * (rng.random((lanes, 20)) < 0.4)
    for clusters in (1, 2):
        tiling = tile_network([layer], config, clusters=clusters)
        ((run,),) = tiling.segments
        assert len(run) == 2 * clusters
        live = np.count_nonzero(acts, axis=0)[None]
        _, counts = GoldenModel(pack_network([layer], tiling, config)).run(acts)
        assert predict_cycles(run, live) == sum(int(one.of("cycles")[0]) for one in counts)


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("lanes", [1, 4])
def test_any_number_of_samples_will_do(rng, samples, lanes):
    config = replace(AMPLE, lanes=lanes)
    layer = sparse(full(9, 20).codes, rng.random((samples, 20)) < 0.5)
    check_cover(divide_layer(layer, config, Room.of(config)).tiles, layer.codes, config)


@pytest.mark.parametrize("clusters", [0, -2, 3, 4, 8])
def test_clusters_that_the_array_has_not(clusters):
    with pytest.raises(UserError, match=f"clusters = {clusters}: 4 PEs divide into 1, 2 "):
        check_clusters(clusters, AMPLE)
    check_clusters(2, AMPLE)
    check_clusters(None, AMPLE)
