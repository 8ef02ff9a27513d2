"""Units alone: what the result file holds, from tools that are played, and real figures."""

import json
from dataclasses import replace

import pytest

from hw.emit import emit
from hw.measure import __main__ as command
from hw.measure import ecp5, units
from hw.measure.ecp5 import Fit
from hw.measure.families import FAMILIES, Figures, depth_of, measure
from hw.measure.tools import Tool, find_yosys
from hw.measure.up5k import up5k
from hw.memory import Ram
from spec.eie.config import preset
from spec.errors import Failure, UserError
from tests.tiers import ROOT

FIGURES = Figures(
    lut4=100, carry=5, distributed=2, ff=60, block_rams=3, big_rams=0, multipliers=1, depth=9
)


@pytest.fixture
def played(monkeypatch, tmp_path):
    """Tools that find these figures, and 100 MHz plus the seed; the folder of the results."""
    found = {"figures": FIGURES}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(units, "find_yosys", lambda: Tool("yosys", "1.2", ()))
    monkeypatch.setattr(units, "find_nextpnr", lambda: Tool("nextpnr-ecp5", "3.4", ()))
    monkeypatch.setattr(units, "measure", lambda *arguments: found["figures"])
    monkeypatch.setattr(ecp5, "synthesize", lambda *arguments: None)
    monkeypatch.setattr(ecp5, "place", lambda tool, seed, folder: Fit(100.0 + seed, "a -> b"))
    return found


def history(tmp_path) -> list[dict]:
    return json.loads((tmp_path / "results" / "units.json").read_text())["history"]


@pytest.mark.unit
def test_a_row(played, tmp_path, capsys):
    command.main(["--unit", "eie.pe", "--preset", "tiny", "--seeds", "3"])
    (row,) = history(tmp_path)
    assert [row[what] for what in units.WHAT] == ["eie.pe", "tiny", "ecp5"]
    assert row["digest"] == preset("tiny").digest
    assert row["figures"]["lut4"] == 100
    assert (row["mhz"], row["median_mhz"]) == ([101.0, 102.0, 103.0], 102.0)
    assert row["tools"] == {"yosys": "1.2", "nextpnr-ecp5": "3.4"}
    assert "MHz, median   102.0" in capsys.readouterr().out


@pytest.mark.unit
def test_the_history_grows_with_what_is_new_only(played, tmp_path):
    """The same again says nothing new, nor does the same without a clock; other figures do, and
    other units have rows of their own."""
    for words in (["--seeds", "2"], ["--seeds", "2"], []):
        command.main(["--unit", "eie.pe", "--preset", "tiny", *words])
    assert len(history(tmp_path)) == 1
    command.main(["--unit", "nm.mac", "--preset", "tiny"])
    command.main(["--unit", "eie.pe", "--preset", "tiny"])
    assert [row["unit"] for row in history(tmp_path)] == ["eie.pe", "nm.mac"]
    played["figures"] = replace(FIGURES, lut4=90)
    command.main(["--unit", "eie.pe", "--preset", "tiny"])
    assert [row["figures"]["lut4"] for row in history(tmp_path)] == [100, 100, 90]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either --engine or --unit"),
        (["--engine", "nm", "--unit", "eie.pe"], "either --engine or --unit"),
        (["--unit", "eie.mac"], "--unit eie.mac: there are eie.array, eie.pe, nm.array, nm.mac"),
        (["--unit", "eie.pe", "--preset", "huge"], "preset 'huge' does not exist"),
        (["--unit", "eie.pe", "--family", "xc7"], "--family xc7: there are ecp5, ice40"),
        (["--unit", "eie.pe", "--family", "ice40", "--seeds", "1"], "placed on ecp5 only"),
        (["--unit", "eie.pe", "--seeds", "100"], "--seeds 100: must be 0 to 99"),
    ],
)
def test_bad_input(words, message):
    with pytest.raises(UserError, match=message):
        command.main(words)


@pytest.mark.unit
def test_depth():
    assert depth_of("Longest topological path in eie_pe (length=23):\n") == 23
    with pytest.raises(Failure, match="no longest path: nothing"):
        depth_of("nothing")


@pytest.mark.unit
def test_only_memories_that_an_up5k_has_otherwise_are_replaced():
    texts = {f"skipstone_{name}.v": name for name in ("ram_1500x9", "ram_20000x8", "ram_2048x17")}
    assert up5k(texts) == texts


@pytest.mark.synth
@pytest.mark.parametrize(("depth", "width"), [(16384, 16), (2048, 9)])
def test_a_deep_memory_is_a_single_port_ram(tmp_path, depth, width):
    ram = Ram(width, depth)
    for name, text in up5k(emit(ram, ram.module_name)).items():
        (tmp_path / name).write_text(text)
    found = measure(find_yosys(), FAMILIES["ice40"], ram.module_name, tmp_path)
    assert (found.big_rams, found.block_rams) == (1, 0)


@pytest.mark.synth
@pytest.mark.parametrize(
    ("name", "family", "most"),
    [
        ("fpga64", "ecp5", {"lut4": 840, "block_rams": 2, "multipliers": 1, "depth": 20}),
        ("fpga32", "ecp5", {"lut4": 1120, "block_rams": 4, "multipliers": 1}),
        ("fpga16", "ecp5", {"lut4": 1130, "block_rams": 3, "multipliers": 1}),
        ("up5k", "ice40", {"lut4": 925, "block_rams": 14, "big_rams": 2, "multipliers": 1}),
    ],
)
def test_a_processing_element_stays_small(tmp_path, name, family, most):
    """So that the preset's PEs fit the part that it is for."""
    figures = units.run("eie.pe", name, family, 0, tmp_path)["figures"]
    assert {kind: figures[kind] for kind in most if figures[kind] > most[kind]} == {}
    assert figures["multipliers"] == 1


LATEST = {
    tuple(row[name] for name in units.WHAT): row
    for row in json.loads((ROOT / "results" / units.FILE).read_text())["history"]
}


@pytest.mark.synth
@pytest.mark.parametrize("what", LATEST, ids=" ".join)
def test_the_history_has_what_there_is_now(tmp_path, what):
    """Whoever changes a unit measures it again: CI holds the last row against the design."""
    latest = LATEST[what]
    found = units.run(*what, seeds=0, build=tmp_path)
    assert found["digest"] == latest["digest"]
    if found["tools"].items() <= latest["tools"].items():
        assert found["figures"] == latest["figures"]
