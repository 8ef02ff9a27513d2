"""Exit codes of every command."""

import pytest

from spec.errors import UserError, cli

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
