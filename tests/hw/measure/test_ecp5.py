"""What yosys and nextpnr say, as area and clock."""

import json
import os
from pathlib import Path

import pytest

from hw.measure.ecp5 import Area, Fit, area_of, place, read_fit, register, synthesize, verilog
from hw.measure.tools import Tool, find_nextpnr, find_yosys
from hw.nm.mac import Mac, mac_latency
from spec.errors import Failure, UserError
from spec.nm.config import NmConfig, preset

REPORT = Path(__file__).with_name("report.json")
"""A report of nextpnr 0.11.1, its paths cut short."""


@pytest.mark.unit
def test_the_report_tells_the_clock_and_its_slowest_path():
    fit = read_fit(json.loads(REPORT.read_text()))
    assert fit == Fit(73.54022979736328, "sequencer.strip -> counters.busy")


@pytest.mark.unit
@pytest.mark.parametrize("count", [0, 2])
def test_a_report_of_other_than_one_clock_is_refused(count):
    report = json.loads(REPORT.read_text())
    (clock,) = report["fmax"].values()
    report["fmax"] = {f"clock{number}": clock for number in range(count)}
    with pytest.raises(Failure, match=f"nextpnr reports {count} clocks, must be one"):
        read_fit(report)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("unit.sequencer.strip_TRELLIS_FF_Q_3", "sequencer.strip"),
        ("unit.acts.lane0.memory_DP16KD_DOA0", "acts.lane0.memory"),
        ("given_TRELLIS_FF_Q", "given"),
        ("unit.a_MULT18X18D_A0", "a"),
    ],
)
def test_names_of_registers(cell, name):
    assert register(cell) == name


@pytest.mark.unit
def test_area_counts_every_lookup_table():
    cells = {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 7, "MULT18X18D": 5}
    assert area_of(cells) == Area(lut4=24, carry=3, ff=7, block_rams=0, multipliers=5)


@pytest.mark.unit
def test_a_report_that_is_there_is_taken(tmp_path):
    (tmp_path / "seed3.json").write_text(REPORT.read_text())
    nobody = Tool("nextpnr", "0", ("/nowhere",))
    assert place(nobody, 3, tmp_path).mhz == pytest.approx(73.54, abs=0.01)


@pytest.mark.unit
def test_a_report_is_whole_as_soon_as_it_is_there(tmp_path):
    """Until then it has a name that no other process takes, and none that is looked for."""
    script = f"while [ $1 != --report ]; do shift; done; cp {REPORT} $2; echo $2 > told"
    fit = place(Tool("nextpnr", "0", ("sh", "-c", script, "nextpnr")), 3, tmp_path)
    assert fit.mhz == pytest.approx(73.54, abs=0.01)
    assert str(os.getpid()) in (tmp_path / "told").read_text()
    assert {file.name for file in tmp_path.iterdir()} == {"told", "seed3.json"}


@pytest.mark.unit
def test_tools_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("hw.measure.tools.find_program", lambda names: None)
    with pytest.raises(UserError, match=r"nextpnr .* not installed; get it: pip install"):
        find_nextpnr()


@pytest.mark.unit
def test_a_tool_that_fails_says_so(tmp_path):
    tool = Tool("toy", "0", ("sh", "-c", "echo no such wire; exit 3"))
    with pytest.raises(Failure, match="toy failed in .*: no such wire"):
        tool.run([], tmp_path)


def area(config: NmConfig, folder: Path) -> Area:
    for name, text in verilog(Mac(config), "nm_mac").items():
        (folder / name).write_text(text)
    return synthesize(find_yosys(), "nm_mac", folder)


@pytest.mark.synth
@pytest.mark.parametrize(
    "config",
    [preset("default"), preset("default", n=4, m=8), preset("default", n=1, m=1, groups=2)],
    ids=["2:4", "4:8", "dense"],
)
def test_the_mac_unit_maps_as_meant(tmp_path, config):
    """A multiplier for each product; all operands, products and sums in registers."""
    found = area(config, tmp_path)
    products = config.multipliers
    operands = products * (config.weight_bits + config.act_bits)
    sums = products * (config.weight_bits + config.act_bits)
    sum_bits = config.weight_bits + config.act_bits + (products - 1).bit_length()
    travelling = 2 * (mac_latency(config) - 1)
    assert found.multipliers == products
    assert found.block_rams == 0
    assert found.ff == operands + sums + sum_bits + travelling + config.acc_bits
    assert (tmp_path / "harness.json").exists()


@pytest.mark.synth
def test_choosing_costs_lookup_tables_only(tmp_path):
    """A 2:4 unit has the registers and multipliers of a dense one, and three lookup tables for each
    bit of an operand."""
    areas = []
    for number, fields in enumerate(({}, {"n": 1, "m": 1, "groups": 2})):
        folder = tmp_path / str(number)
        folder.mkdir()
        areas.append(area(preset("default", **fields), folder))
    sparse, dense = areas
    assert (sparse.ff, sparse.multipliers) == (dense.ff, dense.multipliers)
    bits = 2 * preset("default").act_bits
    assert sparse.lut4 == dense.lut4 + 3 * bits
