"""Verilator's lint and native yosys (``pyosys``), for the tests of emission."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from hw.emit import emit
from hw.platform import flatten
from sim.tools import verilator_environment

HARDWARE = object()
"""A platform: without one, Amaranth elaborates for its simulator (:class:`hw.memory.Ram`)."""

# In a process of its own, because yosys ends the process with its errors.
_YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    libyosys.run_pass(line, design)
"""


def yosys(*passes: str) -> tuple[int, str]:
    """Run ``passes``; exit code and all that was printed."""
    command = [sys.executable, "-c", _YOSYS, *passes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def lint(folder: Path, top: str, *options: str) -> str:
    """What ``verilator --lint-only -Wall`` has to say about the Verilog in ``folder``."""
    environment = verilator_environment()
    program = Path(environment["VERILATOR_ROOT"], "bin", "verilator")
    command = [program, "--lint-only", "-Wall", "--quiet-stats", *options, "--top-module", top]
    done = subprocess.run(
        [*command, *sorted(folder.glob("*.v"))],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0 or done.stderr
    return done.stderr


def write_files(files: dict[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def difference(
    make: Callable[[], wiring.Component], folder: Path, steps: int, reset: bool = True
) -> str:
    """Prove that emitted Verilog does what Amaranth's own RTLIL does, ``steps`` cycles from zero,
    with a ``reset`` at any time or none.

    ``make()`` builds the component. Returns what yosys prints if it finds a difference.
    """
    gold = folder / "gold.il"
    component = make()
    ports = flatten(component)
    text = rtlil.convert(component, "gold", platform=HARDWARE, ports=ports, emit_src=False)
    gold.write_text(text)
    write_files(emit(make(), "gate"), folder)
    prepare = ("proc", "check -assert", "flatten", "memory_map", "opt_clean")
    code, log = yosys(
        f"read_rtlil {gold}",
        "hierarchy -check -top gold",
        *prepare,
        "design -stash gold",
        f"read_verilog {folder}/*.v",
        "hierarchy -check -top gate",
        *prepare,
        "design -copy-from gold -as gold gold",
        "miter -equiv -make_outputs -flatten gold gate both",
        "hierarchy -top both",
        f"sat -verify -prove trigger 0 -seq {steps} -set-init-zero -show-ports "
        f"{'' if reset else '-set in_rst 0'} both",
    )
    return log if code else ""
