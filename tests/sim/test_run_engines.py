"""``python -m sim.run`` on images of the N:M engine, and of both engines."""

import json

import numpy as np
import pytest

from sim import run
from spec import image
from spec.errors import UserError
from sw.host.compare import run_on
from sw.host.eie.golden import GoldenDevice as EieGoldenDevice
from sw.host.mixed import MixedDevice
from sw.host.nm.golden import GoldenDevice as NmGoldenDevice
from tests.spec.images import forged
from tests.spec.mixes import EIE_CONFIG, NM_CONFIG, Mix, random_mix
from tests.spec.nm.networks import conv_network

pytestmark = pytest.mark.unit


@pytest.fixture(params=["nm", "mixed"])
def subject(request, rng):
    """Something with a program, batches, and what must come of them."""
    return conv_network(rng, NM_CONFIG) if request.param == "nm" else random_mix(rng, "nm eie nm")


@pytest.fixture
def batch(rng, subject):
    return subject.batch(rng, 5)


@pytest.fixture
def files(tmp_path, subject, batch):
    """Arguments that name an image and its inputs."""
    image.write(subject.program, tmp_path / "net.skip")
    np.save(tmp_path / "x.npy", batch * subject.program.input_scale)
    np.save(tmp_path / "raw.npy", batch)
    return [str(tmp_path / "net.skip"), "--input", str(tmp_path / "x.npy")]


def test_json_is_one_object_on_stdout(files, subject, batch, capsys):
    assert run.main([*files, "--json"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["device"] == "golden"
    assert report["engine"] == image.engine_of(subject.program).name
    assert report["outputs"] == subject.expected(batch).tolist()
    assert report["output_scale"] == subject.program.output_scale.tolist()
    assert shown.err == ""
    run.main([files[0], "--input", files[2].replace("x.npy", "raw.npy"), "--raw", "--json"])
    assert json.loads(capsys.readouterr().out) == report


def test_people_get_a_table(files, subject, capsys):
    assert run.main([*files, "--limit", "2"]) == 0
    shown = capsys.readouterr().out
    names = [layer for layer in ("conv1", "conv2", "fc", "stage1_0") if layer in shown]
    assert names == (["stage1_0"] if isinstance(subject, Mix) else ["conv1", "conv2", "fc"])
    for word in ("golden, ", "2 image(s)", "MAC units", "weight_wait", "image 1: largest output"):
        assert word in shown


def test_comparing_equal_devices(files, capsys):
    assert run.main([*files, "--on", "golden", "--compare", "golden", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["compare"] == {"device": "golden", "equal": True, "difference": None}


class Odd(NmGoldenDevice):
    """Like golden, but for a counter of its last run."""

    def _run_layer(self, image, number, acts):
        outputs, counts = super()._run_layer(image, number, acts)
        return outputs, type(counts)((counts.values[0] + 1, *counts.values[1:]))


def test_a_difference_is_exit_code_1(files, subject, capsys, monkeypatch):
    mixed = isinstance(subject, Mix)

    def open_for(name, program, **_):
        nm = (Odd if name == "pysim" else NmGoldenDevice)(NM_CONFIG)
        return MixedDevice([nm, EieGoldenDevice(EIE_CONFIG)], name) if mixed else nm

    monkeypatch.setattr(run, "open_for", open_for)
    assert run.main([*files, "--on", "golden", "--compare", "pysim", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)["compare"]
    place = "stage 0, layer 0 (stage0_0)" if mixed else "layer 0 (conv1)"
    assert report["difference"].startswith(f"{place}, cycles: golden ")
    assert report["equal"] is False


def test_layers_that_are_no_chain_are_refused(rng, tmp_path):
    network = conv_network(rng, NM_CONFIG)
    data = forged(network.program, lambda document: document | {"chained": False})
    (tmp_path / "net.skip").write_bytes(data)
    np.save(tmp_path / "x.npy", np.zeros((1, network.program.inputs)))
    with pytest.raises(UserError, match="x.npy: the image's layers are no chain"):
        run.main([str(tmp_path / "net.skip"), "--input", str(tmp_path / "x.npy")])


def test_the_report_is_that_of_the_device(files, subject, batch, capsys):
    nm, eie = NmGoldenDevice(NM_CONFIG), EieGoldenDevice(EIE_CONFIG)
    mixed = isinstance(subject, Mix)
    device = MixedDevice([nm, eie], "golden") if mixed else nm
    counts = run_on(device, subject.program, batch).counts
    run.main([*files, "--json"])
    report = json.loads(capsys.readouterr().out)
    first = report["stages"][0]["layers"][0] if mixed else report["layers"][0]
    assert first["cycles"] == (counts[0][0] if mixed else counts[0]).of("cycles")
