"""Configurations named on a command line."""

import argparse

import pytest

from spec.eie.config import preset
from spec.eie.options import add_options, config_from
from spec.errors import UserError

pytestmark = pytest.mark.unit


def parse(*words: str):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return config_from(parser.parse_args(words))


def test_nothing_is_the_default():
    assert parse() == preset("default")


def test_all_options_together():
    words = ["--preset", "isca16", "--pes", "8", "--set", "rows=32", "--set", "scan_ahead=true"]
    assert parse(*words) == preset("isca16", pes=8, rows=32, scan_ahead=True)


def test_pes_may_be_said_twice_if_it_is_the_same():
    assert parse("--pes", "8", "--set", "pes=8") == preset("default", pes=8)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--pes", "0"], "pes = 0, must be an integer from 1 to 256"),
        (["--pes", "many"], "--pes many"),
        (["--pes", "8", "--set", "pes=4"], "--pes 8 contradicts --set pes=4"),
        (["--set", "rows"], "--set rows: must be FIELD=VALUE"),
        (["--set", "rows=few"], "--set rows=few"),
        (["--set", "depth=1"], "no field 'depth'"),
        (["--preset", "huge"], "preset 'huge' does not exist"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str):
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        parse(*words)
