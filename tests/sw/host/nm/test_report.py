"""The report of an N:M array: its keys, its sums, its table."""

import json

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, preset
from spec.nm.counters import COUNTERS, LOST
from spec.nm.summary import unpack
from sw.host.nm.golden import GoldenDevice
from sw.host.report import make_report, table
from tests.spec.nm.cases import program_of, random_case
from tests.spec.nm.networks import Network, conv_network, linear, linear_network

pytestmark = pytest.mark.unit

CONFIG = preset("tiny", weight_steps=64)


def run(network: Network, batch: np.ndarray):
    device = GoldenDevice(network.program.config)
    device.load(network.program)
    outputs = device.run(batch)
    return make_report(device, network.program, outputs, device.counters()), device


@pytest.fixture
def network(rng):
    return conv_network(rng, CONFIG)


@pytest.fixture
def report(rng, network):
    return run(network, network.batch(rng, 3))[0]


def test_keys_are_stable(report):
    account = {*COUNTERS, "cycles_per_image", "macs", "useful_slots", "utilization", "lost"}
    whole = {"device", "engine", "config_digest", "rows", "columns", "multipliers", "images"}
    assert set(report) == account | whole | {"layers", "outputs", "output_scale", "tools"}
    sizes = {"name", "inputs", "outputs", "mode", "gather", "tokens"}
    for layer in report["layers"]:
        assert set(layer) == account | sizes
    for part in (report, *report["layers"]):
        assert tuple(part["lost"]) == (*LOST, "padding")


def test_it_is_json(report):
    assert json.loads(json.dumps(report)) == report


def test_what_it_says_of_the_array_and_the_network(report, network):
    assert (report["device"], report["engine"], report["images"]) == ("golden", "nm", 3)
    assert report["config_digest"] == CONFIG.digest
    assert [report[name] for name in ("rows", "columns", "multipliers")] == [4, 2, 2]
    assert report["output_scale"] == network.program.output_scale.tolist()
    assert len(report["output_scale"]) == 5
    assert report["tools"]["numpy"] == np.__version__
    found = [
        [layer[name] for name in ("name", "inputs", "outputs", "mode", "gather", "tokens")]
        for layer in report["layers"]
    ]
    assert found == [
        ["conv1", 27, 6, "1:2", False, 3 * 72],
        ["conv2", 36, 8, "1:1", True, 3 * 8],
        ["fc", 64, 5, "2:4", False, 3],
    ]


def test_every_slot_has_a_cause(rng):
    for _ in range(20):
        case = random_case(rng)
        network = Network(case.program, (case.matrix,))
        report, _ = run(network, case.acts)
        slots = case.program.config.slots
        for part in (report, *report["layers"]):
            assert part["useful_slots"] + sum(part["lost"].values()) == part["cycles"] * slots
            assert part["utilization"] == part["useful_slots"] / (part["cycles"] * slots)
            assert min(part["lost"].values()) >= 0
            for name in LOST:
                assert part["lost"][name] == part[name] * slots


def test_work_is_that_of_the_weights(report, network):
    dense = unpack(network.program)
    for layer in report["layers"]:
        assert layer["macs"] == np.count_nonzero(dense[layer["name"]]) * layer["tokens"]
    # One of two in 14 groups; what each strip of four keeps; two of four in 16 groups.
    kept = dense["conv2"].reshape(2, 4, 36).any(axis=1).sum()
    slots = [6 * 14 * 1, 4 * kept, 5 * 16 * 2]
    for layer, own in zip(report["layers"], slots, strict=True):
        assert layer["useful_slots"] == own * layer["tokens"]


def test_padding_is_what_a_step_had_nothing_to_put_in(rng):
    """Two strips of four for five outputs, five steps of two for nine inputs, two tiles for three
    tokens."""
    (layer, matrix) = linear(rng, CONFIG, "odd", (5, 9), DENSE)
    report, _ = run(Network(program_of(CONFIG, layer), (matrix,)), np.ones((3, 9), int))
    assert report["busy"] == 2 * 5 * 2
    assert report["lost"]["padding"] == 20 * 16 - 5 * 9 * 3


def test_layers_add_up(report):
    for key in (*COUNTERS, "macs", "useful_slots"):
        assert report[key] == sum(layer[key] for layer in report["layers"])
    for cause in report["lost"]:
        assert report["lost"][cause] == sum(layer["lost"][cause] for layer in report["layers"])
    assert report["cycles_per_image"] == report["cycles"] / 3


def test_counters_and_outputs_are_the_devices(rng, network):
    batch = network.batch(rng, 2)
    report, device = run(network, batch)
    assert report["outputs"] == network.expected(batch).tolist()
    for layer, counts in zip(report["layers"], device.counters(), strict=True):
        assert [layer[name] for name in COUNTERS] == list(counts.values)


def test_counters_of_something_else_are_refused(rng, network):
    _, device = run(network, network.batch(rng, 1))
    with pytest.raises(UserError, match="3 layers, the counters are of 2 runs"):
        make_report(device, network.program, np.zeros((1, 5), int), device.counters()[:-1])


def test_the_table_shows_layers_causes_and_outputs(report):
    lines = table(report).splitlines()
    assert lines[0] == (
        f"golden, 4 x 2 MAC units of 2 multipliers, configuration {CONFIG.digest}, 3 image(s)"
    )
    heads = ["layer", "size", "pattern", "tokens", "MACs", "cycles/image", "utilization"]
    assert lines[2].split() == [*heads, *LOST, "padding"]
    assert lines[4].split()[:5] == ["conv2", "36x8", "1:1,", "gathered", "24"]
    assert lines[6].split()[:2] == ["all", str(report["macs"])]
    assert len({len(line) for line in lines[2:7]}) == 1
    assert lines[8] == (
        f"streams took {report['loads']} words in and {report['results']} words of results out"
    )
    assert lines[10].startswith("image 0: largest output ")


def test_percents_are_of_all_slots(rng):
    network = linear_network(rng, CONFIG, [20, 9])
    report, _ = run(network, network.batch(rng, 1))
    line = table(report).splitlines()[3]
    shown = [float(cell.rstrip("%")) for cell in line.split()[6:]]
    assert sum(shown) == pytest.approx(100, abs=0.5)
