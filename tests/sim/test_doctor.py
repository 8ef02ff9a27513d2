"""``python -m sim.doctor`` says what is there, and fails only if the main flow cannot run."""

import json

import pytest

from sim import doctor
from sim.tools import Tool
from spec.errors import UserError

pytestmark = pytest.mark.unit

THERE = Tool("numpy", "arithmetic", "pip install it", "numpy", "numpy")
LACKED = Tool("weld", "joins wires", "apt install weld", programs=("no-such-program",))
WISHED = Tool("lens", "shows more", "apt install lens", programs=("no-such-lens",), needed=False)


def test_everything_needed_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "TOOLS", (THERE, WISHED))
    assert doctor.main([]) == 0
    printed = capsys.readouterr().out
    assert "not found" in printed
    assert "get it: apt install lens" in printed
    assert "can run" in printed


def test_something_needed_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "TOOLS", (THERE, LACKED, WISHED))
    with pytest.raises(UserError, match="need what is missing: weld$"):
        doctor.main([])
    printed = capsys.readouterr().out
    assert "MISSING" in printed
    assert "get it: apt install weld" in printed
    assert "can run" not in printed


def test_json_is_one_object_even_if_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "TOOLS", (THERE, LACKED))
    with pytest.raises(UserError):
        doctor.main(["--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["missing"] == ["weld"]
    there, lacked = report["tools"]
    assert there.keys() == {"name", "purpose", "needed", "version", "path", "advice"}
    assert there["version"]
    assert lacked["version"] is None


def test_whole_list_of_this_environment() -> None:
    assert doctor.diagnose()["missing"] == []
