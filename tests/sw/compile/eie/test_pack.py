"""Packing: random networks under every limit compute, word for word, what the integers say."""

from dataclasses import replace

import numpy as np
import pytest

from spec import image
from spec.eie.checks import check_fits
from spec.eie.config import EieConfig, preset
from spec.eie.golden import GoldenModel
from spec.eie.lines import unpack_pointers
from spec.eie.loading import plan_turns
from spec.eie.program import Program, capacities, matrix_of
from spec.errors import UserError
from spec.numbers import signed_bounds
from sw.compile.eie.check import check_program, run_integers
from sw.compile.eie.pack import pack_network
from sw.compile.eie.tile import tile_network
from tests.sw.compile.eie.tiles import AMPLE
from tests.sw.compile.networks import integer_layers, unpacked

pytestmark = pytest.mark.unit

LIMITS = {
    "none": {},
    "rows": {"rows": 2},
    "act_rows": {"act_rows": 2},
    "columns": {"columns": 9},
    "lines": {"lines": 5},
    "biases": {"biases": 2},
    "layers": {"layers": 2},
    "codebooks": {"codebooks": 1},
    "all": {"rows": 2, "act_rows": 3, "columns": 12, "lines": 6, "biases": 3, "layers": 3},
    "smallest": {"rows": 1, "act_rows": 1, "columns": 5, "lines": 1, "biases": 1, "layers": 1},
}


def check(rng: np.random.Generator, config: EieConfig, sizes: tuple[int, ...], density: float):
    """Compile a random network; hold the packed words against the integers."""
    layers = integer_layers(rng, config, sizes, density=density)
    activity = [rng.random((3, layer.inputs)) < 0.5 for layer in layers]
    balance = bool(rng.random() < 0.8)
    tiling = tile_network(layers, config, activity=activity, balance=balance)
    program = pack_network(layers, tiling, config)
    low, high = signed_bounds(config.act_bits)
    batch = rng.integers(low, high, (4, sizes[0]), endpoint=True)
    batch *= rng.random(batch.shape) < rng.choice([0.1, 0.6, 1])
    batch[0] = 0
    outputs = check_program(program, layers, batch)
    np.testing.assert_array_equal(outputs, run_integers(layers, batch, config))
    for dense, layer in zip(unpacked(program), layers, strict=True):
        np.testing.assert_array_equal(dense, layer.codebook[layer.codes])
    again = image.from_bytes(image.to_bytes(program))
    np.testing.assert_array_equal(GoldenModel(again).run(batch)[0], outputs)
    check_fits(program)
    check_layout(program)
    return program


def check_layout(program: Program) -> None:
    """Segments stand at the bottom and top in turn; every pass begins at a line of its own."""
    config = program.config
    for number, segment in enumerate(program.segments):
        assert segment.top == number % 2
        bases, room = segment.bases(config), capacities(config)
        end = np.full(config.pes, bases.lines)
        for step in segment.passes:
            csc = matrix_of(config, segment, step)
            per_line = config.entries_per_line(csc.run_bits)
            first = step.descriptor.pointer_base - bases.pointers
            begin = unpack_pointers(config, segment.pointers[:, first], per_line)
            np.testing.assert_array_equal(begin, end * per_line)
            end += -(-csc.pointers[:, -1] // per_line)
        assert end.max() == (room["lines"] if segment.top else segment.lines.shape[1])


@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit(rng, limit, density):
    config = replace(AMPLE, **LIMITS[limit])
    program = check(rng, config, (21, 13, 9, 6), density)
    if limit == "none":
        (segment,) = program.segments
        assert [step.layer for step in segment.passes] == [0, 1, 2]
        assert len(segment.runs) == 1


def test_random_configurations(rng):
    for _ in range(15):
        clusters, run_bits = int(rng.choice([1, 2, 4])), int(rng.integers(1, 5))
        pes = clusters * int(rng.integers(1, 4))
        config = replace(
            AMPLE,
            pes=pes,
            clusters=clusters,
            lanes=int(rng.choice([1, 2, 4])),
            act_bits=int(rng.integers(4, 17)),
            weight_bits=int(rng.integers(4, 17)),
            code_bits=int(rng.integers(1, 6)),
            run_bits=run_bits,
            run_bits_most=int(rng.integers(run_bits, 7)),
            line_bits=int(rng.integers(11, 65)),
            share_pads=bool(rng.integers(2)),
            double_buffer=bool(rng.integers(2)),
            rows=int(rng.integers(1, 10)),
            act_rows=int(rng.integers(1, 10)),
            lines=int(rng.integers(pes, 60)),
            columns=int(rng.integers(pes + 1, 60)),
            biases=int(rng.integers(1, 12)),
            layers=int(rng.integers(1, 6)),
            codebooks=int(rng.integers(1, 4)),
        )
        sizes = tuple(int(size) for size in rng.integers(1, 30, rng.integers(2, 5)))
        check(rng, config, sizes, float(rng.choice([0.0, 0.1, 0.5, 1.0])))


def test_one_layer_of_one_weight(rng):
    program = check(rng, AMPLE, (1, 1), 1.0)
    assert program.layers[0].weights == 1


def test_sums_beyond_53_bits_are_exact_too(rng):
    """The dense reference leaves floating point where it would round."""
    config = preset("tiny", act_bits=32, weight_bits=26, acc_bits=60, multiplier_bits=2)
    layers = integer_layers(rng, config, (16, 4), density=1.0)
    assert layers[0].sum_bits > 54
    batch = rng.integers(*signed_bounds(32), (3, 16))
    program = pack_network(layers, tile_network(layers, config), config)
    check_program(program, layers, batch)


def test_what_the_host_feeds_and_fetches(rng):
    """Two parts of the input, summed over two runs; then the next layer on the array."""
    config = replace(AMPLE, act_rows=4)
    layers = integer_layers(rng, config, (20, 12, 8))
    (segment,) = pack_network(layers, tile_network(layers, config), config).segments
    first, second = segment.runs
    assert first.feed
    assert second.feed
    assert second.fetch
    assert (first.feed.first, first.feed.count, first.fetch) == (0, 16, None)
    assert (second.feed.first, second.feed.count) == (16, 4)
    assert (second.fetch.layer, second.fetch.first, second.fetch.count) == (1, 0, 8)
    assert [step.descriptor.swap for step in second.passes] == [True, False]
    assert [step.descriptor.drain for step in first.passes] == [False]
    assert [segment.first_pass(config, run) for run in segment.runs] == [0, 1]


def test_outputs_stand_behind_each_other(rng):
    """Two strips of two rows each; the next layer reads all four from the first row on."""
    config = replace(AMPLE, rows=2)
    layers = integer_layers(rng, config, (8, 16, 4))
    tiling = tile_network(layers, config, clusters=1)
    (segment,) = pack_network(layers, tiling, config).segments
    descriptors = [step.descriptor for step in segment.passes]
    assert [one.output_base for one in descriptors] == [0, 2, 0]
    assert [one.bias_base for one in descriptors] == [0, 2, 4]
    assert [one.input_rows for one in descriptors] == [2, 2, 4]
    assert [one.pointer_base for one in descriptors] == [0, 9, 18]


def test_each_segment_is_loaded_behind_the_one_before(rng):
    config = replace(AMPLE, columns=40)
    layers = integer_layers(rng, config, (20, 40, 30, 9))
    program = pack_network(layers, tile_network(layers, config), config)
    turns = plan_turns(config, list(program.runs()))
    assert len(program.segments) > 2
    assert [turn.ahead for turn in turns] == [*program.segments[1:], None]


def test_rows_that_change_places_take_their_biases_along(rng):
    layers = integer_layers(rng, AMPLE, (20, 12))
    tiling = tile_network(layers, AMPLE)
    program = pack_network(layers, tiling, AMPLE)
    (order,) = program.orders
    assert not np.array_equal(order, np.arange(12))
    biases = program.segments[0].biases.T.ravel()[:12]
    np.testing.assert_array_equal(biases, layers[0].bias[order])
    outputs, _ = GoldenModel(program).run(np.zeros((1, 20), np.int64))
    wanted = run_integers(layers, np.zeros((1, 20), np.int64), AMPLE)
    np.testing.assert_array_equal(outputs, wanted)


def test_a_damaged_program_is_not_taken(rng):
    layers = integer_layers(rng, AMPLE)
    program = pack_network(layers, tile_network(layers, AMPLE), AMPLE)
    segment = replace(program.segments[0], pointers=program.segments[0].pointers + 999)
    with pytest.raises(UserError, match="lies outside the segment's lines"):
        check_program(replace(program, segments=(segment,)), layers, np.ones((1, 20), np.int64))
