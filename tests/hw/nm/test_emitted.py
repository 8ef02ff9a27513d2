"""The emitted N:M array and its MAC unit: clean, read by the tools, each module once, and what
Amaranth meant."""

import re
from dataclasses import replace

import pytest

from hw.answers import Answers
from hw.build import build
from hw.emit import emission
from hw.engines import UNITS
from hw.nm.act_buffer import ActBuffer
from hw.nm.array import MacArray
from hw.nm.control import Control
from hw.nm.counters import Counters
from hw.nm.distribute import Distribute
from hw.nm.dot import Dot
from hw.nm.drain import Drain
from hw.nm.engine import NmArray
from hw.nm.gather import Gather
from hw.nm.host_port import HostPort
from hw.nm.loader import Loader
from hw.nm.mac import Mac, mac_latency
from hw.nm.select import Select
from hw.nm.sequencer import Sequencer
from hw.nm.strip_buffer import StripBuffer
from hw.nm.strip_lengths import StripLengths
from hw.nm.travel import Travel
from spec.nm.config import preset
from tests.hw.tools import difference, lint, yosys

TOPS = {name: unit.top for name, unit in UNITS["nm"].items()}

DENSE = {"n": 1, "m": 1, "groups": 2}
CONFIGS = {
    **{name: preset(name) for name in ("default", "ecp5", "fpga128", "tiny")},
    "dense only": preset("tiny", **DENSE),
    "dense only, no gather": preset("tiny", **DENSE, gather_lines=0),
    "no gather": preset("tiny", gather_lines=0),
    "4:8": preset("tiny", n=4, m=8),
    "two groups": preset("tiny", groups=2),
    "W4A16": preset("tiny", weight_bits=4, act_bits=16),
    "64-bit words": preset("default", load_bits=64),
    "512-bit words": preset("tiny", load_bits=512),
    "odd": preset("tiny", weight_bits=5, act_bits=7, acc_bits=23, weight_steps=13, act_lines=11),
    "least": preset(
        "tiny", rows=1, columns=1, n=1, m=1, weight_steps=1, act_lines=1, gather_lines=1
    ),
}


@pytest.mark.verilator
@pytest.mark.parametrize("unit", TOPS)
@pytest.mark.parametrize("name", CONFIGS)
def test_verilator_has_nothing_to_say(tmp_path, name, unit):
    folder = build(CONFIGS[name], tmp_path / "out", unit)
    assert lint(folder / "rtl", TOPS[unit]) == ""


@pytest.mark.synth
@pytest.mark.parametrize("unit", TOPS)
@pytest.mark.parametrize("name", CONFIGS)
def test_yosys_reads_it(tmp_path, name, unit):
    folder = build(CONFIGS[name], tmp_path / "out", unit)
    code, log = yosys(
        f"read_verilog {folder}/rtl/*.v",
        f"hierarchy -check -top {TOPS[unit]}",
        "proc",
        "check -assert",
    )
    assert code == 0, log[-2000:]


NARROW = preset(
    "tiny",
    rows=2,
    columns=2,
    weight_bits=2,
    act_bits=4,
    acc_bits=8,
    multiplier_bits=2,
    shift_bits=1,
    weight_steps=2,
    act_lines=2,
    gather_lines=2,
    counter_bits=8,
)
DENSE_NARROW = replace(NARROW, **DENSE, gather_lines=0)

STEPS = {
    Select: 2,
    Dot: 3,
    Mac: 8,
    MacArray: 7,
    Distribute: 2,
    Control: 4,
    Counters: 4,
    HostPort: 5,
    Gather: 4,
    Travel: 9,
    StripLengths: 3,
    StripBuffer: 5,
    ActBuffer: 3,
    Sequencer: 8,
    Loader: 12,
    Drain: 12,
    NmArray: 8,
}
"""Units, and the cycles from reset for which they are compared."""


@pytest.mark.synth
@pytest.mark.parametrize("unit", STEPS, ids=lambda unit: unit.__name__)
def test_every_unit_does_what_amaranth_says(tmp_path, unit):
    """Whatever its inputs are: what its own tests find out in Amaranth's simulator, some of them
    exhaustively, holds for the Verilog."""
    assert not difference(lambda: unit(NARROW), tmp_path, steps=STEPS[unit])


@pytest.mark.synth
@pytest.mark.parametrize("unit", [Select, Mac, Loader, StripBuffer, NmArray])
def test_units_for_dense_matrices_do_what_amaranth_says(tmp_path, unit):
    assert not difference(lambda: unit(DENSE_NARROW), tmp_path, steps=STEPS[unit])


@pytest.mark.synth
@pytest.mark.parametrize("fields", [{"n": 1}, {"n": 4, "m": 8}, {"weight_bits": 3, "groups": 2}])
def test_other_mac_units_do_what_amaranth_says(tmp_path, fields):
    config = replace(NARROW, acc_bits=10, **fields)
    assert not difference(lambda: Mac(config), tmp_path, steps=6)


@pytest.mark.synth
def test_answers_do_what_amaranth_says(tmp_path):
    assert not difference(Answers, tmp_path, steps=6)


@pytest.mark.unit
def test_what_is_repeated_is_emitted_once(tmp_path):
    """MAC units, selects, what feeds columns, requantizers."""
    rtl = build(preset("tiny"), tmp_path / "out") / "rtl"
    for file, module, count in (
        ("nm_array__array", "nm_column", 2),
        ("nm_column", "nm_mac", 4),
        ("nm_mac", "nm_select", 2),
        ("nm_array", "nm_distribute", 2),
        ("nm_array__drain", "nm_requantize", 2),
    ):
        text = (rtl / f"{file}.v").read_text()
        assert len(re.findall(rf"^ +{module} \w+ \($", text, re.M)) == count
        assert len(list(rtl.glob(f"{module}.v"))) == 1
    texts = [path.read_text() for path in rtl.glob("*.v")]
    modules = [module for text in texts for module in re.findall(r"^module (\w+)", text, re.M)]
    assert len(set(modules)) == len(modules) == len(texts)


@pytest.mark.unit
@pytest.mark.parametrize("name", ["tiny", "dense only, no gather"])
def test_ports_and_latencies(name):
    emitted = emission(NmArray(CONFIGS[name]), "nm_array")
    assert emitted.latencies["nm_mac"] == mac_latency(CONFIGS[name])
    alone = {port for port in emitted.ports if "__" not in port}
    assert alone == {"clk", "rst", "start", "busy", "error"}
