"""Place and route: what is too slow is routed once more, as long as that takes no time."""

import json
import sys
from pathlib import Path

import pytest

from boards import place
from boards.place import REPORT, RIPUP, place_and_route, timing
from hw.measure.tools import Tool
from spec.errors import Failure

pytestmark = pytest.mark.unit

NEXTPNR = """
import json, sys, time
from pathlib import Path
again = {ripup!r} in sys.argv
with Path("runs").open("a") as runs:
    runs.write("again " if again else "once ")
if again and {again} is None:
    time.sleep(1000)
mhz = {again} if again else {once}
found = {{"fmax": {{"clk": {{"achieved": mhz}}}}, "utilization": {{}}}}
Path({report!r}).write_text(json.dumps(found))
"""
"""A router that finds a clock at once, and another one, or none ever, when it is told to go on."""


def found_by(folder: Path, once: float, again: float | None, name: str = "nextpnr-ecp5") -> float:
    script = NEXTPNR.format(ripup=RIPUP, report=REPORT, once=once, again=again)
    tool = Tool(name, "0", (sys.executable, "-c", script))
    facts = place_and_route([name, "--seed", "1"], tool, folder, 80e6)
    assert timing(json.loads((folder / REPORT).read_text())) == facts
    return facts["fmax_mhz"]


def test_what_is_fast_enough_is_left_alone(tmp_path):
    assert found_by(tmp_path, once=80, again=90) == 80
    assert (tmp_path / "runs").read_text() == "once "


def test_what_is_too_slow_is_routed_again(tmp_path):
    assert found_by(tmp_path, once=79.99, again=81) == 81
    assert (tmp_path / "runs").read_text() == "once again "


def test_a_router_that_goes_on_for_ever_is_ended(tmp_path, monkeypatch):
    """And the first result stands."""
    monkeypatch.setattr(place, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(place, "PATIENCE", 0.0)
    assert found_by(tmp_path, once=70, again=None) == 70
    assert (tmp_path / "runs").read_text() == "once again "


def test_an_ice40_is_routed_once(tmp_path):
    assert found_by(tmp_path, once=70, again=90, name="nextpnr-ice40") == 70


def test_what_nextpnr_reports():
    report = {
        "fmax": {"clk": {"achieved": 81.237, "constraint": 60.0}, "io": {"achieved": 99.0}},
        "utilization": {"B": {"used": 3, "available": 8}, "A": {"used": 0, "available": 2}},
    }
    assert timing(report) == {"fmax_mhz": 81.24, "used": {"B": [3, 8]}}
    with pytest.raises(Failure, match="no clock"):
        timing({"fmax": {}, "utilization": {}})
