"""An engine and a configuration of it, named on a command line."""

import argparse

import pytest

from spec.eie import config as eie
from spec.errors import UserError
from spec.nm import config as nm
from spec.options import (
    ENGINES,
    add_options,
    add_pair_options,
    config_from,
    pair_from,
    refuse_pair_options,
)

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
        ("--preset ecp5", "preset 'ecp5' does not exist; there are default, isca16"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(UserError, match=message):
        parse(text)


def parse_pair(text: str):
    parser = argparse.ArgumentParser()
    add_options(parser, ["both"])
    add_pair_options(parser, "both")
    arguments = parser.parse_args(text.split())
    if arguments.engine == "both":
        return pair_from(arguments)
    refuse_pair_options(arguments, "both")
    return config_from(arguments)


@pytest.mark.parametrize(
    ("text", "configs"),
    [
        ("--engine both", (eie.preset("default"), nm.preset("default"))),
        (
            "--engine both --eie-preset tiny --nm-preset ecp5 --pes 2 --rows 4",
            (eie.preset("tiny", pes=2), nm.preset("ecp5", rows=4)),
        ),
        (
            "--engine both --set eie.rows=32 --set nm.rows=2",
            (eie.preset("default", rows=32), nm.preset("default", rows=2)),
        ),
        ("--engine nm --preset tiny", nm.preset("tiny")),
    ],
)
def test_a_configuration_of_each_engine(text, configs):
    assert parse_pair(text) == configs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--engine both --preset tiny", "--preset tiny: of two engines; use --eie-preset or --nm"),
        ("--engine both --set rows=4", "--set rows=4: of two engines; say which, as in --set eie."),
        ("--engine both --set tpu.rows=4", "--set tpu.rows=4: of two engines"),
        ("--engine both --nm-preset isca16", "preset 'isca16' does not exist; there are default"),
        ("--engine eie --eie-preset tiny", "--eie-preset is for --engine both; use --preset"),
    ],
)
def test_refusals_of_a_pair(text, message):
    with pytest.raises(UserError, match=message):
        parse_pair(text)


def test_every_option_sets_a_field_and_names_do_not_clash():
    names = [option.name for options in ENGINES.values() for option in options.own]
    assert len(set(names)) == len(names)
    for engine, options in ENGINES.items():
        for preset in options.presets.values():
            assert preset.engine == engine
            assert {option.field for option in options.own} <= preset.names()
