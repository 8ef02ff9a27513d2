"""Progress: silent when quick, elapsed time on stderr when not, never in the way of an error."""

import re
import time

import pytest

from sw.host import progress as module
from sw.host.progress import progress

pytestmark = pytest.mark.unit


def test_quick_work_shows_nothing(capsys):
    with progress("quick", 3) as tick:
        tick(3)
    assert capsys.readouterr() == ("", "")


def test_slow_work_shows_elapsed_time_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    with progress("slow", 3) as tick:
        tick(1)
        time.sleep(0.6)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.match(r"slow:  33%.* 1/3 \[00:00.*\]\n$", shown.err)


def test_work_without_steps_shows_elapsed_time_too(capsys, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    with progress("building"):
        time.sleep(0.3)
    assert capsys.readouterr().err == "building: 00:00\n"


def test_a_terminal_gets_one_line_that_changes(capsys, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.01)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("slow", 3) as tick:
        tick(1)
        time.sleep(0.3)
    shown = capsys.readouterr().err
    assert "slow:  33%" in shown
    assert "\n" not in shown


def test_errors_pass_through():
    with pytest.raises(KeyError), progress("broken", 3):
        raise KeyError
