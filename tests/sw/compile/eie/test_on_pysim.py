"""Tiled networks on the array itself: what is fed, fetched and left in the accumulators."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from sim.devices import open_device
from spec.eie.config import preset
from spec.numbers import signed_bounds
from sw.compile.eie.check import run_integers
from sw.compile.eie.pack import pack_network
from sw.compile.eie.tile import tile_network
from sw.host.compare import first_difference, run_on
from tests.sw.compile.networks import integer_layers

pytestmark = pytest.mark.flow


@pytest.mark.parametrize(
    ("clusters", "small"),
    [
        (1, {"act_rows": 3, "rows": 2, "columns": 20}),
        (2, {"act_rows": 4, "rows": 4, "columns": 14}),
        (None, {"act_rows": 3, "rows": 4, "columns": 16, "lanes": 2}),
    ],
)
def test_a_network_larger_than_every_memory(rng, clusters, small):
    config = replace(preset("tiny"), lines=12, biases=6, layers=4, codebooks=2, **small)
    layers = integer_layers(rng, config, (14, 9, 5), density=0.5)
    program = pack_network(layers, tile_network(layers, config, clusters=clusters), config)
    assert len(program.segments) > 2
    batch = rng.integers(*signed_bounds(config.act_bits), (config.lanes, 14), endpoint=True)
    results = []
    for name in ("golden", "pysim"):
        with closing(open_device(name, config)) as device:
            results.append(run_on(device, program, batch))
    assert first_difference(program, *results) is None
    np.testing.assert_array_equal(results[1].outputs, run_integers(layers, batch, config))
