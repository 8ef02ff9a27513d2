"""Say which tools are there, and how to get the others: ``python -m sim.doctor [--json]``.

The exit code is 0 if ``make demo`` and ``make test`` can run, and 2 if something they need is
missing.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from sim.tools import OLDEST_PYTHON, TOOLS, Found, Tool, find, python_version
from spec.errors import UserError, cli


def diagnose() -> dict[str, Any]:
    """Look for every tool.

    Returns
    -------
    dict
        ``python`` (version), ``tools`` (a list of objects with ``name``, ``purpose``, ``needed``,
        ``version`` and ``path``, the last two ``null`` if it is missing, and ``advice``), and
        ``missing`` (names of those that ``make demo`` and ``make test`` need).
    """
    rows = [_row(tool, find(tool)) for tool in TOOLS]
    missing = [row["name"] for row in rows if row["needed"] and row["version"] is None]
    return {"python": python_version(), "tools": rows, "missing": missing}


def _row(tool: Tool, found: Found | None) -> dict[str, Any]:
    return {
        "name": tool.name,
        "purpose": tool.purpose,
        "needed": tool.needed,
        "version": found.version if found else None,
        "path": found.path if found else None,
        "advice": tool.advice,
    }


def _print(report: dict[str, Any]) -> None:
    oldest = ".".join(str(part) for part in OLDEST_PYTHON)
    print(f"{'python':16} {report['python']:22} {oldest} or later")
    for row in report["tools"]:
        state = row["version"] or ("MISSING" if row["needed"] else "not found")
        print(f"{row['name']:16} {state:22} {row['purpose']}")
        if row["version"] is None:
            print(f"{'':16} get it: {row['advice']}")
    if not report["missing"]:
        print("\n`make demo` and `make test` can run.")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, diagnose, print."""
    parser = argparse.ArgumentParser(prog="python -m sim.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    options = parser.parse_args(argv)
    report = diagnose()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)
    if report["missing"]:
        names = ", ".join(report["missing"])
        raise UserError(f"`make demo` and `make test` need what is missing: {names}")
    return 0


if __name__ == "__main__":
    cli(main)
