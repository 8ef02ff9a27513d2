"""A folder to try the command lines in."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sw.compress.saving import save
from tests.sw.compress.networks import tensor
from tests.sw.compress.test_data import write

MADE = """
from torch import nn

def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 4))

def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3),
        nn.Flatten(), nn.Linear(96, 4),
    )

ready = small()
nothing = 3

def broken():
    raise OSError("no such weights")
"""


def write_case(folder: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of four classes, a module that makes networks, a state; and go there."""
    labels = {"train-labels": rng.integers(4, size=200), "t10k-labels": rng.integers(4, size=80)}
    arrays = dict(labels)
    for part in ("train", "t10k"):
        own = labels[f"{part}-labels"]
        arrays[f"{part}-images"] = rng.integers(100, size=(len(own), 6, 5))
        arrays[f"{part}-images"][range(len(own)), own] += 150
    (folder / "pictures").mkdir()
    write(folder / "pictures", arrays)
    (folder / "made.py").write_text(MADE)
    state = {"1.weight": tensor(rng, 24, 30) / 5, "1.bias": tensor(rng, 24)}
    state |= {"3.weight": tensor(rng, 4, 24) / 5, "3.bias": tensor(rng, 4)}
    save(state, folder / "net.pt")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "made", raising=False)
    return folder
