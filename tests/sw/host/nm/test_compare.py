"""The first difference between two N:M devices, and where it is said to be."""

from dataclasses import replace

import pytest

from spec.nm.config import preset
from spec.nm.counters import COUNTERS, OF_PACE
from spec.nm.cycles import RunCounts
from sw.host.compare import Result, first_difference, run_on
from sw.host.nm.golden import GoldenDevice
from tests.spec.nm.networks import linear_network

pytestmark = pytest.mark.unit

CONFIG = preset("tiny", weight_steps=64)


@pytest.fixture
def network(rng):
    return linear_network(rng, CONFIG, [20, 12, 7])


@pytest.fixture
def result(rng, network):
    return run_on(GoldenDevice(CONFIG), network.program, network.batch(rng, 3))


def changed(result: Result, *, number: int = 0, counter: str = "", output=None) -> Result:
    """Another device's result, with one value off by one."""
    outputs, counts = result.outputs.copy(), list(result.counts)
    if output:
        outputs[output] += 1
    if counter:
        values = list(counts[number].values)
        values[COUNTERS.index(counter)] += 1
        counts[number] = RunCounts(tuple(values))
    return replace(result, device="other", outputs=outputs, counts=counts)


def test_equal_results(network, result):
    assert first_difference(network.program, result, changed(result)) is None


def test_an_output_comes_first(network, result):
    value = result.outputs[2, 5]
    other = changed(result, output=(2, 5), counter="cycles")
    found = first_difference(network.program, result, other)
    assert found == f"image 2, output 5: golden {value}, other {value + 1}"


def test_outputs_of_another_shape(network, result):
    other = replace(changed(result), outputs=result.outputs[:2])
    found = first_difference(network.program, result, other)
    assert found == "shape of the outputs: golden (3, 7), other (2, 7)"


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", COUNTERS)
def test_a_counter(network, result, name, number):
    value = result.counts[number].of(name)
    other = changed(result, number=number, counter=name)
    found = first_difference(network.program, result, other)
    assert found == f"layer {number} (fc{number}), {name}: golden {value}, other {value + 1}"


@pytest.mark.parametrize("name", COUNTERS)
def test_only_what_depends_on_the_pace_is_skipped_without_one(network, result, name):
    other = changed(result, number=1, counter=name)
    for pair in ((result, replace(other, paced=False)), (replace(result, paced=False), other)):
        assert (first_difference(network.program, *pair) is None) == (name in OF_PACE)
    assert set(COUNTERS) - set(OF_PACE) == {"control", "busy", "loads", "results"}


def test_layers_that_are_no_chain_are_runs(rng, network):
    program = replace(network.program, chained=False)
    device = GoldenDevice(CONFIG)
    device.load(program)
    outputs = device.run_layer(1, network.batch(rng, 3)[:, :12])
    result = Result("golden", outputs, device.counters())
    assert first_difference(program, result, changed(result)) is None
    found = first_difference(program, result, changed(result, counter="busy"))
    assert found is not None
    assert found.startswith("run 0, busy: golden ")
