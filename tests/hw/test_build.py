"""``python -m hw.build``: what the folder holds, that it is whole or absent, what is refused."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hw.build import build, default_name, main
from hw.eie.array import EieArray
from hw.eie.division import Division
from hw.eie.lnzd import Lnzd
from hw.eie.reduce import Reduce
from hw.eie.scan import Scan
from spec.eie.config import EieConfig, preset
from spec.errors import UserError
from tests.hw.tools import difference, lint, yosys
from tests.tiers import ROOT

TINY = preset("tiny", pes=2)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.unit
@pytest.mark.parametrize(
    ("config", "name"),
    [
        (preset("default"), "eie-64"),
        (preset("default", pes=3), "eie-3"),
        (preset("isca16"), "eie-64-isca16"),
        (preset("tiny", pes=8), "eie-8-tiny"),
        (preset("default", rows=64), f"eie-64-{preset('default', rows=64).digest}"),
    ],
)
def test_a_folder_is_named_after_the_configuration(config, name):
    assert default_name(config) == name


@pytest.mark.unit
def test_the_manifest_says_what_was_built(tmp_path):
    folder = build(TINY, tmp_path / "out")
    facts = json.loads((folder / "manifest.json").read_text())
    assert EieConfig.from_json(facts["config"]) == TINY
    assert (facts["digest"], facts["top"]) == (TINY.digest, "eie_array")
    assert facts["ports"]["start"] == {"direction": "input", "width": 1}
    assert facts["ports"]["data__payload"] == {"direction": "output", "width": 64}
    assert facts["latencies"]["eie_lnzd_node"] == 0
    assert facts["tools"]["amaranth"]
    files = contents(folder)
    del files["manifest.json"]
    assert facts["files"] == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }


@pytest.mark.unit
def test_the_core_file_lists_all_verilog(tmp_path):
    folder = build(TINY, tmp_path / "out")
    core = (folder / "eie-2-tiny.core").read_text()
    assert core.startswith("CAPI=2:\nname: skipstone:eie:eie-2-tiny:")
    listed = [line.strip("- ") for line in core.splitlines() if line.endswith(".v")]
    assert listed == [f"rtl/{path.name}" for path in sorted(folder.glob("rtl/*.v"))]


@pytest.mark.unit
def test_it_is_the_same_in_every_process(tmp_path):
    folders = [tmp_path / seed for seed in ("0", "1")]
    for folder in folders:
        command = [sys.executable, "-m", "hw.build", "--preset", "tiny", "--out", str(folder)]
        environment = {"PYTHONHASHSEED": folder.name, "PATH": ""}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert contents(folders[0]) == contents(folders[1])
    assert not any(str(ROOT).encode() in data for data in contents(folders[0]).values())


# Folders --------------------------------------------------------------------------------------


@pytest.mark.unit
def test_an_earlier_build_is_replaced(tmp_path):
    out = tmp_path / "out"
    build(TINY, out)
    (out / "rtl" / "left_over.v").write_text("")
    build(preset("tiny", pes=3), out)
    assert not (out / "rtl" / "left_over.v").exists()
    assert (out / "eie-3-tiny.core").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.unit
@pytest.mark.parametrize("manifest", [None, "", "[]", '{"generator": "another"}'])
def test_a_folder_of_others_is_left_alone(tmp_path, manifest):
    (tmp_path / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    before = contents(tmp_path)
    with pytest.raises(UserError, match="it is there already and holds no manifest.json"):
        build(TINY, tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.unit
def test_an_empty_folder_is_taken(tmp_path):
    assert contents(build(TINY, tmp_path / "new" / "folders"))


@pytest.mark.unit
def test_a_file_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="is no folder"):
        build(TINY, tmp_path / "out")
    with pytest.raises(UserError, match="cannot build into .*: Not a directory"):
        build(TINY, tmp_path / "out" / "below")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.unit
@pytest.mark.parametrize("out", [".", ""])
def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot build into the current folder"):
        build(TINY, Path(out))


@pytest.mark.unit
def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    build(TINY, tmp_path / "out")
    before = contents(tmp_path)
    write_text, written = Path.write_text, []

    def fail_late(self, *arguments, **options):
        written.append(self)
        if len(written) == 9:
            raise OSError(28, "No space left on device")
        return write_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", fail_late)
    with pytest.raises(UserError, match="cannot build into .*: No space left on device"):
        build(preset("tiny", pes=3), tmp_path / "out")
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# The command ----------------------------------------------------------------------------------


@pytest.mark.unit
def test_the_command_prints_one_line_or_the_manifest(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["--preset", "tiny", "--pes", "3"])
    assert capsys.readouterr().out.startswith("build/eie-3-tiny: ")
    main(["--preset", "tiny", "--set", "queue_depth=3", "--set", "queue_spare=true", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert (facts["config"]["queue_depth"], facts["config"]["queue_spare"]) == (3, True)
    assert (tmp_path / facts["folder"] / "rtl" / "eie_array.v").exists()


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pes", "0"], "pes = 0, must be an integer from 1 to 256"),
        (["--pes", "257"], "pes = 257"),
        (["--set", "clusters=8"], "clusters = 8, must be a power of two that divides pes = 4"),
        (["--pes", "many"], "--pes many: the value must be a whole number"),
        (["--preset", "huge"], "preset 'huge' does not exist; there are default, isca16, tiny"),
        (["--set", "colour=3"], "no field 'colour'"),
        (["--set", "rows"], "--set rows: must be FIELD=VALUE"),
        (["--set", "rows=few"], "--set rows=few: the value must be a whole number"),
        (["--set", "queue_spare=7"], "queue_spare = 7, must be true or false"),
        (["--set", "pes=3", "--pes", "4"], "--pes 4 contradicts --set pes=3"),
        (["--out", "/dev/null/out"], "cannot build into /dev/null/out: Not a directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message):
    command = [sys.executable, "-m", "hw.build", "--preset", "tiny", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


# With the tools -------------------------------------------------------------------------------

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
