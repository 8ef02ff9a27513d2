"""Run the tests tier by tier: ``python -m tests.tiers [TIER ...] [-- PYTEST OPTIONS]``.

Tiers stand in the order of what finds the grossest bug soonest; the first tier with a failure is
the last one that runs. Each test carries exactly one of these names as its marker.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

TIERS = {
    "unit": "seconds, no tools outside Python",
    "flow": "golden model against Amaranth's simulator, whole flows, the pages of docs/",
    "verilator": "emitted Verilog in Verilator, native and under cocotb",
    "formal": "proofs",
    "synth": "yosys and nextpnr",
    "board": "a board, virtual unless asked otherwise",
}

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "tests"


@dataclass(frozen=True)
class Outcome:
    """What became of one tier."""

    tier: str
    code: int
    seconds: float
    passed: int
    failed: int
    skipped: int

    @property
    def ok(self) -> bool:
        """Whether the next tier may run. A tier without tests, if it is alone, is no success."""
        return self.code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tiers asked for, all by default; the exit code is 0 if every test passed."""
    own, rest = _split(sys.argv[1:] if argv is None else argv)
    options = _parse(own)
    outcomes: list[Outcome] = []
    for tier in options.tiers or TIERS:
        outcomes.append(_run(tier, options, rest))
        if not outcomes[-1].ok:
            break
    _summarize(outcomes)
    return 0 if all(one.ok for one in outcomes) and any(one.passed for one in outcomes) else 1


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what stands behind ``--`` and is pytest's."""
    cut = list(arguments).index("--") if "--" in arguments else len(arguments)
    return list(arguments[:cut]), list(arguments[cut + 1 :])


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.tiers", description=__doc__)
    parser.add_argument("tiers", nargs="*", metavar="TIER", help="any of: " + " ".join(TIERS))
    parser.add_argument("--jobs", default="auto", help="processes (default: one for each core)")
    parser.add_argument("--seed", help="seed of random tests, a number or `random`")
    options = parser.parse_args(arguments)
    unknown = [tier for tier in options.tiers if tier not in TIERS]
    if unknown:
        parser.error(f"no such tier: {', '.join(unknown)}; there are {', '.join(TIERS)}")
    return options


def _run(tier: str, options: argparse.Namespace, rest: Sequence[str]) -> Outcome:
    """One tier in a pytest of its own, which prints as it goes."""
    report = REPORTS / f"{tier}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-m", tier, f"--junitxml={report}"]
    command += ["-n", options.jobs, "--dist", "worksteal"]
    if options.seed is not None:
        command += ["--seed", options.seed]
    print(f"tier {tier}: {TIERS[tier]}", flush=True)
    # Processes already share the cores: threads of the numeric libraries would fight over them.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    done = subprocess.run([*command, *rest], cwd=ROOT, env=environment)
    return Outcome(tier, done.returncode, time.monotonic() - start, *_counts(report))


def _counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped tests in a JUnit report; an error counts as a failure."""
    if not report.is_file():
        return 0, 0, 0
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    total = failed = skipped = 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return total - failed - skipped, failed, skipped


def _summarize(outcomes: Sequence[Outcome]) -> None:
    print("\ntier        seconds  passed  failed  skipped")
    for one in outcomes:
        note = "" if one.ok else "   stopped here"
        print(
            f"{one.tier:10} {one.seconds:8.1f} {one.passed:7} {one.failed:7} {one.skipped:8}{note}"
        )
    passed, failed, skipped = (
        sum(getattr(one, name) for one in outcomes) for name in ("passed", "failed", "skipped")
    )
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    sys.exit(main())
