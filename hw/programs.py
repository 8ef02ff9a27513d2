"""Programs that are not ours: where they are, and which version."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def search_path() -> str:
    """PATH with this interpreter's programs first: a venv need not be activated to be used."""
    own = str(Path(sys.executable).parent)
    return os.pathsep.join([own, os.environ.get("PATH", os.defpath)])


def find_program(names: Iterable[str]) -> str | None:
    """Path of the first of these programs that is there."""
    paths = (shutil.which(name, path=search_path()) for name in names)
    return next(filter(None, paths), None)


def version_of(path: str) -> str:
    """The first thing that looks like a version in what ``--version`` prints."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    number = re.search(r"\d+(\.\d+)+\S*", answer.stdout + answer.stderr)
    return number.group().rstrip(").,") if number else "unknown"
