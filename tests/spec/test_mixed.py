"""Programs of several stages: what goes from one to the next, and what does not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spec.errors import UserError
from spec.mixed import (
    Mixed,
    Stage,
    check_batch,
    check_fits,
    from_document,
    hand_over,
    to_document,
    unpack,
)
from spec.nm.config import preset
from spec.nm.program import Program as NmProgram
from tests.spec.mixes import EIE_CONFIG, NM_CONFIG, random_mix
from tests.spec.nm.networks import linear_network

pytestmark = pytest.mark.unit


def with_scales(stage: Stage, **scales: np.ndarray) -> Stage:
    """An N:M stage with other scales."""
    assert isinstance(stage, NmProgram)
    weights = tuple(replace(one, **scales) for one in stage.weights)
    return replace(stage, weights=weights)


def test_it_takes_what_its_first_stage_takes_and_gives_what_its_last_gives(rng):
    program = random_mix(rng, "nm eie nm").program
    first, _, last = program.stages
    assert (program.inputs, program.outputs) == (12, 7)
    assert (program.act_bits, program.per_step) == (8, 0)
    assert np.array_equal(program.input_scale, first.input_scale)
    assert np.array_equal(program.output_scale, last.output_scale)
    backwards = random_mix(rng, "eie nm").program
    assert backwards.act_bits == 16
    assert backwards.input_scale == 2.0**-15


@pytest.mark.parametrize("kinds", ["nm eie", "eie nm", "nm nm", "eie eie"])
def test_what_is_handed_over_is_the_nearest_integer(rng, kinds):
    """To the real number, within half a unit of the following stage, unless it saturates."""
    before, following = random_mix(rng, kinds).program.stages
    half = 1 << before.act_bits - 1
    outputs = rng.integers(-half, half, (50, before.outputs))
    found = hand_over(before, following, outputs)
    assert found.dtype == np.int64
    real = outputs * before.output_scale
    low, high = (-1 << following.act_bits - 1), (1 << following.act_bits - 1) - 1
    inside = (found > low) & (found < high)
    assert inside.sum() > 200
    unit = np.broadcast_to(following.input_scale, real.shape)
    assert (np.abs(found * unit - real) <= unit / 2 * (1 + 1e-9))[inside].all()
    assert (found[~inside] * real[~inside] > 0).all()
    assert (found.min(), found.max()) >= (low, low)
    assert found.max() <= high


def test_every_output_and_input_has_its_own_scale(rng):
    before, following = random_mix(rng, "nm nm").program.stages
    before = with_scales(before, output_scales=np.full(10, [0.5] * 9 + [0.25]))
    following = with_scales(following, input_scales=np.full(10, [0.25] + [0.5] * 9))
    found = hand_over(before, following, np.full((1, 10), 30))
    assert found.tolist() == [[60, *[30] * 8, 15]]
    found = hand_over(before, following, np.array([[100, *[3] * 8, 3]]))
    assert found.tolist() == [[127, *[3] * 8, 2]]  # saturated; 1.5 to even


def test_there_and_back(rng):
    program = random_mix(rng, "nm eie nm").program
    document, tensors = to_document(program)
    assert [one["engine"] for one in document["stages"]] == ["nm", "eie", "nm"]
    assert {name.partition(".")[0] for name in tensors} == {"stage0", "stage1", "stage2"}
    found = from_document(json.loads(json.dumps(document)), tensors)
    again, same = to_document(found)
    assert again == document
    assert list(same) == list(tensors)
    for name, tensor in tensors.items():
        assert np.array_equal(same[name], tensor)
        assert same[name].dtype == tensor.dtype


def test_tensors_of_stage_1_are_not_those_of_stage_10(rng):
    sizes = [5] * 13
    program = random_mix(rng, " ".join(["nm"] * 12), sizes).program
    document, tensors = to_document(program)
    found = from_document(document, tensors)
    for mine, theirs in zip(found.stages, program.stages, strict=True):
        assert isinstance(mine, NmProgram)
        assert isinstance(theirs, NmProgram)
        assert np.array_equal(mine.weights[0].strips, theirs.weights[0].strips)


def test_weights_of_all_stages(rng):
    program = random_mix(rng, "nm eie").program
    dense = unpack(program)
    assert {name: weights.shape for name, weights in dense.items()} == {
        "stage0_0": (10, 12),
        "stage1_0": (9, 10),
    }


def unchained(program: Mixed) -> Mixed:
    first, *others = program.stages
    return Mixed((replace(first, chained=False), *others))


def sequences(program: Mixed) -> Mixed:
    first, second, third = program.stages
    return Mixed((first, replace(second, per_step=1), third))


def broken(program: Mixed) -> Mixed:
    first, second, third = program.stages
    return Mixed((first, second, with_scales(third, scales=np.zeros(7))))


def twice(program: Mixed) -> Mixed:
    network = linear_network(np.random.default_rng(1), NM_CONFIG, [7, 5], prefix="stage0_")
    return Mixed((*program.stages, network.program))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda program: Mixed(()), "the image has no stages"),
        (
            lambda program: Mixed(program.stages[::2]),
            "stage 1 takes 9 values, the one before gives 10",
        ),
        (unchained, "stage 0: its layers are no chain"),
        (sequences, "stage 1: only a network of one engine takes sequences"),
        (broken, "stage 2: layer stage2_0: its scales must be above 0"),
        (twice, "layers share a name: stage0_0, stage1_0, stage2_0, stage0_0"),
    ],
)
def test_stages_that_do_not_fit_are_refused(rng, change, message):
    program = random_mix(rng, "nm eie nm").program
    check_fits(program)
    with pytest.raises(UserError, match=message):
        check_fits(change(program))


def test_stages_may_have_other_configurations(rng):
    program = random_mix(rng, "eie nm").program
    other = linear_network(rng, preset("tiny", rows=2), [9, 5])
    check_fits(Mixed((*program.stages, other.program)))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"stages": 3},
        {"stages": [3]},
        {"stages": ["nm"]},
        {"stages": [{}]},
        {"stages": [{"engine": "mixed"}]},
        {"stages": [{"engine": []}]},
    ],
)
def test_wrong_metadata_is_refused(document):
    with pytest.raises(UserError, match="metadata is incomplete or wrong"):
        from_document(document, {})


def test_wrong_metadata_of_a_stage_names_it(rng):
    document, tensors = to_document(random_mix(rng, "nm eie").program)
    stages = document["stages"]
    for number, one in enumerate(stages):
        forged = {"stages": [*stages[:number], one | {"layers": 3}, *stages[number + 1 :]]}
        with pytest.raises(UserError, match=f"stage {number}: the image's metadata is incompl"):
            from_document(forged, tensors)
        missing = {name: one for name, one in tensors.items() if f"stage{number}." not in name}
        with pytest.raises(UserError, match=f"stage {number}: the image's metadata is incompl"):
            from_document(document, missing)
    with pytest.raises(UserError, match="stage 1: .* does not have the digest that it states"):
        from_document({"stages": [stages[0], stages[1] | {"config_digest": "0"}]}, tensors)


def test_a_batch_is_checked_by_the_first_stage(rng):
    nm, eie = (random_mix(rng, kinds).program for kinds in ("nm eie", "eie nm"))
    assert check_batch(nm, np.ones((2, 12), np.uint8)).dtype == np.int64
    with pytest.raises(UserError, match="stay within -128...127"):
        check_batch(nm, np.full((2, 12), 300))
    assert check_batch(eie, np.full((2, 12), 300)).shape == (2, 12)
    assert EIE_CONFIG.act_bits == 16
