"""The emitted EIE array: clean, read by the tools, each module once, and what Amaranth meant."""

import re
from dataclasses import replace

import pytest

from hw.build import build
from hw.eie.array import EieArray
from hw.eie.division import Division
from hw.eie.lnzd import Lnzd
from hw.eie.reduce import Reduce
from hw.eie.scan import Scan
from spec.eie.config import preset
from tests.hw.tools import difference, lint, yosys

CONFIGS = {
    **{name: preset(name, pes=6, clusters=2) for name in ("default", "tiny")},
    "isca16": preset("isca16", pes=5),
    "one PE": preset("tiny", pes=1, clusters=1),
    "64 PEs": preset("default"),
    "least": preset(
        "tiny", pes=2, rows=1, act_rows=1, columns=2, biases=1, layers=1, codebooks=1, queue_depth=1
    ),
    "narrow": preset("tiny", act_bits=5, weight_bits=3, code_bits=2, run_bits=3, acc_bits=13),
    "one entry a line": preset("tiny", line_bits=8, run_bits_most=4, lines=16, ahead_depth=0),
    "wide": preset("tiny", act_bits=24, weight_bits=20, acc_bits=46, line_bits=64, rows=33),
    "odd": preset(
        "tiny", pes=7, clusters=1, rows=5, act_rows=3, columns=9, biases=7, layers=3, lines=5
    ),
    "clusters of one PE": preset("tiny", pes=8, clusters=8),
    "lanes": preset("tiny", lanes=2, share_pads=False),
    "FPGA": preset("fpga64", pes=4),
    "UP5K": preset("up5k"),
    "all widths": preset("tiny", lanes=8, run_bits=1, run_bits_most=8, double_buffer=False),
}


@pytest.mark.verilator
@pytest.mark.parametrize("name", CONFIGS)
def test_verilator_has_nothing_to_say(tmp_path, name):
    folder = build(CONFIGS[name], tmp_path / "out")
    assert lint(folder / "rtl", "eie_array") == ""


@pytest.mark.synth
@pytest.mark.parametrize("name", CONFIGS)
def test_yosys_reads_it(tmp_path, name):
    folder = build(CONFIGS[name], tmp_path / "out")
    code, log = yosys(
        f"read_verilog {folder}/rtl/*.v",
        "hierarchy -check -top eie_array",
        "proc",
        "check -assert",
    )
    assert code == 0, log[-2000:]


NARROW = preset(
    "tiny",
    pes=2,
    act_bits=3,
    weight_bits=3,
    acc_bits=8,
    multiplier_bits=3,
    shift_bits=2,
    code_bits=2,
    run_bits=1,
    run_bits_most=2,
    line_bits=8,
    rows=2,
    act_rows=2,
    lines=4,
    columns=4,
    biases=2,
    layers=2,
    codebooks=1,
    queue_depth=2,
    ahead_depth=1,
    counter_bits=8,
)


@pytest.mark.synth
@pytest.mark.parametrize("fields", [{}, {"lanes": 2, "share_pads": False}])
def test_the_whole_array_does_what_amaranth_says(tmp_path, fields):
    config = replace(NARROW, **fields)
    assert not difference(lambda: EieArray(config), tmp_path, steps=6)


@pytest.mark.synth
@pytest.mark.parametrize(
    ("unit", "steps"),
    [(Division, 1), (Lnzd, 1), (Reduce, 4), (Scan, 6)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_units_of_many_clusters_do_what_amaranth_says(tmp_path, unit, steps):
    config = replace(NARROW, pes=8, clusters=4, lanes=2)
    assert not difference(lambda: unit(config), tmp_path, steps=steps)


@pytest.mark.unit
def test_what_is_repeated_is_emitted_once(tmp_path):
    """PEs, lanes, scans and detection trees, however many there are."""
    rtl = build(preset("tiny", pes=8, clusters=4, lanes=2), tmp_path / "out") / "rtl"
    array, pe = ((rtl / f"eie_{name}.v").read_text() for name in ("array", "pe"))
    for text, module, count in (
        (array, "eie_pe", 8),
        (array, "eie_scan", 4),
        (array, "eie_lnzd", 4),
        (pe, "eie_lane", 2),
    ):
        assert len(re.findall(rf"^ +{module} \w+ \($", text, re.M)) == count
        assert len(list(rtl.glob(f"{module}.v"))) == 1
    texts = [path.read_text() for path in rtl.glob("*.v")]
    modules = [module for text in texts for module in re.findall(r"^module (\w+)", text, re.M)]
    assert len(set(modules)) == len(modules) == len(texts)
