"""Compiled networks on the array itself: many modes, gathered and plain, images and pooling."""

from contextlib import closing

import numpy as np
import pytest
from torch import nn

from sim.devices import open_device
from spec.nm.config import preset
from spec.numbers import quantize
from sw.compile import compile_network
from sw.compress.patterns import nm_mask, tile_vector_mask
from sw.host.compare import first_difference, run_on
from tests.sw.compile.images import prune
from tests.sw.compile.nm.references import run_reference

pytestmark = pytest.mark.flow


def test_a_network_of_all_forms(rng):
    config = preset("tiny")
    parts = [nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
    parts += [nn.Conv2d(4, 4, 2, groups=2), nn.Flatten(), nn.Linear(16, 10), nn.ReLU()]
    module = nn.Sequential(*parts, nn.Linear(10, 8), nn.Linear(8, 5)).eval()
    prune(module[3], nm_mask, 1, 2)
    prune(module[5], tile_vector_mask, config.rows, 0.25, 2, 4, config.line_inputs)
    prune(module[7], nm_mask, 1, 4)
    samples = rng.normal(size=(3, 2, 6, 6))
    result = compile_network(module, samples, config)
    assert len({layer["mode"] for layer in result.layers}) > 2
    assert {layer["gather"] for layer in result.layers} == {False, True}
    program = result.program
    batch = quantize(samples.reshape(3, -1), program.input_scale, config.act_bits)
    results = []
    for name in ("golden", "pysim"):
        with closing(open_device(name, config)) as device:
            results.append(run_on(device, program, batch))
    assert first_difference(program, *results) is None
    np.testing.assert_array_equal(results[1].outputs, run_reference(program, batch))
