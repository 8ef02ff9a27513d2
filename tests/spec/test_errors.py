"""Exit codes of every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spec.errors import Failure, UserError, cli
from tests.tiers import ROOT

pytestmark = pytest.mark.unit


def exit_code(outcome):
    def main(argv):
        assert argv is None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with pytest.raises(SystemExit) as stop:
        cli(main)
    return stop.value.code


@pytest.mark.parametrize(("outcome", "code"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_the_code_of_main_is_passed_on(outcome, code, capsys):
    assert exit_code(outcome) == code
    assert capsys.readouterr() == ("", "")


def test_a_mistake_is_one_line_and_code_2(capsys):
    assert exit_code(UserError("the cup is empty")) == 2
    assert capsys.readouterr() == ("", "error: the cup is empty\n")


def test_an_interrupt_is_code_130(capsys):
    assert exit_code(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_our_own_bugs_keep_their_trace():
    def main(argv):
        raise KeyError("bug")

    with pytest.raises(KeyError):
        cli(main)


def test_a_mistake_is_a_value_error():
    assert issubclass(UserError, ValueError)


def test_a_failure_is_one_line_and_code_1(capsys):
    assert exit_code(Failure("the cup broke")) == 1
    assert capsys.readouterr() == ("", "failed: the cup broke\n")


PRINTER = """
from spec.errors import cli
cli(lambda argv: print("x" * 100_000))
"""


def run_printer(stdout):
    """A command that prints much, with the buffer that users have and tests often have not."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", PRINTER],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    return done.returncode, done.stderr


def test_a_reader_that_goes_away_is_no_failure():
    reader, writer = os.pipe()
    os.close(reader)
    assert run_printer(writer) == (0, "")
    os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_that_cannot_be_written_is_one_line_and_code_2():
    with Path("/dev/full").open("w") as full:
        assert run_printer(full) == (2, "error: cannot print: No space left on device\n")
