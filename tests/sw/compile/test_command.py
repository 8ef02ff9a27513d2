"""The compiler once as users call it, in a process of its own."""

import subprocess
import sys

import pytest

from tests.tiers import ROOT

pytestmark = pytest.mark.flow


def test_a_mistake_is_one_line_and_exit_code_2():
    command = [sys.executable, "-m", "sw.compile", "no.pt", "--calibrate", "x", "-o", "y"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: cannot read x: No such file or directory\n"
