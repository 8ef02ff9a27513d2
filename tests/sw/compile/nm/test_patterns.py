"""Patterns as they are declared, in Python and on the command line."""

import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, Mode, preset
from sw.compile.nm.patterns import parse_patterns, patterns_of

pytestmark = pytest.mark.unit

CONFIG = preset("default")
NAMES = ("a", "b")


def test_for_all_layers_or_by_name():
    two_four = Mode(2, 4)
    assert patterns_of("auto", NAMES, CONFIG) == {"a": None, "b": None}
    assert patterns_of("2:4", NAMES, CONFIG) == {"a": two_four, "b": two_four}
    assert patterns_of({"b": "dense"}, NAMES, CONFIG) == {"a": None, "b": DENSE}
    assert patterns_of({"b": "auto", "*": "1:2"}, NAMES, CONFIG) == {"a": Mode(1, 2), "b": None}


def test_of_the_command_line():
    assert parse_patterns(["2:4"]) == {"*": "2:4"}
    assert parse_patterns(["fc.1=1:4", "2:4", "fc=dense"]) == {
        "fc.1": "1:4",
        "*": "2:4",
        "fc": "dense",
    }
    assert parse_patterns(["2:4", "2:4"]) == {"*": "2:4"}
    with pytest.raises(UserError, match="--pattern fc=1:4: contradicts 2:4"):
        parse_patterns(["fc=2:4", "fc=1:4"])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("4:2", "pattern 4:2: N must be from 1 to M, 4 is not"),
        ("0:4", "pattern 0:4: N must be from 1 to M, 0 is not"),
        ("2:8", "pattern 2:8 is none of this array's: 1:1, 1:2, 1:4, 2:4; choose one of these, or"),
        ("3:4", "pattern 3:4 is none of this array's"),
        ("two:four", "pattern 'two:four' must be N:M, such as 2:4, or dense"),
        ({"c": "2:4"}, "a pattern is declared for layer 'c', but the network has a, b"),
        ({"a": "4:2"}, "pattern 4:2: N must"),
    ],
)
def test_mistakes(pattern, message):
    with pytest.raises(UserError, match=message):
        patterns_of(pattern, NAMES, CONFIG)
