"""Comparisons: what the result file holds, from tools that are played."""

import json
from dataclasses import replace

import pytest

from hw.measure import __main__ as command
from hw.measure import compare, ecp5, nm
from hw.measure.compare import Comparison, ratios, run, table
from hw.measure.ecp5 import Area, Fit
from hw.measure.tools import Tool
from hw.nm.mac import Mac
from spec.errors import UserError
from spec.nm.config import NmConfig, preset

pytestmark = pytest.mark.unit

DENSE, SPARSE = preset("tiny", n=1, m=1, groups=2), preset("tiny")
TOY = {"mac": Comparison("MAC units", Mac, "nm_mac", {"dense only": DENSE, "N:M": SPARSE})}
WIDE = {"4:8": preset("tiny", n=4, m=8)}


@pytest.fixture
def tools(monkeypatch):
    """Tools that find 100 MHz plus the seed, and less for N:M; the calls of nextpnr."""
    calls = []

    def synthesize(yosys, module, folder):
        lut4 = 150 if (folder / "nm_select.v").read_text().count("place") else 100
        return Area(lut4=lut4, carry=4, ff=60, block_rams=0, multipliers=2)

    def place(nextpnr, seed, folder):
        calls.append((seed, folder.name))
        sparse = (folder / "nm_select.v").read_text().count("place")
        return Fit((90.0 if sparse else 100.0) + seed, "a -> b")

    monkeypatch.setattr(compare, "find_yosys", lambda: Tool("yosys", "1.2", ()))
    monkeypatch.setattr(compare, "find_nextpnr", lambda: Tool("nextpnr-ecp5", "3.4", ()))
    monkeypatch.setattr(ecp5, "synthesize", synthesize)
    monkeypatch.setattr(ecp5, "place", place)
    return calls


def test_the_document(tools, tmp_path, capsys):
    document = run(TOY, 3, tmp_path)
    assert document["tools"] == {"yosys": "1.2", "nextpnr-ecp5": "3.4"}
    assert document["seeds"] == [1, 2, 3]
    rows = document["comparisons"]["mac"]["configurations"]
    assert rows["N:M"]["digest"] == SPARSE.digest
    assert rows["N:M"]["config"] == SPARSE.to_json()
    assert rows["N:M"]["mhz"] == [91.0, 92.0, 93.0]
    assert rows["dense only"]["median_mhz"] == 102.0
    ratio = document["comparisons"]["mac"]["ratios"]["N:M"]
    assert ratio == {"mhz": 0.902, "lut4": 1.5, "carry": 1.0, "ff": 1.0, "multipliers": 1.0}
    assert "nm_mac, N:M, seed 2: 92.0 MHz" in capsys.readouterr().err
    assert len({folder for _, folder in tools}) == 2
    json.dumps(document)


def test_the_table(tools, tmp_path):
    assert table(run(TOY, 3, tmp_path)).splitlines() == [
        "| MAC units | clock, MHz: median (all) | LUT4 | registers | block RAMs | multipliers |",
        "|---|---|---|---|---|---|",
        "| dense only | 102.0 (101.0, 102.0, 103.0) | 100 | 60 | 0 | 2 |",
        "| N:M | 92.0 (91.0, 92.0, 93.0) | 150 | 60 | 0 | 2 |",
        "| N:M / dense only | 0.90 | 1.50 | 1.00 |  | 1.00 |",
    ]


def test_what_is_not_placed(tools, tmp_path):
    document = run({"mac": replace(TOY["mac"], area_only=WIDE)}, 2, tmp_path)
    assert len(tools) == 2 * 2
    assert set(document["comparisons"]["mac"]["configurations"]["4:8"]) == {
        "digest",
        "config",
        "area",
    }
    lines = table(document).splitlines()
    assert lines[4] == "| 4:8 |  | 150 | 60 | 0 | 2 |"
    assert lines[6] == "| 4:8 / dense only |  | 1.50 | 1.00 |  | 1.00 |"


def test_other_tools_get_folders_of_their_own(tools, tmp_path, monkeypatch):
    run(TOY, 1, tmp_path)
    run(TOY, 1, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(compare, "find_nextpnr", lambda: Tool("nextpnr-ecp5", "3.5", ()))
    run(TOY, 1, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_ratios_leave_out_what_is_not_there():
    rows = {
        name: {"median_mhz": mhz, "area": {"lut4": lut4, "block_rams": 0}}
        for name, mhz, lut4 in (("a", 80.0, 100), ("b", 76.0, 110))
    }
    assert ratios(rows) == {"b": {"mhz": 0.95, "lut4": 1.1}}


def test_the_command_writes_results(tools, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nm, "COMPARISONS", TOY)
    command.main(["--engine", "nm", "--seeds", "2", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "results" / "nm_fit.json").read_text()) == printed
    assert printed["command"] == "python -m hw.measure --engine nm --seeds 2"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "tpu"], "engine 'tpu' cannot be measured; there are nm"),
        (["--engine", "nm", "--seeds", "0"], "--seeds 0: must be 1 to 99"),
    ],
)
def test_bad_input(words, message):
    with pytest.raises(UserError, match=message):
        command.main(words)


def test_what_is_compared_differs_in_n_and_m_only():
    """Multipliers, sizes and the bits of the buffers are the same."""
    for comparison in nm.COMPARISONS.values():
        dense, *others = comparison.configs.values()
        assert isinstance(dense, NmConfig)
        for config in others:
            assert isinstance(config, NmConfig)
            assert (dense.m, config.m) == (1, 4)
            same = ("rows", "columns", "multipliers", "weight_steps", "load_bits", "act_bits")
            assert all(getattr(dense, name) == getattr(config, name) for name in same)
            assert dense.act_lines * dense.line_bits == config.act_lines * config.line_bits
    array = nm.COMPARISONS["array"]
    gathering = {**array.configs, **array.area_only}
    assert [config.to_json()["gather_lines"] for config in gathering.values()] == [0, 0, 64]
