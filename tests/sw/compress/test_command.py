"""The command as users start it, and what its output is good for."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from sw.compress.saving import save
from sw.compress.scan import read
from tests.tiers import ROOT

pytestmark = pytest.mark.flow

MADE = """
from torch import nn

def lenet():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 40), nn.ReLU(), nn.Linear(40, 10))
"""


@pytest.fixture
def start(tmp_path):
    """Starts Python with some words; a folder with a network is the current one."""
    (tmp_path / "made.py").write_text(MADE)
    torch.manual_seed(1)
    save(
        nn.Sequential(nn.Flatten(), nn.Linear(784, 40), nn.ReLU(), nn.Linear(40, 10)),
        tmp_path / "net.pt",
    )

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Tests may run where it is ignored: in the background of a shell.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("options", "engine"),
    [
        ("--pattern 2:4", "nm"),
        ("--pattern balanced:8 --density 0.1 --share 4", "eie"),
    ],
)
def test_what_comes_out_compiles_and_runs(start, tmp_path, options, engine):
    words = f"-m sw.compress made:lenet --state net.pt --data digits {options} --cycles {engine}"
    code, out, err = finish(start(*words.split(), "-o", "out.pt2", "--json"))
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["report"]["refusal"] == ""
    assert document["report"]["prediction"]["ratio"] > 1.2
    np.save(tmp_path / "x.npy", torch.rand(20, 1, 28, 28).numpy())
    own = {"nm": "--engine nm --pattern 2:4", "eie": "--pes 8"}[engine]
    words = f"-m sw.compile out.pt2 --calibrate x.npy {own} -o net.skip"
    code, out, err = finish(start(*words.split()))
    assert (code, err) == (0, "")
    words = "-m sim.run net.skip --input x.npy --on golden --json"
    code, out, err = finish(start(*words.split()))
    assert (code, err) == (0, "")
    assert json.loads(out)


def test_an_interrupt_is_one_line_and_leaves_no_file(start, tmp_path):
    words = "-m sw.compress made:lenet --data digits --density 0.5 --steps 1000000 -o out.pt"
    before = sorted(path.name for path in tmp_path.iterdir())
    process = start(*words.split())
    # The bar shows that it trains.
    assert process.stderr is not None
    while not process.stderr.read(1):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    after = sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__")
    assert after == before


def test_an_interrupted_scan_goes_on(start, tmp_path):
    words = "-m sw.compress scan made:lenet --state net.pt --data digits -o scan.json --workers 2"
    process = start(*words.split())
    while not (tmp_path / "scan.json").exists() or len(read(tmp_path / "scan.json").points) < 4:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out) in ((130, ""), (0, out))
    assert "Traceback" not in err
    some = read(tmp_path / "scan.json")
    code, _, err = finish(start(*words.split(), "--json"))
    assert code == 0
    whole = read(tmp_path / "scan.json")
    assert len(whole.points) == 22
    assert set(some.points) <= set(whole.points)
