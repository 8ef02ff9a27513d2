"""Packing: random networks under every limit compute, word for word, what the integers say."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from spec import image
from spec.eie.config import EieConfig, preset
from spec.eie.golden import GoldenModel
from spec.errors import UserError
from spec.numbers import signed_bounds
from sw.compile.check import check_program, run_integers
from sw.compile.pack import pack_network
from sw.compile.tile import tile_network
from tests.sw.compile.networks import integer_layers, unpacked

pytestmark = pytest.mark.unit

AMPLE = preset(
    "tiny", rows=64, act_rows=64, entries=4096, columns=512, biases=64, layers=16, codebooks=16
)

LIMITS = {
    "none": {},
    "rows": {"rows": 1},
    "act_rows": {"act_rows": 2},
    "columns": {"columns": 9},
    "entries": {"entries": 10},
    "few entries": {"entries": 4},
    "biases": {"biases": 2},
    "layers": {"layers": 2},
    "codebooks": {"codebooks": 1},
    "all": {"rows": 2, "act_rows": 3, "columns": 12, "entries": 16, "biases": 3, "layers": 3},
    "smallest": {"rows": 1, "act_rows": 1, "columns": 5, "entries": 4, "biases": 1, "layers": 1},
}


def check(rng: np.random.Generator, config: EieConfig, sizes: tuple[int, ...], density: float):
    """Compile a random network; hold the packed words against the integers."""
    layers = integer_layers(rng, config, sizes, density=density)
    program = pack_network(layers, tile_network(layers, config), config)
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
    check_sizes(program, config)
    return program


def check_sizes(program, config: EieConfig) -> None:
    """No memory holds more than it has room for; every descriptor fits its fields."""
    for segment in program.segments:
        assert segment.pointers.shape[1] <= config.columns
        assert segment.lines.shape[1] <= config.lines
        assert segment.biases.shape[1] <= config.biases
        assert len(segment.codebooks) <= config.codebooks
        assert len(segment.passes) <= config.layers
        assert int(segment.pointers.max()) <= config.entries
        for step in segment.passes:
            step.descriptor.pack(config)
            assert step.descriptor.rows <= config.rows
            assert step.descriptor.output_base + step.descriptor.rows <= config.act_rows
            assert step.descriptor.input_base + step.descriptor.input_rows <= config.act_rows


@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit(rng, limit, density):
    config = replace(AMPLE, **LIMITS[limit])
    program = check(rng, config, (21, 13, 9, 6), density)
    if limit == "none":
        (segment,) = program.segments
        assert [step.layer for step in segment.passes] == [0, 1, 2]


def test_random_configurations(rng):
    for _ in range(15):
        pes = int(rng.integers(1, 6))
        config = replace(
            AMPLE,
            pes=pes,
            act_bits=int(rng.integers(4, 17)),
            weight_bits=int(rng.integers(4, 17)),
            code_bits=int(rng.integers(1, 6)),
            run_bits=int(rng.integers(1, 5)),
            line_bits=int(rng.integers(10, 65)),
            rows=int(rng.integers(1, 10)),
            act_rows=int(rng.integers(1, 10)),
            entries=int(rng.integers(pes, 60)),
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
    """Two parts of the input, summed over two segments; then the next layer on the array."""
    config = replace(AMPLE, act_rows=4)
    layers = integer_layers(rng, config, (20, 12, 8))
    first, second = pack_network(layers, tile_network(layers, config), config).segments
    assert first.feed
    assert second.feed
    assert second.fetch
    assert (first.feed.first, first.feed.count, first.fetch) == (0, 16, None)
    assert (second.feed.first, second.feed.count) == (16, 4)
    assert (second.fetch.layer, second.fetch.first, second.fetch.count) == (1, 0, 8)
    assert [step.descriptor.swap for step in second.passes] == [True, False]
    assert [step.descriptor.drain for step in first.passes] == [False]


def test_an_image_that_computes_other_bits_is_an_internal_error(rng):
    config = AMPLE
    layers = integer_layers(rng, config, density=0.8)
    program = pack_network(layers, tile_network(layers, config), config)
    batch = rng.integers(-3000, 3000, (3, layers[0].inputs))
    wrong = program.segments[0].codebooks.copy()
    wrong[2, 1:] += 999
    segment = replace(program.segments[0], codebooks=wrong)
    with pytest.raises(RuntimeError, match="internal error: the packed image of layer fc2"):
        check_program(replace(program, segments=(segment,)), layers, batch)

    def wrong_bias(tiles, given, config):
        packed = pack_network(given, tiles, config)
        broken = replace(packed.segments[0], biases=packed.segments[0].biases + (1 << 24))
        return replace(packed, segments=(broken,))

    with (
        patch("sw.compile.check.pack_network", lambda a, b, c: wrong_bias(b, a, c)),
        pytest.raises(RuntimeError, match="layer fc0"),
    ):
        check_program(wrong_bias(tile_network(layers, config), layers, config), layers, batch)


def test_a_damaged_program_is_not_taken(rng):
    layers = integer_layers(rng, AMPLE)
    program = pack_network(layers, tile_network(layers, AMPLE), AMPLE)
    segment = replace(program.segments[0], pointers=program.segments[0].pointers + 999)
    with pytest.raises(UserError, match="behind the last line"):
        check_program(replace(program, segments=(segment,)), layers, np.ones((1, 20), np.int64))
