"""``python -m sim.run``: what it prints, its exit codes, and one clear line for bad input."""

import json
import subprocess
import sys

import numpy as np
import pytest

from sim import run
from spec import image
from spec.eie.config import preset
from spec.errors import UserError
from sw.host.device import DeviceError
from sw.host.eie.golden import GoldenDevice
from tests.programs import dense_reference, random_acts, random_program

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    return random_program(rng, preset("tiny"), [20, 12, 7], density=0.4)


@pytest.fixture
def batch(rng, program):
    return random_acts(rng, program.config, 5, 20)


@pytest.fixture
def files(tmp_path, program, batch):
    """Arguments that name an image and its inputs."""
    image.write(program, tmp_path / "net.skip")
    np.save(tmp_path / "x.npy", batch * program.layers[0].input_scale)
    np.save(tmp_path / "raw.npy", batch)
    return [str(tmp_path / "net.skip"), "--input", str(tmp_path / "x.npy")]


def test_json_is_one_object_on_stdout(files, program, batch, capsys):
    assert run.main([*files, "--json"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["device"] == "golden"
    assert report["config_digest"] == program.config.digest
    assert report["outputs"] == dense_reference(program, batch).tolist()
    assert shown.err == ""


def test_people_get_a_table(files, capsys):
    assert run.main(files) == 0
    shown = capsys.readouterr().out
    for word in ("layer0", "utilization", "starved", "image 0: largest output"):
        assert word in shown


def test_raw_input_gives_the_same(files, capsys):
    run.main([*files, "--json"])
    real = json.loads(capsys.readouterr().out)
    run.main([files[0], "--input", files[2].replace("x.npy", "raw.npy"), "--raw", "--json"])
    assert json.loads(capsys.readouterr().out) == real


def test_a_limit(files, capsys):
    run.main([*files, "--limit", "2", "--json"])
    assert json.loads(capsys.readouterr().out)["images"] == 2


def test_comparing_equal_devices(files, capsys):
    assert run.main([*files, "--compare", "golden", "--json"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["compare"] == {"device": "golden", "equal": True, "difference": None}
    assert "golden and golden: same outputs, same cycles, same counters" in shown.err
    assert run.main([*files, "--compare", "golden"]) == 0
    assert "same outputs, same cycles, same counters" in capsys.readouterr().out


class Odd(GoldenDevice):
    """Like golden, but for one output."""

    def run(self, batch, tick=lambda images: None):
        outputs = super().run(batch, tick)
        outputs[1, 3] += 1
        return outputs


class Broken(GoldenDevice):
    def run(self, batch, tick=lambda images: None):
        raise DeviceError("broken stopped with error 3")


def swap_devices(monkeypatch, kind):
    """Let ``pysim`` open another kind of device."""

    def open_for(name, program, **_):
        return (kind if name == "pysim" else GoldenDevice)(program.config)

    monkeypatch.setattr(run, "open_for", open_for)


def test_a_difference_is_exit_code_1(files, capsys, monkeypatch):
    swap_devices(monkeypatch, Odd)
    assert run.main([*files, "--on", "pysim", "--compare", "golden", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)["compare"]
    assert report["equal"] is False
    assert report["difference"].startswith("image 1, output 3: ")


def test_a_failing_device_is_told_by_its_name(files, monkeypatch):
    """``cli`` makes one line and exit code 1 of it."""
    swap_devices(monkeypatch, Broken)
    with pytest.raises(DeviceError, match="broken stopped with error 3"):
        run.main([*files, "--on", "pysim"])


@pytest.mark.parametrize("options", [["--on", "fpga"], ["--compare", "fpga"]])
def test_an_unknown_device_is_refused_first(options):
    with pytest.raises(UserError, match="no device 'fpga'"):
        run.main(["none.skip", "--input", "none.npy", *options])


def test_waves_of_the_golden_model_are_refused(files):
    with pytest.raises(UserError, match="golden has no option waves"):
        run.main([*files, "--waves"])


def test_bad_images_are_refused(files, tmp_path):
    for contents, message in [(None, "No such file"), (b"", "not a Skipstone image")]:
        path = tmp_path / "bad.skip"
        if contents is not None:
            path.write_bytes(contents)
        with pytest.raises(UserError, match=message):
            run.main([str(path), *files[1:]])


def test_bad_input_is_one_line_and_exit_code_2(files, tmp_path):
    np.save(tmp_path / "x.npy", np.full((2, 20), np.nan))
    done = subprocess.run(
        [sys.executable, "-m", "sim.run", *files], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "40 values that are NaN or infinite, the first at [0, 0]" in done.stderr
