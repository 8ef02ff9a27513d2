"""What configurations of all engines have in common."""

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from spec.config import IO_DATA_BITS, Config, bits_for, find_preset
from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm.config import NmConfig

pytestmark = pytest.mark.unit

ENGINES = (EieConfig, NmConfig)
NUMBERS = ("act_bits", "weight_bits", "acc_bits", "multiplier_bits", "shift_bits")


@dataclass(frozen=True, kw_only=True)
class Toy(Config):
    """The least that a configuration can be."""

    engine = "toy"
    title = "toy configuration"

    act_bits: int = 4
    weight_bits: int = 4
    acc_bits: int = 8
    multiplier_bits: int = 4
    shift_bits: int = 3
    fast: bool = False

    ranges: ClassVar[dict[str, tuple[int, int]]] = dict.fromkeys(NUMBERS, (1, 64))

    def check_together(self) -> None:
        if self.fast and self.act_bits > 8:
            self.refuse("too much at once")


PRESETS = {"default": Toy(), "other": Toy(fast=True)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"acc_bits": 65}, "toy configuration: acc_bits = 65, must be an integer from 1 to 64"),
        ({"act_bits": True}, "act_bits = True, must be an integer from 1 to 64"),
        ({"fast": 1}, "toy configuration: fast = 1, must be true or false"),
        ({"acc_bits": 59}, r"acc_bits \+ multiplier_bits = 59 \+ 4, must be at most 62"),
        ({"acc_bits": 7}, r"acc_bits = 7, must hold one product of 4 \+ 4 bits"),
        ({"fast": True, "act_bits": 9, "acc_bits": 20}, "toy configuration: too much at once"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(UserError, match=message):
        Toy(**fields)


@pytest.mark.parametrize("kind", [*ENGINES, Toy])
def test_json_is_an_identity(kind):
    config = kind()
    assert kind.from_json(config.to_json()) == config
    assert set(config.to_json()) == kind.names()
    with pytest.raises(UserError, match=f"{kind.title}: unknown or missing fields colour"):
        kind.from_json(config.to_json() | {"colour": 3})
    with pytest.raises(UserError, match="unknown or missing fields acc_bits"):
        kind.from_json({name: v for name, v in config.to_json().items() if name != "acc_bits"})


def test_digests_name_what_they_always_named():
    """Images and results that are about name configurations by these."""
    digests = {kind.engine: kind().digest for kind in ENGINES}
    assert digests == {"eie": "55a702a1678f4b94", "nm": "fc49fd63ac871730"}
    assert Toy().digest != Toy(fast=True).digest


def test_a_field_that_was_added_leaves_what_there_was_before():
    class Later(Toy):
        added: ClassVar = {"fast": False}

    before = {name: value for name, value in Later().to_json().items() if name != "fast"}
    assert Later.from_json(before) == Later()
    text = json.dumps([Later.engine, before], sort_keys=True)
    assert Later().digest == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert Later(fast=True).digest == Toy(fast=True).digest


def test_engines_of_equal_fields_have_different_digests():
    class Twin(Toy):
        engine = "twin"

    assert Twin().to_json() == Toy().to_json()
    assert Twin().digest != Toy().digest


def test_presets():
    assert find_preset(PRESETS, "other", {"fast": False}) is PRESETS["other"]
    with pytest.raises(UserError, match="preset 'big' does not exist; there are default, other"):
        find_preset(PRESETS, "big", {})
    with pytest.raises(UserError, match="toy configuration has no field 'rows'; there are acc_bi"):
        find_preset(PRESETS, "other", {"rows": 3})


@pytest.mark.parametrize(
    ("largest", "bits"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (255, 8), (256, 9)]
)
def test_bits_for(largest, bits):
    assert bits_for(largest) == bits


@pytest.mark.parametrize("kind", ENGINES)
def test_everything_that_is_counted_fits_in_a_word(kind):
    assert kind.ranges["counter_bits"][1] == IO_DATA_BITS
    assert kind(shift_bits=6).shift_max == 63
