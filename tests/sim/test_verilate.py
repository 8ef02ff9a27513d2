"""Building programs: once, whole or not at all, and told in one sentence when it cannot be."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

import sim.tools
import sim.verilate
from sim.eie.design import EIE
from sim.native import native_recipe
from sim.nm.design import NM
from sim.recipe import Recipe, ports_of
from sim.verilate import BuildError, build
from spec.eie.config import preset
from spec.errors import UserError
from spec.nm import config as nm_config
from tests.sim.ports import EieHost
from tests.sim.toy_machine import EieToy

SOURCE = """
#include "Vtop.h"
int main() { Vtop top; top.a = 5; top.eval(); return top.b == 6 ? 0 : 1; }
"""
VERILOG = "module tiny(input wire [7:0] a, output wire [7:0] b); assign b = a + 8'd1; endmodule\n"


@pytest.fixture
def tiny(tmp_path) -> Recipe:
    """A program that is small, but needs every step."""
    source = tmp_path / "main.cpp"
    source.write_text(SOURCE)
    return Recipe(top="tiny", verilog={"tiny.v": VERILOG}, sources=[source])


def kept(root: Path) -> list[str]:
    """What a build has left behind, but for locks."""
    return sorted(path.name for path in (root / "verilator").iterdir() if path.suffix != ".lock")


@pytest.mark.unit
def test_whatever_decides_a_program_is_in_its_key(tiny, monkeypatch):
    others = [
        replace(tiny, top="other"),
        replace(tiny, verilog={"tiny.v": VERILOG + "\n"}),
        replace(tiny, control=["lint_off"]),
        replace(tiny, options=["--vpi"]),
        replace(tiny, macros={"A": 1}),
        replace(tiny, waves=True),
        native_recipe(EIE, EieHost.config, EieToy),
        native_recipe(EIE, preset("tiny", pes=2), EieToy),
    ]
    assert len({tiny.key, *(other.key for other in others)}) == len(others) + 1
    assert replace(tiny).key == tiny.key
    changed = replace(tiny)
    changed.sources[0].write_text(SOURCE + "\n")
    assert changed.key != tiny.key
    header = tiny.sources[0].with_suffix(".hpp")
    keys = {changed.key}
    for text in ("", "int a;"):
        header.write_text(text)
        keys.add(replace(changed, headers=[header]).key)
    assert len(keys) == 3
    monkeypatch.setattr(sim.tools, "find", lambda tool: sim.tools.Found("other", ""))
    assert replace(tiny).key != changed.key


@pytest.mark.unit
def test_ports_are_read_from_the_text():
    text = "module m (\n    input wire clk,\n    input wire [3:0] a__b,\n    output reg c\n);\n"
    assert ports_of(text) == ["clk", "a__b", "c"]


@pytest.mark.unit
def test_modules_of_many_instances_are_compiled_once():
    made = native_recipe(EIE, preset("tiny"))
    assert made.shared == ["eie_pe"]
    control = made.control_file()
    assert 'no_inline -module "eie_pe"' in control
    assert 'public_flat_rd -module "eie_pe" -var "rst"' in control
    assert '"clk"' not in control
    assert native_recipe(NM, nm_config.preset("tiny")).shared == ["nm_mac", "nm_distribute"]
    assert native_recipe(EIE, EieHost.config, EieToy).shared == []


@pytest.mark.unit
@pytest.mark.parametrize("missing", ["verilator", "g++", "make", "perl"])
def test_a_missing_tool_is_told(tiny, tmp_path, monkeypatch, missing):
    find = sim.tools.find
    monkeypatch.setattr(
        sim.tools, "find", lambda tool: None if tool.name == missing else find(tool)
    )
    with pytest.raises(UserError, match=r"is not installed; it .* Get it: "):
        build(tiny, tmp_path)


@pytest.mark.unit
def test_a_folder_that_cannot_be_written_is_told(tiny, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match=f"cannot build in {file}/verilator"):
        build(tiny, file)


@pytest.mark.unit
@pytest.mark.parametrize("step", ["_translate", "_compile"])
def test_an_interrupted_build_leaves_nothing(tiny, tmp_path, monkeypatch, step):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sim.verilate, "_translate", lambda recipe, folder: None)
    monkeypatch.setattr(sim.verilate, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(tiny, tmp_path)
    assert kept(tmp_path) == []


@pytest.mark.verilator
def test_a_program_is_built_once(tiny, tmp_path, monkeypatch):
    left = tmp_path / "verilator" / f".{tiny.key}-killed"
    left.mkdir(parents=True)
    program = build(tiny, tmp_path)
    assert not left.exists()
    assert program == tmp_path / "verilator" / tiny.key / "model"
    assert kept(tmp_path) == [tiny.key, f"library-{tiny.library_key}"]
    assert sim.verilate.subprocess.run([program]).returncode == 0
    monkeypatch.setattr(sim.verilate, "_build_aside", None)
    assert build(replace(tiny), tmp_path) == program


@pytest.mark.verilator
def test_two_processes_build_it_once(tiny, tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        programs = pool.starmap(build, [(tiny, tmp_path)] * 2)
    assert programs[0] == programs[1]
    assert kept(tmp_path) == [tiny.key, f"library-{tiny.library_key}"]
    log = (programs[0].parent / "build.log").read_text()
    assert log.count("$ verilator") == 1


@pytest.mark.verilator
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verilog": {"tiny.v": "module tiny; nonsense endmodule\n"}}, "verilator failed"),
        ({"macros": {"main": 1}}, "make failed"),
    ],
)
def test_what_does_not_compile_is_told_and_not_kept(tiny, tmp_path, changes, message):
    with pytest.raises(BuildError, match=f"(?s){message} with exit code .*error"):
        build(replace(tiny, **changes), tmp_path)
    assert kept(tmp_path) == []
