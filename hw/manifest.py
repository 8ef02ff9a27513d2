"""The manifest of a build: what was built from what, and the mark of our own folders."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from hw.emit import Emission

FILE = "manifest.json"
GENERATOR = "skipstone hw.build"
FORMAT = 1


def manifest(
    name: str,
    top: str,
    facts: Mapping[str, Any],
    emission: Emission,
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Manifest of a build of ``files`` (texts by path). It says nothing of time or place.

    Its keys: ``generator``, ``format``, ``name``; then ``facts``: of an array or a unit ``engine``,
    ``unit``, ``config`` (every field) and its ``digest``, of a shell ``shell`` (its link), the
    settings of that, and ``engines`` (``config`` and ``digest`` of each); ``top``, ``ports``
    (``direction`` and ``width`` of each), ``latencies`` (cycles, of the placed modules that declare
    one), ``tools`` (versions), ``files`` (SHA-256 of each).
    """
    return {
        "generator": GENERATOR,
        "format": FORMAT,
        "name": name,
        **facts,
        "top": top,
        "ports": {port: asdict(one) for port, one in emission.ports.items()},
        "latencies": emission.latencies,
        "tools": tool_versions(),
        "files": {
            path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(files.items())
        },
    }


def tool_versions() -> dict[str, str]:
    """Versions of all that has a say in the emitted text."""
    return {
        "skipstone": skipstone_version(),
        "amaranth": metadata.version("amaranth"),
        "python": platform.python_version(),
    }


def skipstone_version() -> str:
    try:
        return metadata.version("skipstone")
    except metadata.PackageNotFoundError:
        return "0"  # Run from its sources, not installed.


def is_ours(folder: Path) -> bool:
    """Whether ``folder`` was built by us, as its manifest says."""
    try:
        return json.loads((folder / FILE).read_bytes()).get("generator") == GENERATOR
    except (OSError, ValueError, AttributeError):
        return False
