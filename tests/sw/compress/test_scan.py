import copy
import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from spec.errors import Failure, UserError
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.patterns import parse
from sw.compress.scan import Accuracy, Point, Proposal, Scan, propose, read, scan
from sw.compress.scan.plot import plot
from tests.sw.compress.networks import classes, tensor, two_layers
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

DENSITIES = (1.0, 0.5, 0.1)


class Counted:
    """An accuracy that counts how often it is asked for."""

    def __init__(self, *data):
        self.own = Accuracy(*data)
        self.calls = 0

    def __call__(self, model):
        self.calls += 1
        return self.own(model)


@pytest.fixture
def case(rng):
    """A network, and an accuracy that falls when it is pruned."""
    model = two_layers(rng)
    inputs = tensor(rng, 400, 20)
    return model, Counted(inputs, model(inputs).argmax(1))


def pruned(model, layer, pattern, density):
    """One layer pruned by magnitude, said once more."""
    other = copy.deepcopy(model)
    weight = other.get_submodule(layer).weight
    mask = parse(pattern).mask(weight.detach().abs().square(), density)
    weight.data *= mask
    return other, int(mask.sum())


def test_every_point_is_one_layer_pruned(case):
    model, measure = case
    before = copy.deepcopy(model.state_dict())
    found = scan(model, measure, pattern=["unstructured", "2:4", "tile:8"], densities=DENSITIES)
    ratios = [*itertools.product(["unstructured"], DENSITIES), ("2:4", 0.5)]
    ratios += itertools.product(["tile:8"], DENSITIES)
    assert [(p.layer, p.pattern, p.density) for p in found.points] == [
        (layer, *ratio) for layer in ("0", "2") for ratio in ratios
    ]
    assert found.sizes == {"0": 600, "2": 150}
    assert found.dense == 1
    for point in found.points:
        other, kept = pruned(model, point.layer, point.pattern, point.density)
        assert (point.kept, point.accuracy) == (kept, measure.own(other))
    assert {point.accuracy for point in found.points} > {1.0}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_is_measured_twice(case):
    model, measure = case
    scan(model, measure, densities=DENSITIES)
    assert measure.calls == 1 + 2 * 2


def test_processes_find_the_same(case):
    model, measure = case
    alone = scan(model, measure, densities=DENSITIES, workers=1)
    assert scan(model, measure, densities=DENSITIES, workers=8) == alone
    pictures = (measure.own.images, measure.own.labels)
    assert scan(model, pictures, densities=DENSITIES, workers=2) == alone


def test_other_processes_start_when_one_takes_too_long(case, monkeypatch):
    model, measure = case
    there = os.getpid()

    def slow(network):
        time.sleep(0.02)
        return measure.own(network) + (os.getpid() != there) / 1000

    monkeypatch.setattr("sw.compress.scan.work.PAYS_SECONDS", 0.15)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    found = scan(model, slow)
    elsewhere = [point.accuracy * 400 % 1 > 0.01 for point in found.points]
    assert not elsewhere[1]
    assert elsewhere[-1]


def test_criteria_with_gradients_run_in_processes(case, rng):
    model, measure = case
    data = [classes(rng)]
    nn.functional.cross_entropy(model(data[0][0]), data[0][1]).backward()
    options = {"criterion": "second-order", "batches": data, "densities": (0.5, 0.2)}
    assert scan(model, measure, workers=2, **options) == scan(model, measure, **options)


def test_channels_are_scanned_where_they_can_go(rng):
    found = scan(two_layers(rng), lambda _: 1.0, pattern="channel", densities=[0.5])
    assert [(point.layer, point.kept) for point in found.points] == [("0", 300)]


def test_batches_may_come_from_a_generator(rng):
    data = iter([classes(rng, 4)])
    options = {"criterion": "second-order", "densities": [0.5], "batches": data}
    assert len(scan(two_layers(rng), lambda _: 1.0, **options).points) == 2


def test_mistakes_in_a_process_are_told(case):
    model, _ = case

    def wrong(network):
        if bool((network[2].weight == 0).any()):
            raise UserError("not so")
        return 1.0

    with pytest.raises(UserError, match="not so"):
        scan(model, wrong, workers=2)


def test_a_process_that_ends_is_a_failure(case):
    model, _ = case
    there = os.getpid()

    def wrong(network):
        if os.getpid() != there:
            os._exit(1)
        return 1.0

    with pytest.raises(Failure, match="a worker process of the scan ended"):
        scan(model, wrong, workers=2)


def test_an_interrupted_scan_goes_on(case, tmp_path):
    model, measure = case
    path = tmp_path / "scan.json"

    def until(network):
        if measure.calls == 5:
            raise KeyboardInterrupt
        return measure(network)

    whole = scan(model, measure.own)
    with pytest.raises(KeyboardInterrupt):
        scan(model, until, path=path)
    assert len(read(path).points) == 2 + 4
    measure.calls = 0
    assert scan(model, measure, path=path) == whole == read(path)
    assert measure.calls == 1 + 2 * 11 - 6
    assert scan(model, measure, path=path, workers=2) == whole
    assert measure.calls == 1 + 2 * 11 - 6 + 1


def test_a_finished_scan_takes_more_densities_and_layers(case, tmp_path):
    model, measure = case
    path = tmp_path / "scan.json"
    scan(model, measure, path=path, layers=["2"], densities=(0.5,))
    more = scan(model, measure, path=path, densities=(0.5, 0.25))
    assert more.sizes == {"2": 150, "0": 600}
    assert len(more.points) == 4


def test_a_scan_of_another_network_is_refused(case, tmp_path):
    model, measure = case
    path = tmp_path / "scan.json"
    scan(model, measure, path=path, densities=DENSITIES)
    before = path.read_bytes()
    other = copy.deepcopy(model)
    other[2].bias.data[0] += 1e-6
    batches = [(torch.ones(2, 20), torch.zeros(2, dtype=torch.int64))]
    for options, what in [
        ({"model": other}, "network, or its calibration data"),
        ({"batches": batches}, "network, or its calibration data"),
        ({"criterion": "magnitude:l1"}, "criterion: magnitude there, magnitude:l1 now"),
        ({"criterion": Magnitude(norm=1)}, "criterion"),
        ({"pattern": "2:4"}, "pattern: unstructured there, 2:4 now"),
        ({"measure": lambda _: 0.25}, "measure of the whole network: 1.0 there, 0.25 now"),
    ]:
        with pytest.raises(UserError, match=f"scan.json is a scan with another {what}"):
            scan(**{"model": model, "measure": measure, "path": path, **options})
    path.write_text('{"points": [{"layer": 3}]}')
    with pytest.raises(UserError, match="scan.json: no scan's JSON file, or a damaged one"):
        scan(model, measure, path=path)
    path.write_bytes(before[:-9])
    with pytest.raises(UserError, match="no scan's JSON file, or a damaged one"):
        read(path)


def test_tables_and_plots(case, tmp_path):
    model, measure = case
    found = scan(model, measure, densities=DENSITIES)
    found.write(tmp_path / "scan.json")
    assert json.loads((tmp_path / "scan.json").read_text()) == found.to_json()
    table = found.write_csv(tmp_path / "scan.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert len(rows) == 6
    for row, point in zip(rows, found.points, strict=True):
        assert (row["layer"], int(row["kept"])) == (point.layer, point.kept)
        assert float(row["loss"]) == found.dense - point.accuracy
    first = plot(found, tmp_path / "a.svg").read_bytes()
    assert plot(found, tmp_path / "b.svg").read_bytes() == first
    assert b"density of the layer" in first or b"<svg" in first
    assert plot(found, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="a.jpg: the name must end in .svg"):
        plot(found, tmp_path / "a.jpg")


def random_scan(rng, layers, points, steps=50):
    """Accuracies in steps, so that there are ties, and some above the dense one."""
    sizes = {f"l{n}": int(rng.integers(10, 100)) for n in range(layers)}
    found = [
        Point(name, "unstructured", kept / size, kept, 0.9 - int(rng.integers(-5, 45)) / steps)
        for name, size in sizes.items()
        for kept in sorted(int(k) for k in rng.integers(1, size, points))
    ]
    return Scan("", "magnitude", ["unstructured"], 0.9, sizes, found)


def every_choice(found):
    """Weights and loss of all combinations: brute force."""
    options = [
        [(found.sizes[n], 0.0)] + [(p.kept, 0.9 - p.accuracy) for p in found.of(n)]
        for n in found.sizes
    ]
    return [
        (sum(k for k, _ in ways), sum(loss for _, loss in ways))
        for ways in itertools.product(*options)
    ]


@pytest.mark.parametrize("round_", range(5))
def test_proposals_are_the_best_there_are(rng, round_):
    found = random_scan(rng, layers=4, points=5)
    total, ways = sum(found.sizes.values()), every_choice(found)
    for density in (0.3, 0.5, 0.8, 1.0):
        fitting = [loss for kept, loss in ways if kept <= density * total + 0.5]
        if not fitting:
            continue
        proposal = propose(found, density=density)
        assert proposal.accuracy == pytest.approx(0.9 - min(fitting))
        # And of equal losses the fewest weights.
        assert proposal.kept == min(k for k, loss in ways if loss <= min(fitting) + 1e-9)
        assert proposal.kept <= density * total + 0.5
    for loss in (0.0, 0.2, 0.7):
        fewest = min(kept for kept, lost in ways if lost <= loss + 1e-9)
        proposal = propose(found, loss=loss)
        assert proposal.kept == fewest
        assert proposal.accuracy >= 0.9 - loss - 1e-9


def test_a_proposal_names_what_was_measured(rng):
    found = random_scan(rng, layers=4, points=5)
    proposal = propose(found, density=0.5)
    sizes = dict(found.sizes)
    kept, lost = 0, 0.0
    for name, density in proposal.densities.items():
        (point, *_) = [p for p in found.of(name) if p.density == density]
        kept, lost = kept + point.kept, lost + 0.9 - point.accuracy
        del sizes[name]
    assert proposal.kept == kept + sum(sizes.values())
    assert proposal.accuracy == pytest.approx(0.9 - lost)
    assert proposal.patterns.keys() == proposal.densities.keys()
    assert proposal.to_json()["density"] == proposal.kept / proposal.total


def test_a_proposal_prunes_as_it_says(case):
    from sw.compress.lifecycle import prepare

    model, measure = case
    proposal = propose(scan(model, measure, pattern=["unstructured", "1:4"]), density=0.4)
    assert isinstance(proposal, Proposal)
    finished = prepare(model, proposal.patterns, density=proposal.densities).finalize()
    assert sum(int(w.count_nonzero()) for w in (finished.model[0].weight, finished.model[2].weight))
    assert sum(int(finished.model[at].weight.count_nonzero()) for at in (0, 2)) == proposal.kept


def test_many_layers_with_fine_losses_take_no_time(rng):
    found = random_scan(rng, layers=40, points=11, steps=1_000_003)
    began = time.monotonic()
    proposal = propose(found, density=0.5)
    assert proposal.density <= 0.5
    assert time.monotonic() - began < 5


def test_budgets_that_cannot_be_met(rng):
    found = random_scan(rng, layers=3, points=4)
    fewest = sum(min(point.kept for point in found.of(name)) for name in found.sizes)
    with pytest.raises(UserError, match=f"sparsest points of the scan keep {fewest}, a density"):
        propose(found, density=(fewest - 1) / sum(found.sizes.values()))
    assert propose(found, density=fewest / sum(found.sizes.values())).kept == fewest
    worse = replace(found, dense=0.1, points=[replace(p, accuracy=0.05) for p in found.points])
    with pytest.raises(UserError, match="a loss of no more than -0.1 cannot be met"):
        propose(worse, loss=-0.1)
    with pytest.raises(UserError, match="the budget: a density of 1.5 was given"):
        propose(found, density=1.5)
    for options in ({}, {"density": 0.5, "loss": 0.1}):
        with pytest.raises(UserError, match="give one budget"):
            propose(found, **options)
    with pytest.raises(UserError, match="layer new was not measured: the scan is not finished"):
        propose(replace(found, sizes={**found.sizes, "new": 10}), density=0.9)


def test_bad_input(case, tmp_path):
    model, measure = case
    for options, message in [
        ({"densities": (0.5, 1.5)}, "the scan: a density of 1.5 was given"),
        ({"layers": ["fc9"]}, "no layer 'fc9'"),
        ({"pattern": "3:2"}, "3:2"),
        ({"workers": 0}, "0 worker processes"),
        ({"measure": lambda _: float("nan")}, "gave nan, it must be a number"),
        ({"measure": lambda _: "good"}, "gave 'good', it must be a number"),
        ({"measure": (torch.ones(3, 20), torch.ones(2))}, "3 pictures and 2 labels"),
        ({"path": tmp_path / "nowhere" / "scan.json"}, "cannot write"),
    ]:
        with pytest.raises(UserError, match=message):
            scan(**{"model": model, "measure": measure, **options})


INTERRUPTED = """
import time, torch
from torch import nn
from spec.errors import cli
from sw.compress.scan import scan

def main(_):
    def measure(network):
        print("measured", flush=True)
        time.sleep(0.3)
        return 1.0
    scan(nn.Linear(40, 40), measure, workers=2, path="scan.json")

cli(main)
"""


@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_is_one_line(tmp_path, ignored):
    """Of all processes together, as a terminal does it; a shell's background ignores it."""
    handler = signal.SIG_IGN if ignored else signal.SIG_DFL
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)
    if ignored:
        assert (process.returncode, "interrupted" in told) == (0, False)
    else:
        assert (process.returncode, told) == (130, "interrupted\n")
    assert read(tmp_path / "scan.json").points
    assert [file.name for file in tmp_path.iterdir()] == ["scan.json"]
