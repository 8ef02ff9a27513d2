"""The golden device of the N:M engine, against plain products of matrices and windows."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import preset
from spec.nm.golden import GoldenModel
from sw.host.eie.golden import GoldenDevice as EieGoldenDevice
from sw.host.nm.golden import GoldenDevice
from tests.spec.nm.cases import random_case
from tests.spec.nm.networks import conv_network, linear_network

pytestmark = pytest.mark.unit

CONFIGS = {
    "tiny": preset("tiny", weight_steps=64),
    "default": preset("default"),
    "wide numbers": preset("tiny", act_bits=16, weight_bits=6, acc_bits=36, weight_steps=64),
    "small banks": preset("tiny", weight_steps=8, gather_lines=2),
}


def loaded(program) -> GoldenDevice:
    device = GoldenDevice(program.config)
    device.load(program)
    return device


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_chains(rng, config):
    networks = [
        conv_network(rng, config),
        linear_network(rng, config, [40, 33, 20, 9], ["2:4", "1:4", "1:1"]),
    ]
    for network in networks:
        device = loaded(network.program)
        batch = network.batch(rng, 3)
        outputs = device.run(batch)
        assert outputs.dtype == np.int64
        assert np.array_equal(outputs, network.expected(batch))
        assert len(np.unique(outputs)) > 5
        assert len(device.counters()) == 3


def test_a_chain_is_its_layers_one_by_one(rng):
    network = conv_network(rng, CONFIGS["tiny"])
    device, alone = loaded(network.program), loaded(network.program)
    batch = network.batch(rng, 2)
    outputs = device.run(batch)
    values = batch
    for number, layer in enumerate(network.program.layers):
        results = alone.run_layer(number, layer.tokens_of(values))
        values = layer.images_of(results)
        assert alone.counters() == [device.counters()[number]]
    assert np.array_equal(values, outputs)


def test_layers(rng):
    for _ in range(20):
        case = random_case(rng)
        assert np.array_equal(loaded(case.program).run_layer(0, case.acts), case.expected())


def test_an_image_is_decoded_once(rng, monkeypatch):
    network = linear_network(rng, CONFIGS["tiny"], [9, 5])
    device = loaded(network.program)
    monkeypatch.setattr("spec.nm.golden.GoldenModel.__init__", None)
    for _ in range(2):
        device.run(network.batch(rng, 1))
        device.load(network.program)


def test_another_image_is_decoded_anew(rng):
    one, other = (linear_network(rng, CONFIGS["tiny"], [9, 5]) for _ in range(2))
    device, batch = loaded(one.program), one.batch(rng, 3)
    device.load(other.program)
    assert np.array_equal(device.run(batch), other.expected(batch))
    assert not np.array_equal(one.expected(batch), other.expected(batch))


def test_images_for_something_else_are_refused(rng):
    network = linear_network(rng, CONFIGS["tiny"], [9, 5])
    with pytest.raises(UserError, match=r"differ in \(image / device\): act_lines 32 / 40"):
        GoldenDevice(replace(CONFIGS["tiny"], act_lines=40)).load(network.program)
    eie = EieGoldenDevice(eie_preset("tiny"))
    with pytest.raises(UserError, match="golden is an EIE array, the image is for an N:M array"):
        eie.load(network.program)


def test_an_image_that_no_array_could_run_is_refused(rng):
    program = linear_network(rng, CONFIGS["tiny"], [9, 5]).program
    broken = replace(program, layers=(replace(program.layers[0], inputs=8),))
    device = loaded(program)
    with pytest.raises(UserError, match="layer fc0"):
        device.load(broken)
    assert device.run(np.zeros((1, 9), int)).shape == (1, 5)


def test_ticks_with_the_images_that_are_done(rng):
    network = linear_network(rng, CONFIGS["tiny"], [9, 5])
    ticks: list[int] = []
    loaded(network.program).run(network.batch(rng, 4), ticks.append)
    GoldenModel(network.program).run(network.batch(rng, 3), ticks.append)
    assert ticks == [4, 3]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 8), int), r"shape \(2, 8\), must be \(images, 9\)"),
        (np.zeros((0, 9), int), r"shape \(0, 9\)"),
        (np.zeros((2, 9)), "takes integers, the input is float64"),
        (np.full((1, 9), -129), r"reaches -129...-129, must stay within -128...127"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(rng, batch, message):
    device = loaded(linear_network(rng, CONFIGS["tiny"], [9, 5]).program)
    with pytest.raises(UserError, match=message):
        device.run(batch)


def test_names_its_tools(rng):
    device = loaded(linear_network(rng, CONFIGS["tiny"], [9, 5]).program)
    assert device.tools["numpy"] == np.__version__
    device.close()
    device.close()
