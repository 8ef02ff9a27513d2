"""The report: its keys, its sums, its table."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.eie.loading import ARMING_WORDS, feed_words, segment_words
from spec.errors import UserError
from spec.image import unpack
from sw.host.eie.golden import GoldenDevice
from sw.host.report import make_report, table
from tests.programs import random_acts, random_case, random_program

pytestmark = pytest.mark.unit


def run(program, batch):
    device = GoldenDevice(program.config)
    device.load(program)
    outputs = device.run(batch)
    return make_report(device, program, outputs, device.counters()), device, outputs


@pytest.fixture
def program(rng):
    return random_program(
        rng, preset("tiny", layers=8, columns=256), [40, 24, 7], density=0.4, tiles=(2, 2)
    )


@pytest.fixture
def report(rng, program):
    return run(program, random_acts(rng, program.config, 3, 40, density=0.8))[0]


def test_keys_are_stable(report):
    summary = {"cycles", "cycles_per_time", "cycles_per_image", "macs", "utilization", "busy"}
    summary |= {"gated", "occupancy", "lost", "stalls", "most_blocking_pe", "lines", "loading"}
    assert set(report) == summary | {
        "device",
        "engine",
        "config_digest",
        "pes",
        "lanes",
        "images",
        "times",
        "layers",
        "counters",
        "outputs",
        "output_scale",
        "tools",
    }
    for layer in report["layers"]:
        assert set(layer) == summary | {"name", "inputs", "outputs", "passes"}
        assert tuple(layer["lost"]) == LOST
        assert tuple(layer["loading"]) == ("words", "hidden", "exposed")
    for item in report["counters"]:
        assert set(item) == {"segment", "layer", "pes", "most_blocking_pe", *ARRAY_COUNTERS}
        assert tuple(item["pes"]) == PE_COUNTERS


def test_it_is_json(report):
    assert json.loads(json.dumps(report)) == report


def test_work_and_losses_add_up(rng):
    """In every PE-cycle either a weight is at work or there is exactly one cause."""
    for _ in range(40):
        case = random_case(rng)
        report, *_ = run(case.program, case.batch)
        for part in (report, *report["layers"]):
            slots, lanes = case.config.pes * part["cycles"], case.config.lanes
            assert part["busy"] + sum(part["lost"].values()) == slots
            assert part["occupancy"] == part["busy"] / slots
            assert part["macs"] + part["gated"] == part["busy"] * lanes
            assert part["utilization"] == part["macs"] / (slots * lanes)
            assert (part["gated"] == 0) or lanes > 1


def test_macs_are_the_weights_that_met_an_activation(rng):
    program = random_program(rng, preset("tiny"), [30, 20], density=0.3)
    assert run(program, np.ones((2, 30), int))[0]["macs"] == 2 * program.layers[0].weights
    assert run(program, np.zeros((2, 30), int))[0]["macs"] == 0


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
def test_macs_are_the_same_in_any_lanes(rng, lanes):
    """Layers of three images: pairs of a weight and an activation that are not zero."""
    program = random_program(rng, preset("tiny", lanes=lanes, lines=256), [50, 20], density=0.3)
    batch = random_acts(rng, program.config, 3, 50)
    (weights,) = unpack(program).values()
    report, *_ = run(program, batch)
    assert report["macs"] == np.count_nonzero(weights[:, None] * batch)
    assert report["times"] == -(-3 // lanes)
    assert report["cycles_per_time"] == report["cycles"] / report["times"]
    assert report["cycles_per_image"] == report["cycles"] / 3
    assert (f"of {lanes} lanes" in table(report)) == (lanes > 1)
    assert ("of its lanes" in table(report)) == (lanes > 1)


def test_layers_add_up_their_passes(report, program):
    assert [layer["passes"] for layer in report["layers"]] == [4, 2 * 2]
    for layer in report["layers"]:
        own = [item for item in report["counters"] if item["layer"] == layer["name"]]
        assert layer["cycles"] == sum(item["cycles"] for item in own)
        assert layer["stalls"] == sum(item["stalls"] for item in own)
        assert layer["macs"] == sum(item["pes"]["busy"] for item in own)
    for key in ("cycles", "macs", "busy", "gated", "stalls", "lines"):
        assert report[key] == sum(layer[key] for layer in report["layers"])
    for key, value in report["loading"].items():
        assert value == sum(layer["loading"][key] for layer in report["layers"])


def test_loading_is_hidden_behind_the_run_before(rng):
    """Two layers in segments that fit together: all but the first load, and what is fed."""
    config = preset("tiny", lines=256)
    program = random_program(rng, config, [12, 8, 6], density=0.5, segments=True)
    report, device, _ = run(program, random_acts(rng, config, 3, 12))
    first, second = (segment_words(config, segment) for segment in program.segments)
    fed = [3 * (feed_words(config, one.feed) + ARMING_WORDS) for _, one in program.runs()]
    behind_first, behind_second = (one.of("cycles") for one in device.counters())
    # What is written behind the one layer is for the other; behind the last of all there is none.
    hidden = [
        np.minimum(behind_second, first)[:-1].sum(),
        np.minimum(behind_first, second).sum(),
    ]
    for layer, size, words, behind in zip(
        report["layers"], (first, second), fed, hidden, strict=True
    ):
        loading = layer["loading"]
        assert loading["words"] == 3 * size + words
        assert loading["hidden"] == behind > 0
        assert loading["exposed"] == loading["words"] - behind
    assert f"{sum(hidden)} words were hidden behind runs" in table(report)


@pytest.mark.parametrize("every_step", [False, True])
def test_sequences_add_up_their_steps(rng, every_step):
    config = preset("tiny", lines=256, lanes=2)
    program = random_program(
        rng, config, [12, 8], density=0.5, tiles=(1, 2), segments=True, split=0
    )
    program = replace(program, per_step=1, every_step=every_step)
    batch = random_acts(rng, config, 15, 12).reshape(3, 5, 12)
    report, device, outputs = run(program, batch)
    assert len(program.segments) == 2
    assert (report["images"], report["times"]) == (3, 2)
    for key in ("cycles", "hidden"):
        told = sum(int(one.of(key).sum()) for one in device.counters())
        assert told == (report["cycles"] if key == "cycles" else report["loading"]["hidden"]) > 0
    assert report["cycles_per_image"] == report["cycles"] / 3
    assert report["outputs"] == outputs.tolist()
    assert ("image 2, last step: largest output" in table(report)) == every_step


def test_a_single_segment_hides_nothing(rng):
    program = random_program(rng, preset("tiny"), [12, 8], density=0.5)
    report, *_ = run(program, random_acts(rng, program.config, 3, 12))
    assert report["loading"]["hidden"] == 0
    assert f"loading takes {report['loading']['words']} cycles more" in table(report)


def test_totals_are_over_the_batch(rng, program):
    batch = random_acts(rng, program.config, 3, 40)
    together, *_ = run(program, batch)
    alone = [run(program, batch[image : image + 1])[0] for image in range(3)]
    assert together["cycles"] == sum(one["cycles"] for one in alone)
    assert together["cycles_per_image"] == together["cycles"] / 3
    assert together["outputs"] == [one["outputs"][0] for one in alone]


def test_an_empty_batch_has_a_report(program):
    report, *_ = run(program, np.zeros((0, 40), int))
    assert (report["cycles"], report["cycles_per_image"], report["utilization"]) == (0, 0.0, 0.0)
    assert "0 image(s)" in table(report)


def test_names_the_element_that_blocks(rng):
    free = random_program(rng, preset("tiny"), [40, 4], density=0.0)
    assert run(free, np.ones((1, 40), int))[0]["most_blocking_pe"] is None
    config = preset("tiny", pes=1, clusters=1, act_rows=64, queue_depth=2)
    blocked = random_program(rng, config, [40, 8], density=1.0)
    report, *_ = run(blocked, np.ones((1, 40), int))
    assert report["most_blocking_pe"] == 0
    assert report["stalls"] > 0
    assert "most often for PE 0" in table(report)


def test_counters_of_something_else_are_refused(rng, program):
    _, device, outputs = run(program, np.zeros((1, 40), int))
    with pytest.raises(UserError, match="8 passes, the counters are of 7"):
        make_report(device, program, outputs, device.counters()[:-1])


def test_the_table_shows_layers_causes_and_outputs(report):
    text = table(report)
    assert text.startswith("golden, 4 PEs, configuration")
    for word in ("layer0", "layer1", "all", "40x24", *LOST, "image 2: largest output"):
        assert word in text
    assert "broadcasts" in text


def test_the_table_is_cut_short(rng, program):
    report, *_ = run(program, random_acts(rng, program.config, 6, 40))
    text = table(report)
    assert "image 3" in text
    assert "image 4" not in text
    assert "... and 2 more images" in text
