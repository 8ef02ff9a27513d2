"""A virtual board: the board's own design, pins included, in Verilator behind a pseudo-terminal."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards import room
from boards.board import Board
from boards.flow import NAME
from boards.top import SHELL, Top, shell_of
from hw.measure.tools import Yosys, find_yosys
from hw.shell.uart import LEAST_CYCLES, PHASE_BITS, phase_step
from sim.eie.design import EIE
from sim.nm.design import NM
from sim.recipe import HARNESSES, Recipe
from sim.verilate import BUILD
from sim.verilate import build as verilate
from sim.waves import wave_file
from spec.config import Config
from spec.errors import Failure, UserError

MODELS = Path(__file__).parent / "models"

GRACE_SECONDS = 10.0

SLOWEST_BAUD = 9_600
"""No simulation is slower."""


@dataclass(frozen=True)
class Port:
    """Where a virtual board listens.

    Attributes
    ----------
    path : str
        Of its pseudo-terminal.
    pid : int
        Of its process.
    baud : int
        A rate that the simulation reaches: answers are waited for by it.
    """

    path: str
    baud: int
    pid: int

    def power_up(self) -> None:
        """Switch the board off and on again."""
        os.kill(self.pid, signal.SIGUSR1)


@contextmanager
def start(
    board: Board,
    variant: str,
    configs: Sequence[Config],
    *,
    waves: bool | Path = False,
    build_dir: Path = BUILD,
) -> Iterator[Port]:
    """Start a board with these engines; it ends with the block.

    Raises
    ------
    UserError
        The design has no room on the board, or a tool is missing.
    """
    if not board.is_simulated:
        raise UserError(f"there is no virtual {board.title}: its primitives have no models")
    # The highest rate that the clock allows: simulated time is dear.
    baud = int(board.clock_hz // LEAST_CYCLES)
    shell = shell_of(board, configs, board.clock_hz, baud)
    room.check_before(board.variants[variant].part, shell, SHELL, configs)
    program = verilate(_recipe(board, variant, shell, baud, bool(waves)), build_dir)
    command = [str(program)]
    file = wave_file(waves, board.name)
    if file:
        command.append(str(file))
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            path = process.stdout.readline().strip()
            if not path:
                raise Failure(f"the virtual board ended with code {process.wait()}")
            yield Port(path, SLOWEST_BAUD, process.pid)
        finally:
            process.stdin.close()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _recipe(board: Board, variant: str, shell: Mapping[str, str], baud: int, waves: bool) -> Recipe:
    """What the program is built from: the board's design as synthesis gets it, and models of the
    primitives at its pins."""
    platform = board.variants[variant].platform()
    reference = platform.default_clk_constraint.frequency
    settings = board.pll.settings(reference, board.clock_hz)
    plan = platform.prepare(Top(board, shell, settings), NAME, emit_src=False)
    verilog = {f"{NAME}.v": _to_verilog(_text(plan.files[f"{NAME}.il"]))}
    verilog |= {file.name: file.read_text() for file in sorted(MODELS.glob("*.v"))}
    verilog |= shell
    busy = next((number for number, name in board.leds.items() if name == "busy"), None)
    if busy is None:
        raise UserError(f"{board.title} has no LED for busy, which a virtual board goes by")
    inverted = platform.lookup("led", busy).ios[0].invert
    return Recipe(
        top=NAME,
        verilog=verilog,
        sources=[HARNESSES / "uart.cpp"],
        shared=[module for module in (*EIE.shared, *NM.shared) if f"{module}.v" in verilog],
        macros={
            "PIN_CLOCK": _pin(platform.default_clk),
            "PIN_RX": _pin("uart", "rx"),
            "PIN_TX": _pin("uart", "tx"),
            "PIN_BUSY": _pin("led", number=busy),
            "BUSY_INVERTED": int(inverted),
            "PHASE_BITS": PHASE_BITS,
            "STEP": phase_step(board.clock_hz, baud),
        },
        waves=waves,
    )


def _pin(name: str, part: str = "", number: int = 0) -> str:
    """A pin as Verilator's C++ calls it: two underscores are one with its code."""
    path = "__".join([f"{name}_{number}", *filter(None, [part]), "io"])
    return path.replace("__", "___05F")


def _text(file: Any) -> str:
    return file if isinstance(file, str) else file.decode()


def _to_verilog(rtlil: str) -> str:
    """RTLIL as Verilog, by yosys."""
    yosys: Yosys = find_yosys()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(rtlil)
        yosys.passes(["read_rtlil top.il", "proc", "write_verilog -noattr top.v"], folder)
        return (folder / "top.v").read_text()
