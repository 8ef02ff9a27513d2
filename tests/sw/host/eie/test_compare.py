"""The first difference between two devices, and where it is said to be."""

from dataclasses import replace

import pytest

from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import PassCounts
from sw.host.compare import Result, first_difference, run_on
from sw.host.eie.compare import OF_PACE
from sw.host.eie.golden import GoldenDevice
from tests.programs import random_acts, random_program

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    return random_program(rng, preset("tiny"), [20, 12, 7], density=0.4)


@pytest.fixture
def result(rng, program):
    return run_on(GoldenDevice(program.config), program, random_acts(rng, program.config, 3, 20))


def changed(result: Result, *, number: int = 0, pe=None, array=None, output=None) -> Result:
    """Another device's result, with one value off by one."""
    outputs = result.outputs.copy()
    counts = [PassCounts(one.pe.copy(), one.array.copy()) for one in result.counts]
    if output:
        outputs[output] += 1
    if pe:
        counts[number].pe[pe] += 1
    if array:
        counts[number].array[array] += 1
    return replace(result, device="other", outputs=outputs, counts=counts)


def test_equal_results(program, result):
    assert first_difference(program, result, changed(result)) is None


def test_an_output(program, result):
    value = result.outputs[2, 5]
    found = first_difference(program, result, changed(result, output=(2, 5), pe=(0, 0, 0)))
    assert found == f"image 2, output 5: golden {value}, other {value + 1}"


@pytest.mark.parametrize("name", ARRAY_COUNTERS)
def test_a_counter_of_the_array(program, result, name):
    other = changed(result, number=1, array=(2, ARRAY_COUNTERS.index(name)))
    found = first_difference(program, result, other)
    assert found is not None
    assert found.startswith(f"pass 1 (layer1), image 2, {name}: golden ")


@pytest.mark.parametrize("name", PE_COUNTERS)
def test_a_counter_of_an_element(program, result, name):
    other = changed(result, number=1, pe=(0, 3, PE_COUNTERS.index(name)))
    found = first_difference(program, result, other)
    assert found is not None
    assert found.startswith(f"pass 1 (layer1), image 0, PE 3, {name}: golden ")


@pytest.mark.parametrize("name", ARRAY_COUNTERS)
def test_only_what_depends_on_the_pace_is_skipped_without_one(program, result, name):
    other = changed(result, number=1, array=(2, ARRAY_COUNTERS.index(name)))
    for pair in ((result, replace(other, paced=False)), (replace(result, paced=False), other)):
        assert (first_difference(program, *pair) is None) == (name in OF_PACE)
    assert OF_PACE == ("hidden",)


@pytest.mark.parametrize(("time", "images"), [(0, "images 0 to 1"), (1, "image 2")])
def test_counters_of_lanes_are_those_of_several_images(rng, time, images):
    program = random_program(rng, preset("tiny", lanes=2), [20, 12, 7], density=0.4)
    result = run_on(GoldenDevice(program.config), program, random_acts(rng, program.config, 3, 20))
    for change in ({"array": (time, 0)}, {"pe": (time, 0, 0)}):
        found = first_difference(program, result, changed(result, **change))
        assert found is not None
        assert f"pass 0 (layer0), {images}, " in found


def test_steps_of_sequences_are_named(rng):
    steps = replace(
        random_program(rng, preset("tiny", lanes=2), [20, 7], density=0.4),
        per_step=1,
        every_step=True,
    )
    batch = random_acts(rng, steps.config, 12, 20).reshape(3, 4, 20)
    result = run_on(GoldenDevice(steps.config), steps, batch)
    found = first_difference(steps, result, changed(result, output=(2, 3, 5)))
    assert found is not None
    assert found.startswith("image 2, step 3, output 5: golden ")
    found = first_difference(steps, result, changed(result, array=(2, 0)))
    assert found is not None
    assert found.startswith("pass 0 (layer0), images 0 to 1, step 2, cycles: golden ")
