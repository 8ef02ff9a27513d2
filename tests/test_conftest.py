"""Tiers are enforced and seeds repeat a run: tests on made-up test files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiers import ROOT

pytestmark = pytest.mark.unit

# Left alone by the outer run: its own options, its plugins, its being a worker.
ISOLATED = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-p", "no:xdist"]


@pytest.fixture
def run_pytest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run pytest on a source with our conftest; return its exit code and output."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(source: str, *options: str) -> tuple[int, str]:
        file = tmp_path / "test_made_up.py"
        file.write_text(f"import pytest\n{source}\n")
        command = [sys.executable, "-m", "pytest", *ISOLATED, f"--rootdir={tmp_path}", *options]
        done = subprocess.run([*command, file], cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def test_test_with_one_tier_runs(run_pytest) -> None:
    code, printed = run_pytest("@pytest.mark.flow\ndef test_a(waves): assert waves is None")
    assert code == pytest.ExitCode.OK, printed


WRONG = """
pytestmark = pytest.mark.unit

@pytest.mark.flow
def test_of_two(): pass

def test_of_one(): pass
"""


def test_wrong_number_of_tiers_is_an_error(run_pytest) -> None:
    code, printed = run_pytest(WRONG)
    assert code == pytest.ExitCode.INTERRUPTED
    assert "test_of_two: unit, flow" in printed
    assert "test_of_one:" not in printed
    code, printed = run_pytest("def test_of_none(): pass")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "test_of_none: none" in printed


DRAW = "@pytest.mark.unit\ndef test_a(rng): pytest.fail(f'drew {rng.integers(2**60)}')"


def drawn(printed: str) -> tuple[str, str]:
    """The number that the made-up test drew, and the seed that its failure names."""
    numbers = re.search(r"drew (\d+)", printed), re.search(r"repeat with --seed (\d+)", printed)
    assert all(numbers), printed
    return tuple(number.group(1) for number in numbers if number)  # type: ignore[return-value]


def test_seed_that_a_failure_names_repeats_it(run_pytest) -> None:
    number, seed = drawn(run_pytest(DRAW, "--seed", "random")[1])
    again, printed = run_pytest(DRAW, "--seed", seed)
    assert again == pytest.ExitCode.TESTS_FAILED
    assert f"seed: {seed}" in printed
    assert drawn(printed) == (number, seed)
    assert drawn(run_pytest(DRAW, "--seed", str(int(seed) + 1))[1])[0] != number


def test_seed_that_is_no_number_is_refused(run_pytest) -> None:
    code, printed = run_pytest(DRAW, "--seed", "-3")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "--seed takes a number from 0, or `random`; got '-3'" in printed
