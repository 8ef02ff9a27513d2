"""Command-line options that name a configuration."""

import argparse

import pytest

from spec.errors import UserError
from spec.nm.config import NmConfig, preset
from spec.nm.options import add_options, config_from

pytestmark = pytest.mark.unit


def parse(text: str) -> NmConfig:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return config_from(parser.parse_args(text.split()))


def test_options():
    assert parse("") == preset("default")
    assert parse("--preset tiny --rows 8 --cols 4") == preset("tiny", rows=8, columns=4)
    assert parse("--set m=8 --set n=4 --rows 16 --set rows=16") == preset("default", m=8, n=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--rows 3", "rows = 3, must be a power of two"),
        ("--rows x", "--rows x: the value must be a whole number"),
        ("--cols 4 --set columns=8", "--cols 4 contradicts --set columns=8"),
        ("--set m", "--set m: must be FIELD=VALUE"),
        ("--set m=4.0", "must be a whole number"),
        ("--set pes=4", "no field 'pes'"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(UserError, match=message):
        parse(text)
