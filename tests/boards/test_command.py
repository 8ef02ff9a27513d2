"""``python -m boards.<name>``: one clear sentence for bad input, and nothing half-written."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from boards import arty, build, flow, icebreaker, orangecrab, room, ulx3s
from boards.command import main
from boards.top import SHELL, Top, shell_of
from hw.manifest import FILE
from spec import image
from spec.eie.config import preset
from spec.errors import Failure, UserError
from tests.programs import random_case, random_program
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

BOARDS = [arty.BOARD, icebreaker.BOARD, orangecrab.BOARD, ulx3s.BOARD]
TINY = preset("tiny")


@pytest.fixture
def file(rng, tmp_path):
    image.write(random_case(rng, TINY, images=1, largest=8).program, tmp_path / "net.skip")
    return str(tmp_path / "net.skip")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "{file}"], "one of --port NAME, --virtual and --replay FILE; none was given"),
        (["run", "{file}", "--virtual", "--port", "x"], "--port and --virtual was given"),
        (["run", "missing.skip", "--virtual"], "missing.skip"),
        (["run", "{file}", "--virtual", "--limit", "0"], "0 random images leave nothing to run"),
        (["run", "{file}", "--port", "/dev/ttyNOWHERE"], "there is no port /dev/ttyNOWHERE"),
        (["run", "{file}", "--replay", "missing.jsonl"], "cannot read the session missing.jsonl"),
        (
            ["run", "{file}", "--virtual", "--variant", "99F"],
            "no variant '99F'; there are 85F",
        ),
        (["build", "--preset", "nothing"], "nothing"),
        (["build", "--engine", "tpu"], "engine 'tpu' does not exist"),
        (["build", "{file}", "--clock", "61.3"], "61.3 MHz cannot be made from 25 MHz"),
        (["build", "{file}", "--baud", "99000000"], "a UART of 9.9e"),
        (["build", "--preset", "default"], "block RAMs, LFE5U-85F has 208"),
        (["build", "{file}", "--clock", "0"], "a clock of 0 MHz: it must be more than 0"),
        (["build", "{file}", "--clock", "nan"], "it must be more than 0"),
        (["build", "{file}", "--preset", "tiny"], "build for an image, or for a preset, not for"),
        (["build", "{file}", "--out", "{file}"], "it is no folder"),
        (["run", "{file}", "--port", "x", "--baud", "0"], "a rate of 0 baud"),
        (["run", "{file}", "--virtual", "--seed", "-1"], "a seed of -1"),
        (["flash", "--out", "{folder}"], "holds no bitstream: build one first"),
    ],
)
def test_bad_input(file, tmp_path, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [one.replace("{file}", file).replace("{folder}", str(tmp_path)) for one in arguments]
    with pytest.raises(UserError, match=message):
        main(ulx3s.BOARD, given)
    assert not (tmp_path / "build" / "boards").exists()


def test_from_the_command_line_it_is_one_line(file):
    command = [sys.executable, "-m", "boards.ulx3s", "run", file, "--port", "/dev/ttyNOWHERE"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no port /dev/ttyNOWHERE")
    assert len(done.stderr.splitlines()) == 1


def test_a_port_where_nobody_answers(file):
    other, port = os.openpty()
    try:
        with pytest.raises(Failure, match="no Skipstone answers on /dev/pts/"):
            main(ulx3s.BOARD, ["run", file, "--port", os.ttyname(port)])
    finally:
        os.close(other)
        os.close(port)


def test_a_missing_tool_is_named(monkeypatch):
    monkeypatch.setattr(flow, "find_program", lambda names: None)
    with pytest.raises(UserError, match=r"nextpnr-ecp5 is not installed \(place and route\): pip"):
        flow.find_tools([["nextpnr-ecp5"]])
    assert flow.find_tools([["vivado"]], optional=build.VENDORS) is None


def test_a_project_without_a_bitstream_is_not_loaded(tmp_path):
    (tmp_path / FILE).write_text(json.dumps({"board": "arty"}))
    with pytest.raises(UserError, match="holds a project, but no bitstream yet"):
        main(arty.BOARD, ["flash", "--out", str(tmp_path)])


def test_only_what_was_built_for_a_board_is_loaded_into_it(tmp_path):
    facts = {"board": "ulx3s", "variant": "25F", "bitstream": "top.bit", "sha256": "0" * 64}
    (tmp_path / FILE).write_text(json.dumps(facts))
    with pytest.raises(UserError, match="a bitstream for ulx3s 25F, not for ulx3s 85F"):
        main(ulx3s.BOARD, ["flash", "--out", str(tmp_path)])
    with pytest.raises(UserError, match="top.bit is not what was built"):
        main(ulx3s.BOARD, ["flash", "--out", str(tmp_path), "--variant", "25F"])


def test_a_folder_of_another_build_is_left_alone(file, tmp_path):
    (tmp_path / FILE).write_text(json.dumps({"generator": "skipstone hw.build"}))
    with pytest.raises(UserError, match="another build is there"):
        main(ulx3s.BOARD, ["build", file, "--out", str(tmp_path)])
    assert (tmp_path / FILE).exists()


def test_a_board_without_models_has_no_virtual_twin(file):
    with pytest.raises(UserError, match="there is no virtual Arty A7"):
        main(arty.BOARD, ["run", file, "--virtual"])


def test_an_up5k_takes_arrays_that_its_memories_can_serve():
    with pytest.raises(UserError, match="have one port: it takes EIE arrays with double_buffer"):
        shell_of(icebreaker.BOARD, [TINY], 24e6, 3_000_000)


def test_single_port_rams_run_out():
    config, part = preset("up5k", pes=3), icebreaker.BOARD.variants["up5k"].part
    shell = shell_of(icebreaker.BOARD, [config], 24e6, 3_000_000)
    with pytest.raises(UserError, match="takes 6 single-port RAMs, iCE40UP5K has 4, 2 too few"):
        room.check_before(replace(part, block_rams=99), shell, SHELL, [config])


@pytest.mark.parametrize(
    "board", [ulx3s.BOARD, orangecrab.BOARD, icebreaker.BOARD], ids=lambda board: board.name
)
def test_the_memories_of_its_preset_fit_every_variant(board):
    for variant in board.variants.values():
        config = preset(variant.preset)
        shell = shell_of(board, [config], board.clock_hz, board.baud)
        room.check_before(variant.part, shell, SHELL, [config])


@pytest.mark.parametrize("name", ["fpga6", "up5k"])
def test_all_of_lenet_300_100_fits(rng, name):
    """Its three layers, 8 % of the weights kept, are there at once and run without the host."""
    program = random_program(rng, preset(name), [784, 300, 100, 10], density=0.08)
    assert [len(segment.runs) for segment in program.segments] == [1]
    assert len(program.segments[0].runs[0].passes) == 3


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_variant_has_a_project(board, tmp_path):
    """Pins, lamps, oscillator and PLL are there, and the scripts of the tools."""
    config = preset("up5k") if board is icebreaker.BOARD else TINY
    shell = shell_of(board, [config], board.clock_hz, board.baud)
    for name, variant in board.variants.items():
        platform, folder = variant.platform(), tmp_path / name
        reference = platform.default_clk_constraint.frequency
        top = Top(board, shell, board.pll.settings(reference, board.clock_hz))
        commands = flow.prepare(platform, top, folder, clock_hz=board.clock_hz, seed=7)
        assert {command[0] for command in commands} <= set(flow.STEPS)
        assert (folder / "skipstone_uart.v").exists()
        # What is for yosys stands in its script, if there is one, and nowhere else.
        told = [file.suffix for file in folder.glob("*.*") if flow.KEEP in file.read_text()]
        assert told == [".ys"] * (commands[0][0] == "yosys")
        for command in commands:
            if command[0].startswith("nextpnr"):
                assert command[command.index("--seed") + 1] == "7"


def test_the_table_of_a_build():
    shown = build.table({"fmax_mhz": 81.24, "used": {"B": [3, 8]}, "clock_mhz": 60.0})
    assert "clock: 60 MHz; the design could do 81.24 MHz" in shown
    assert "B                           3        8     38%" in shown
