"""Configurations: presets, modes, derived widths, digests, and a refusal for every field."""

from dataclasses import fields, replace

import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, PRESETS, Mode, NmConfig, preset, slot_for
from tests.spec.nm.cases import random_config

pytestmark = pytest.mark.unit

RANGES = {
    "rows": (1, 256),
    "columns": (1, 256),
    "n": (1, 16),
    "m": (1, 16),
    "groups": (1, 16),
    "weight_bits": (2, 8),
    "act_bits": (2, 16),
    "acc_bits": (4, 48),
    "multiplier_bits": (1, 32),
    "shift_bits": (1, 6),
    "weight_steps": (1, 65535),
    "act_lines": (1, 65536),
    "gather_lines": (0, 65536),
    "load_bits": (64, 512),
    "logic_multipliers": (0, 256),
    "counter_bits": (8, 64),
}


def test_every_field_is_tested():
    assert {field.name for field in fields(NmConfig)} == set(RANGES) | {"pipeline"}


def test_a_pipeline_is_there_or_not():
    assert preset("tiny", pipeline=False).digest == preset("tiny").digest
    assert preset("tiny", pipeline=True).digest != preset("tiny").digest
    for value in (1, 0, "yes", None):
        with pytest.raises(UserError, match="pipeline = "):
            replace(NmConfig(), pipeline=value)


@pytest.mark.parametrize("name", RANGES)
def test_numbers_out_of_range_are_refused(name):
    low, high = RANGES[name]
    for value in (low - 1, high + 1, 1.5, float(low), "8", None, True):
        with pytest.raises(
            UserError, match=rf"{name} = .*, must be an integer from {low} to {high}"
        ):
            replace(NmConfig(), **{name: value})


def test_no_more_multipliers_out_of_logic_than_there_are():
    assert preset("tiny", logic_multipliers=2).multipliers == 2
    with pytest.raises(UserError, match="logic_multipliers = 3, a MAC unit has only 2"):
        preset("tiny", logic_multipliers=3)


@pytest.mark.parametrize("name", ["rows", "columns", "n", "m", "groups", "load_bits"])
def test_powers_of_two(name):
    value = 96 if name == "load_bits" else 3
    with pytest.raises(UserError, match=f"{name} = {value}, must be a power of two"):
        replace(NmConfig(), **{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 8}, "n = 8 of m = 4"),
        ({"acc_bits": 47}, r"47 \+ 16, must be at most 62"),
        ({"acc_bits": 43}, "shift_bits = 65"),
        ({"acc_bits": 15}, r"must hold one product of 8 \+ 8 bits"),
    ],
)
def test_fields_that_do_not_go_together(changes, message):
    with pytest.raises(UserError, match=message):
        preset("default", **changes)


@pytest.mark.parametrize(
    ("changes", "modes"),
    [
        ({}, "1:1 1:2 1:4 2:4"),
        ({"m": 8}, "1:1 1:2 1:4 2:4 1:8 2:8"),
        ({"m": 8, "n": 4}, "1:1 1:2 1:4 2:4 1:8 2:8 4:8"),
        ({"groups": 2}, "1:1 1:2 1:4 2:4"),
        ({"m": 8, "groups": 2}, "1:1 1:2 1:4 2:4 1:8 2:8 4:8"),
        ({"n": 1}, "1:1 1:2 1:4"),
        ({"n": 1, "m": 1, "groups": 2}, "1:1"),
    ],
)
def test_modes(changes, modes):
    assert " ".join(map(str, preset("default", **changes).modes)) == modes


def test_every_mode_takes_whole_parts_of_a_line_and_feeds_every_multiplier(rng):
    for _ in range(100):
        config = random_config(rng)
        assert config.modes[0] == DENSE
        for mode in config.modes:
            groups = config.step_inputs(mode) // mode.m
            assert groups * mode.n == config.multipliers
            assert config.phases(mode) * config.step_inputs(mode) == config.line_inputs
        assert config.line_bits % config.load_bits == 0


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    config = preset(name)
    assert NmConfig.from_json(config.to_json()) == config
    assert len(config.digest) == 16
    assert replace(config, counter_bits=31).digest != config.digest
    assert {"1:1", "1:4", "2:4"} <= set(map(str, config.modes))


@pytest.mark.parametrize(("name", "room"), [("ecp5", 352), ("fpga128", 106)])
def test_a_preset_fits_its_chip(name, room):
    config = preset(name)
    assert config.slots == 128
    kilobytes = 2 * config.weight_steps * config.step_weights / 8192
    kilobytes *= config.weight_bits + config.place_bits
    kilobytes += 2 * config.act_lines * config.line_bits / 8192
    kilobytes += 2 * config.gather_lines * config.line_inputs * config.offset_slot_bits / 8192
    assert kilobytes == room


def test_unknown_names_are_told():
    with pytest.raises(UserError, match="preset 'big' does not exist; there are default, ecp5"):
        preset("big")
    with pytest.raises(UserError, match="no field 'pes'; there are acc_bits"):
        preset("tiny", pes=4)
    with pytest.raises(UserError, match="unknown or missing fields pes"):
        NmConfig.from_json(NmConfig().to_json() | {"pes": 1})
    with pytest.raises(UserError, match="pattern 2:8 is none of this array's: 1:1, 1:2, 1:4, 2:4"):
        NmConfig().mode_number(Mode(2, 8))
    with pytest.raises(UserError, match="pattern '24' must be N:M"):
        Mode.parse("24")


def test_mode_names():
    assert Mode.parse("dense") == DENSE
    assert str(Mode.parse("2:4")) == "2:4"
    assert [Mode(1, m).place_bits for m in (1, 2, 4, 8)] == [0, 1, 2, 3]


def test_widths():
    assert [slot_for(bits) for bits in (1, 2, 3, 8, 9, 16)] == [1, 2, 4, 8, 16, 16]
