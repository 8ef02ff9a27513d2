"""``python -m hw.build``: what the folder holds, that it is whole or absent, what is refused."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hw.build import build, build_design, main
from hw.designs import default_name, shell_design, unit_design
from hw.manifest import skipstone_version
from hw.nm.mac import mac_latency
from sim.tools import verilator_environment
from spec.config import Config
from spec.eie.config import EieConfig, preset
from spec.errors import UserError
from spec.nm import config as nm
from spec.nm.config import NmConfig
from spec.registers.files import register_files
from spec.registers.table import ADDRESS_BITS, registers
from tests.tiers import ROOT

TINY = preset("tiny", pes=2)
NM_TINY = nm.preset("tiny")


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
@pytest.mark.parametrize(
    ("config", "array", "mac"),
    [
        (nm.preset("default"), "nm-16x8", "nm-mac"),
        (nm.preset("ecp5"), "nm-8x8-ecp5", "nm-mac-ecp5"),
        (NM_TINY, "nm-4x2-tiny", "nm-mac-tiny"),
        (nm.preset("default", rows=4), "nm-4x8", "nm-mac-{digest}"),
        (nm.preset("tiny", m=8), "nm-4x2-{digest}", "nm-mac-{digest}"),
    ],
)
def test_a_folder_is_named_after_engine_and_unit(config, array, mac):
    assert default_name(config) == array.format(digest=config.digest)
    assert default_name(config, "mac") == mac.format(digest=config.digest)


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
@pytest.mark.parametrize("unit", ["array", "mac"])
def test_the_manifest_says_which_engine_and_which_unit(tmp_path, unit):
    facts = json.loads((build(NM_TINY, tmp_path / "out", unit) / "manifest.json").read_text())
    assert (facts["engine"], facts["unit"], facts["top"]) == ("nm", unit, f"nm_{unit}")
    assert NmConfig.from_json(facts["config"]) == NM_TINY
    assert facts["digest"] == NM_TINY.digest
    assert facts["latencies"]["nm_mac"] == mac_latency(NM_TINY)
    widths = {name: port["width"] for name, port in facts["ports"].items()}
    if unit == "array":
        assert (widths["i__payload"], widths["o__payload"]) == (64, 16)
    else:
        assert (widths["windows"], widths["places"], widths["o"]) == (64, 4, 32)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("config", "unit", "engine", "name", "title"),
    [
        (TINY, "array", "eie", "eie-2-tiny", "EIE array"),
        (NM_TINY, "array", "nm", "nm-4x2-tiny", "N:M array"),
        (NM_TINY, "mac", "nm", "nm-mac-tiny", "N:M MAC unit"),
    ],
)
def test_the_core_file_lists_all_verilog(tmp_path, config, unit, engine, name, title):
    folder = build(config, tmp_path / "out", unit)
    core = (folder / f"{name}.core").read_text()
    assert core.startswith(f"CAPI=2:\nname: skipstone:{engine}:{name}:")
    assert f"description: Skipstone {title}, configuration {config.digest}\n" in core
    assert f"    toplevel: {engine}_{unit}\n" in core
    listed = [line.strip("- ") for line in core.splitlines() if line.endswith(".v")]
    assert listed == [f"rtl/{path.name}" for path in sorted(folder.glob("rtl/*.v"))]


@pytest.mark.unit
@pytest.mark.parametrize(
    "options",
    [
        "--engine eie --preset tiny",
        "--engine nm --preset tiny",
        "--engine nm --preset tiny --unit mac",
        "--engine both --eie-preset tiny --nm-preset tiny --shell axi",
    ],
)
def test_it_is_the_same_in_every_process(tmp_path, options):
    folders = [tmp_path / seed for seed in ("0", "1")]
    for folder in folders:
        words = f"-m hw.build {options} --out {folder}".split()
        command = [sys.executable, *words]
        environment = {"PYTHONHASHSEED": folder.name, "PATH": ""}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert contents(folders[0]) == contents(folders[1])
    assert not any(str(ROOT).encode() in data for data in contents(folders[0]).values())


# Shells ---------------------------------------------------------------------------------------


SHELLS = {
    "eie": ([TINY], "axi-eie-2-tiny"),
    "nm": ([NM_TINY], "axi-nm-4x2-tiny"),
    "both": ([NM_TINY, TINY], "axi-eie-2-tiny-nm-4x2-tiny"),
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[Config], str, Path]:
    """Configurations, a name, and the folder of a build."""
    configs, name = SHELLS[request.param]
    return configs, name, build_design(shell_design(configs, "axi"), tmp_path / "out")


@pytest.mark.unit
def test_the_manifest_of_a_shell_has_all_its_engines(shell):
    configs, name, folder = shell
    facts = json.loads((folder / "manifest.json").read_text())
    assert (facts["name"], facts["shell"], facts["top"]) == (name, "axi", "skipstone_axi")
    engines = {"eie": EieConfig, "nm": NmConfig}
    assert {engines[one].from_json(found["config"]) for one, found in facts["engines"].items()} == {
        *configs
    }
    assert {found["digest"] for found in facts["engines"].values()} == {
        config.digest for config in configs
    }
    assert facts["ports"]["s_axil_awaddr"] == {"direction": "input", "width": ADDRESS_BITS}
    assert facts["ports"]["m_axis_tdata"] == {"direction": "output", "width": 32}
    files = contents(folder)
    del files["manifest.json"]
    assert facts["files"] == {
        file: hashlib.sha256(data).hexdigest() for file, data in files.items()
    }


@pytest.mark.unit
def test_a_shell_has_its_registers_beside_it(shell):
    configs, _, folder = shell
    found = json.loads((folder / "registers" / "skipstone.json").read_text())
    table = registers(configs)
    assert [(one["name"], one["address"]) for one in found] == [
        (one.name, one.address) for one in table
    ]
    for file, text in register_files(table, skipstone_version()).items():
        assert (folder / "registers" / file).read_text() == text


@pytest.mark.unit
def test_a_shell_with_a_uart(tmp_path):
    """Two wires, its rates in the manifest, the same registers, nothing for Vivado."""
    design = shell_design([TINY], "uart", clock=25e6, baud=3e6)
    folder = build_design(design, tmp_path / "out")
    facts = json.loads((folder / "manifest.json").read_text())
    assert (facts["name"], facts["top"]) == ("uart-eie-2-tiny", "skipstone_uart")
    assert (facts["shell"], facts["clock"], facts["baud"]) == ("uart", 25e6, 3e6)
    assert {*facts["ports"]} == {"clk", "rst", "rx", "tx", "busy", "error"}
    axi = build_design(shell_design([TINY], "axi"), tmp_path / "axi")
    assert contents(folder / "registers") == contents(axi / "registers")
    assert not (folder / "vivado").exists()


@pytest.mark.unit
def test_vivado_is_told_of_every_port_and_of_no_other(shell):
    _, _, folder = shell
    ports = json.loads((folder / "manifest.json").read_text())["ports"]
    script = (folder / "vivado" / "package_ip.tcl").read_text()
    told = re.findall(r"^infer \$core (\w+) \S+ (?:\{([^}]*)\}|(\w+))$", script, re.MULTILINE)
    named = {bus: (several or one).split() for bus, several, one in told}
    assert sorted(port for group in named.values() for port in group) == sorted(ports)
    design = (folder / "vivado" / "zynq.tcl").read_text()
    assert {*re.findall(r"skipstone/(\w+)", design)} == {*named}
    assert "skipstone:shell:skipstone_axi:1.0" in design


LINTED = {
    "array": unit_design(TINY),
    "N:M array": unit_design(NM_TINY),
    "N:M MAC unit": unit_design(NM_TINY, "mac"),
    "AXI": shell_design([TINY, NM_TINY], "axi"),
    "UART": shell_design([TINY, NM_TINY], "uart", clock=25e6, baud=3e6),
}


@pytest.mark.verilator
@pytest.mark.parametrize("design", LINTED.values(), ids=LINTED)
def test_fusesoc_lints_it(tmp_path, design):
    """With Verilator, every warning an error."""
    folder = build_design(design, tmp_path / "out")
    core = f"skipstone:{design.library}:{design.name}"
    environment = verilator_environment()
    places = [str(Path(sys.executable).parent), environment["PATH"]]
    done = subprocess.run(
        ["fusesoc", "--cores-root", ".", "run", "--target", "lint", core],
        cwd=folder,
        env=environment | {"PATH": os.pathsep.join(places), "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not re.search(r"%(Warning|Error)", done.stdout + done.stderr)


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
def test_the_command_takes_an_engine_and_a_unit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["--engine", "nm", "--rows", "2", "--cols", "1", "--preset", "tiny"])
    assert capsys.readouterr().out.startswith("build/nm-2x1-tiny: ")
    main(["--engine", "nm", "--unit", "mac", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert (facts["folder"], facts["top"]) == ("build/nm-mac", "nm_mac")
    assert (tmp_path / "build" / "nm-mac" / "rtl" / "nm_mac.v").exists()


@pytest.mark.unit
def test_the_command_takes_a_shell_around_both(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    both = ["--engine", "both", "--eie-preset", "tiny", "--nm-preset", "tiny"]
    main(["--shell", "axi", *both, "--pes", "2", "--set", "nm.rows=2", "--set", "eie.rows=16"])
    eie, nm_config = preset("tiny", pes=2, rows=16), nm.preset("tiny", rows=2)
    line = capsys.readouterr().out
    assert line.startswith(f"build/axi-eie-2-{eie.digest}-nm-2x2-tiny: ")
    assert line.endswith(f", configuration {eie.digest} and {nm_config.digest}\n")
    main(["--shell", "axi", "--preset", "tiny"])
    assert capsys.readouterr().out.startswith("build/axi-eie-4-tiny: ")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pes", "0"], "pes = 0, must be an integer from 1 to 256"),
        (["--pes", "257"], "pes = 257"),
        (["--set", "clusters=8"], "clusters = 8, must be a power of two that divides pes = 4"),
        (["--pes", "many"], "--pes many: the value must be a whole number"),
        (["--preset", "huge"], "preset 'huge' does not exist; there are default, isca16"),
        (["--set", "colour=3"], "no field 'colour'"),
        (["--set", "rows"], "--set rows: must be FIELD=VALUE"),
        (["--set", "rows=few"], "--set rows=few: the value must be a whole number"),
        (["--set", "queue_spare=7"], "queue_spare = 7, must be true or false"),
        (["--set", "pes=3", "--pes", "4"], "--pes 4 contradicts --set pes=3"),
        (["--out", "/dev/null/out"], "cannot build into /dev/null/out: Not a directory"),
        (["--engine", "tpu"], "engine 'tpu' does not exist; there are eie, nm"),
        (["--rows", "4"], "--rows is an option of the engine nm; eie has --pes"),
        (
            ["--engine", "nm", "--pes", "4"],
            "--pes is an option of the engine eie; nm has --rows, --cols",
        ),
        (["--engine", "nm", "--rows", "6"], "rows = 6, must be a power of two"),
        (["--engine", "nm", "--preset", "isca16"], "there are default, ecp5, fpga128, tiny"),
        (["--engine", "nm", "--set", "pes=4"], "N:M configuration has no field 'pes'"),
        (
            ["--engine", "nm", "--unit", "pe"],
            "unit 'pe' of the engine nm cannot be emitted by itself; there are array, mac",
        ),
        (["--unit", "mac"], "unit 'mac' of the engine eie cannot be emitted by itself"),
        (["--shell", "pci"], "shell 'pci' does not exist; there are axi, uart"),
        (["--shell", "uart"], "--shell uart needs --clock, the Hz of the clock"),
        (["--shell", "uart", "--clock", "12e6"], "needs --baud, the bits in a second on the line"),
        (["--shell", "axi", "--baud", "9600"], "--baud is for --shell uart, not for axi"),
        (["--baud", "9600"], "--baud is for a shell: give --shell, too"),
        (
            ["--shell", "uart", "--clock", "12e6", "--baud", "4e6"],
            "a UART of 4e+06 baud was asked for, with a clock of 1.2e+07 Hz allowed are up to",
        ),
        (["--shell", "axi", "--unit", "mac"], "--unit mac: a shell is around whole arrays"),
        (
            ["--engine", "both"],
            "--engine both needs a shell around the arrays, such as --shell axi",
        ),
        (
            ["--engine", "both", "--shell", "axi"],
            "--preset tiny: of two engines; use --eie-preset or --nm-preset",
        ),
        (["--nm-preset", "tiny"], "--nm-preset is for --engine both; use --preset"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message):
    command = [sys.executable, "-m", "hw.build", "--preset", "tiny", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
