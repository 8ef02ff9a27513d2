"""The report: its keys, its sums, its table."""

import json

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.errors import UserError
from sw.host.golden import GoldenDevice
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
    summary = {"macs", "cycles", "cycles_per_image", "utilization", "lost", "stalls"}
    summary |= {"most_blocking_pe"}
    assert set(report) == summary | {
        "device",
        "config_digest",
        "pes",
        "images",
        "layers",
        "counters",
        "outputs",
        "output_scale",
        "tools",
    }
    for layer in report["layers"]:
        assert set(layer) == summary | {"name", "inputs", "outputs", "passes"}
        assert tuple(layer["lost"]) == LOST
    for item in report["counters"]:
        assert set(item) == {"segment", "layer", "pes", "most_blocking_pe", *ARRAY_COUNTERS}
        assert tuple(item["pes"]) == PE_COUNTERS


def test_it_is_json(report):
    assert json.loads(json.dumps(report)) == report


def test_work_and_losses_add_up(rng):
    """Every PE-cycle is either a multiply-accumulate or has exactly one cause."""
    for _ in range(40):
        case = random_case(rng)
        report, *_ = run(case.program, case.batch)
        for part in (report, *report["layers"]):
            slots = case.config.pes * part["cycles"]
            assert part["macs"] + sum(part["lost"].values()) == slots
            assert part["utilization"] == part["macs"] / slots


def test_macs_are_the_weights_that_met_an_activation(rng):
    program = random_program(rng, preset("tiny"), [30, 20], density=0.3)
    assert run(program, np.ones((2, 30), int))[0]["macs"] == 2 * program.layers[0].weights
    assert run(program, np.zeros((2, 30), int))[0]["macs"] == 0


def test_layers_add_up_their_passes(report, program):
    assert [layer["passes"] for layer in report["layers"]] == [4, 2 * 2]
    for layer in report["layers"]:
        own = [item for item in report["counters"] if item["layer"] == layer["name"]]
        assert layer["cycles"] == sum(item["cycles"] for item in own)
        assert layer["stalls"] == sum(item["stalls"] for item in own)
        assert layer["macs"] == sum(item["pes"]["busy"] for item in own)
    for key in ("cycles", "macs", "stalls"):
        assert report[key] == sum(layer[key] for layer in report["layers"])


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
    config = preset("tiny", pes=1, act_rows=64, queue_depth=2)
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
