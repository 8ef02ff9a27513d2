"""The runner of the tiers stops at the first that fails, and says what ran."""

import re
from collections.abc import Sequence

import pytest

from tests import tiers
from tests.tiers import TIERS, Outcome

pytestmark = pytest.mark.unit


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> dict[str, Outcome]:
    """What each tier is to end with, instead of being run; tiers not named pass one test."""
    endings: dict[str, Outcome] = {}

    def run(tier: str, options: object, rest: Sequence[str]) -> Outcome:
        return endings.get(tier) or Outcome(tier, 0, 1.0, passed=1, failed=0, skipped=0)

    monkeypatch.setattr(tiers, "_run", run)
    return endings


def test_all_tiers_in_order(played, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiers.main([]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\w+) +1\.0", printed, re.MULTILINE) == list(TIERS)
    assert printed.endswith(f"\n{len(TIERS)} passed, 0 failed, 0 skipped\n")


def test_first_failure_is_the_end(played, capsys: pytest.CaptureFixture[str]) -> None:
    played["flow"] = Outcome("flow", 1, 2.0, passed=3, failed=1, skipped=1)
    assert tiers.main([]) == 1
    printed = capsys.readouterr().out
    assert "stopped here" in printed
    assert "verilator" not in printed
    assert printed.endswith("\n4 passed, 1 failed, 1 skipped\n")


def test_tier_without_tests_is_passed_over(played) -> None:
    played["board"] = Outcome("board", pytest.ExitCode.NO_TESTS_COLLECTED, 1.0, 0, 0, 0)
    assert tiers.main([]) == 0
    assert tiers.main(["board"]) == 1, "nothing at all ran"


def test_unknown_tier_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        tiers.main(["units"])
    assert stop.value.code == 2
    assert "no such tier: units; there are unit, flow" in capsys.readouterr().err


def test_counts_of_a_report(tmp_path) -> None:
    report = tmp_path / "unit.xml"
    report.write_text(
        '<testsuites><testsuite tests="9" failures="2" errors="1" skipped="1"/></testsuites>'
    )
    assert tiers._counts(report) == (5, 3, 1)
    assert tiers._counts(tmp_path / "none.xml") == (0, 0, 0)
