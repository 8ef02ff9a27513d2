"""The example program in C: compiled strictly, and run on a simulated shell, whose registers and
streams it reaches through a pipe."""

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.program import Program
from spec.registers.files import register_files
from spec.registers.table import registers
from sw.host.compare import run_on
from sw.host.eie.golden import GoldenDevice
from sw.host.shell.link import Link
from tests.hw.shell.link import PysimLink
from tests.programs import random_acts, random_program
from tests.tiers import ROOT

CONFIG = preset("tiny", pes=2)
OTHER = preset("tiny", pes=2, counter_bits=40)
EXAMPLE = ROOT / "docs" / "examples" / "c"
EMULATED = Path(__file__).parent / "emulated"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")


@pytest.fixture
def messages() -> ModuleType:
    """The script beside the program."""
    spec = importlib.util.spec_from_file_location("messages", EXAMPLE / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def program(rng: np.random.Generator) -> Program:
    return random_program(rng, CONFIG, [9, 12, 7], density=0.4, orders=True)


def compile_example(folder: Path, board: Path, *options: str) -> Path:
    """The program; ``messages.h`` lies in the folder."""
    for name, text in register_files(registers([CONFIG]), "0").items():
        (folder / name).write_text(text)
    command = ["cc", *STRICT, *options, f"-I{board}", f"-I{folder}", str(EXAMPLE / "run.c")]
    subprocess.run([*command, "-o", str(folder / "run")], check=True)
    return folder / "run"


def run_example(folder: Path, link: Link) -> tuple[int, list[str]]:
    """Exit code, and the lines that it prints."""
    run = compile_example(folder, EMULATED, "-D_POSIX_C_SOURCE=200809L")
    asked, asks = os.pipe()
    answered, answers = os.pipe()
    environment = {"BOARD_TO": str(asks), "BOARD_FROM": str(answered)}
    process = subprocess.Popen(
        [run], env=environment, pass_fds=(asks, answered), stdout=subprocess.PIPE, text=True
    )
    os.close(asks)
    os.close(answered)
    with os.fdopen(asked) as requests, os.fdopen(answers, "w") as replies:
        for request in requests:
            print(*answer(link, request), file=replies, flush=True)
    printed, _ = process.communicate()
    return process.returncode, printed.splitlines()


def answer(link: Link, request: str) -> list[int]:
    """Do what a line of the program asks for."""
    what, *words = request.split()
    numbers = [int(word) for word in words]
    if what == "read":
        return [link.read32(*numbers)]
    if what == "write":
        link.write32(*numbers)
        return [0]
    if what == "send":
        link.send(np.array(numbers, np.uint32))
        return [0]
    assert what == "receive"
    return [int(word) for word in link.receive(*numbers)]


@pytest.mark.flow
def test_it_runs_a_network_as_the_golden_model_does(tmp_path, rng, program, messages):
    batch = random_acts(rng, CONFIG, 1, program.inputs, density=0.7)
    golden = run_on(GoldenDevice(CONFIG), program, batch)
    (tmp_path / "messages.h").write_text(messages.header(program, batch[0]))
    code, lines = run_example(tmp_path, PysimLink([CONFIG]))
    counts = golden.counts
    cycles = sum(int(one.of("cycles").sum()) for one in counts)
    assert code == 0, lines
    passes = [f"pass {one.of('cycles')[0]}, last PE busy {one.of('busy')[0, -1]}" for one in counts]
    assert len(passes) > 1
    assert lines[: 1 + len(passes)] == [f"cycles {cycles}", *passes]
    outputs = {}
    for line in lines[1 + len(passes) :]:
        word, place, value = line.split()
        assert word == "output"
        outputs[int(place)] = int(value)
    assert outputs == dict(enumerate(golden.outputs[0].tolist()))


@pytest.mark.flow
def test_it_refuses_another_configuration(tmp_path, rng, program, messages):
    vector = np.zeros(program.inputs, np.int64)
    (tmp_path / "messages.h").write_text(messages.header(program, vector))
    code, lines = run_example(tmp_path, PysimLink([OTHER]))
    assert (code, lines) == (1, ["failed: the array has another configuration"])


@pytest.mark.unit
def test_it_compiles_for_a_zynq(tmp_path, program, messages):
    vector = np.zeros(program.inputs, np.int64)
    (tmp_path / "messages.h").write_text(messages.header(program, vector))
    assert compile_example(tmp_path, EXAMPLE / "zynq").is_file()


@pytest.mark.unit
def test_messages_of_a_network_that_takes_several_runs_are_refused(rng, messages):
    program = random_program(rng, CONFIG, [9, 12, 7], segments=True)
    with pytest.raises(SystemExit, match="several runs"):
        messages.header(program, np.zeros(9, np.int64))
