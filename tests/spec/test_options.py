"""An engine and a configuration of it, named on a command line."""

import argparse

import pytest

from spec.eie import config as eie
from spec.errors import UserError
from spec.nm import config as nm
from spec.options import ENGINES, add_options, config_from

pytestmark = pytest.mark.unit


def parse(text: str):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return config_from(parser.parse_args(text.split()))


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("", eie.preset("default")),
        ("--pes 8 --preset isca16", eie.preset("isca16", pes=8)),
        ("--engine eie --set rows=32", eie.preset("default", rows=32)),
        ("--engine nm", nm.preset("default")),
        ("--engine nm --rows 4 --cols 2", nm.preset("default", rows=4, columns=2)),
        ("--engine nm --preset tiny --set m=8", nm.preset("tiny", m=8)),
    ],
)
def test_options(text, config):
    assert parse(text) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--engine gpu", "engine 'gpu' does not exist; there are eie, nm"),
        ("--rows 4", "--rows is an option of the engine nm; eie has --pes"),
        ("--cols 4", "--cols is an option of the engine nm; eie has --pes"),
        ("--engine nm --pes 4", "--pes is an option of the engine eie; nm has --rows, --cols"),
        ("--engine nm --pes 4 --rows 4", "--pes is an option of the engine eie"),
        ("--engine nm --set lanes=2", "N:M configuration has no field 'lanes'"),
        ("--preset ecp5", "preset 'ecp5' does not exist; there are default, isca16, tiny"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(UserError, match=message):
        parse(text)


def test_every_option_sets_a_field_and_names_do_not_clash():
    names = [option.name for options in ENGINES.values() for option in options.own]
    assert len(set(names)) == len(names)
    for engine, options in ENGINES.items():
        for preset in options.presets.values():
            assert preset.engine == engine
            assert {option.field for option in options.own} <= preset.names()
