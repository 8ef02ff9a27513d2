"""Builds simulation programs from emitted Verilog with Verilator, each kind once.

A program is kept in ``build/verilator/<key>/``, where the key is a digest of everything that
decides it. It is built in a folder beside that one, which is then renamed: what is under its key is
whole.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sim.recipe import COMPILATION, Recipe
from sim.tools import require, verilator_environment
from spec.errors import Failure, UserError

BUILD = Path("build")
PROGRAM = "model"
LOG = "build.log"
TAIL_CHARACTERS = 2000


class BuildError(Failure):
    """Verilator or the compiler refused what was emitted."""


def build(recipe: Recipe, root: Path = BUILD) -> Path:
    """Build the program, unless it is there already; the path of its executable.

    Two processes that want the same program at the same time build it once.

    Raises
    ------
    UserError
        A tool is missing, or ``root`` cannot be written.
    BuildError
        Verilator or the compiler failed.
    """
    for tool in ("verilator", "g++", "make", "perl"):
        require(tool)
    home = Path(root) / "verilator"
    program = home.absolute() / recipe.key / PROGRAM
    if program.exists():
        return program
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home / f"{recipe.key}.lock"):
            if not program.exists():
                _build_aside(recipe, home)
    except OSError as error:
        raise UserError(f"cannot build in {home}: {error.strerror}") from error
    return program


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the system takes back if this process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_aside(recipe: Recipe, home: Path) -> None:
    """Build in a folder of its own, keep what is worth it, and rename."""
    for left in home.glob(f".{recipe.key}-*"):
        # A process that was killed could not tidy up; the lock says that it is gone.
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{recipe.key}-", dir=home)).absolute()
    try:
        folder.chmod(0o755)
        _translate(recipe, folder)
        library = home / f"library-{recipe.library_key}"
        for file in library.glob("*.o"):
            shutil.copyfile(file, folder / "objects" / file.name)
        _compile(folder)
        _keep_library(folder / "objects", library)
        (folder / "objects" / "Vtop").rename(folder / PROGRAM)
        shutil.rmtree(folder / "objects")
        folder.rename(home / recipe.key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep_library(objects: Path, library: Path) -> None:
    """Keep the objects of Verilator's library, half of the work for a small design, for others."""
    if library.exists():
        return
    folder = Path(tempfile.mkdtemp(prefix=f".{library.name}-", dir=library.parent))
    try:
        folder.chmod(0o755)
        for file in objects.glob("verilated*.o"):
            shutil.copyfile(file, folder / file.name)
        # Another process may have been first.
        with contextlib.suppress(OSError):
            folder.rename(library)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _translate(recipe: Recipe, folder: Path) -> None:
    (folder / "control.vlt").write_text(recipe.control_file())
    for name, text in recipe.verilog.items():
        (folder / name).write_text(text)
    _call(
        [
            "verilator",
            *recipe.arguments(),
            "-Mdir",
            "objects",
            "control.vlt",
            *sorted(recipe.verilog),
            *(str(source.absolute()) for source in recipe.sources),
        ],
        folder,
    )


def _compile(folder: Path) -> None:
    jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    settings = [f"{name}={value}" for name, value in COMPILATION.items()]
    make = Path(require("make").path).name
    _call([make, "-j", str(jobs or 1), "-C", "objects", "-f", "Vtop.mk", *settings, "Vtop"], folder)


def _call(command: list[str], folder: Path) -> None:
    """Run a command in ``folder`` with its output in the log there."""
    environment = verilator_environment()
    with (folder / LOG).open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = process.wait()
        except BaseException:
            # With its compilers, which would go on writing into a folder that is being removed.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if code:
        text = (folder / LOG).read_text(errors="replace")
        raise BuildError(f"{command[0]} failed with exit code {code}:\n{text[-TAIL_CHARACTERS:]}")
