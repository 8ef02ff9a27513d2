"""The table of registers: nothing overlaps, and what every shell has stays where it is."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from spec.config import Config
from spec.eie import config as eie
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.errors import UserError
from spec.nm import config as nm
from spec.nm.counters import COUNTERS
from spec.registers.table import (
    ADDRESS_BITS,
    BITS,
    BYTES,
    IDENTITY,
    VERSION,
    Access,
    registers,
)

pytestmark = pytest.mark.unit

EIE = [eie.preset(name) for name in eie.PRESETS]
NM = [nm.preset(name) for name in nm.PRESETS]
SHELLS: list[Sequence[Config]] = [
    *([one] for one in (*EIE, *NM)),
    [EIE[0], NM[0]],
    [NM[-1], EIE[-1]],
]


@pytest.fixture(params=SHELLS, ids=lambda configs: "+".join(one.digest for one in configs))
def configs(request: pytest.FixtureRequest) -> Sequence[Config]:
    return request.param


def test_every_register_has_a_name_and_a_word_of_its_own(configs):
    found = registers(configs)
    addresses = [one.address for one in found]
    assert addresses == sorted(set(addresses))
    assert all(address % BYTES == 0 and address < 1 << ADDRESS_BITS for address in addresses)
    assert len({one.name for one in found}) == len(found)
    assert all(0 <= one.value < 1 << BITS for one in found)


def test_fields_have_bits_of_their_own(configs):
    for one in registers(configs):
        assert sum(bits.mask for bits in one.fields) == one.mask or not one.fields
        ends = [(bits.low, bits.low + bits.width) for bits in one.fields]
        assert all(a[1] <= b[0] for a, b in pairwise(ends)), one.name
        assert not ends or ends[-1][1] <= BITS
        assert one.value & ~one.mask == 0
        for bits in one.fields:
            assert all(number < 1 << bits.width for number, _ in bits.values.values())


def test_what_every_shell_has_stands_at_the_same_place():
    common = [
        {(one.name, one.address) for one in registers(configs) if one.address < 0x100}
        for configs in SHELLS
    ]
    assert all(one == common[0] for one in common)
    assert ("IDENTITY", 0) in common[0]


def test_the_first_words_say_what_it_is(configs):
    words = {one.name: one.value for one in registers(configs)}
    assert words["IDENTITY"] == IDENTITY == 0x534B4950
    assert words["VERSION"] == VERSION[0] * 65536 + VERSION[1]
    engines = {config.engine for config in configs}
    assert words["ENGINES"] == ("eie" in engines) + 2 * ("nm" in engines)


def test_digest_and_all_parameters_are_there(configs):
    words = {one.name: one for one in registers(configs)}
    for config in configs:
        prefix = config.engine.upper()
        low, high = (words[f"{prefix}_DIGEST_{half}"].value for half in ("LOW", "HIGH"))
        assert f"{high:08x}{low:08x}" == config.digest
        for name, value in config.to_json().items():
            one = words[f"{prefix}_{name.upper()}"]
            assert (one.value, one.access, one.constant) == (int(value), Access.READ, True)


def test_counters_have_the_cycle_models_names(configs):
    names = {one.name for one in registers(configs)}
    expected = {
        "eie": [*(f"EIE_{one.upper()}" for one in ARRAY_COUNTERS)]
        + [f"EIE_PE_{one.upper()}" for one in PE_COUNTERS],
        "nm": [f"NM_{one.upper()}" for one in COUNTERS],
    }
    for config in configs:
        for name in expected[config.engine]:
            assert {f"{name}_LOW", f"{name}_HIGH"} <= names


def test_the_order_of_engines_does_not_matter():
    assert registers([EIE[0], NM[0]]) == registers([NM[0], EIE[0]])


@pytest.mark.parametrize(
    ("configs", "given"),
    [([], "none"), ([EIE[0], EIE[0]], "eie, eie"), ([NM[0]] * 3, "nm, nm, nm")],
)
def test_other_sets_of_engines_are_refused(configs, given):
    with pytest.raises(UserError, match=f"one of each kind; {given} were given"):
        registers(configs)
