"""Descriptors as words: inverses, limits of every field, and the size of the table."""

from dataclasses import fields, replace
from typing import Any

import pytest

from spec.config import IO_DATA_BITS
from spec.eie.config import DESCRIPTOR_WORD_BITS, EieConfig, preset
from spec.eie.descriptor import Descriptor, cluster_columns, descriptor_fields, descriptor_words
from spec.errors import UserError
from tests.programs import random_config

pytestmark = pytest.mark.unit

FLAGS = ("relu", "drain", "swap")


def largest(config: EieConfig) -> Descriptor:
    """Every field at its largest."""
    values: dict[str, Any] = {
        name: (1 << bits) - 1 for name, bits in descriptor_fields(config).items()
    }
    return Descriptor(**(values | dict.fromkeys(FLAGS, True)))


def random_descriptor(rng, config: EieConfig) -> Descriptor:
    values: dict[str, Any] = {
        name: int(rng.integers(1 << bits)) for name, bits in descriptor_fields(config).items()
    }
    return Descriptor(**(values | {name: bool(values[name]) for name in FLAGS}))


def test_the_layout_names_every_field():
    assert list(descriptor_fields(preset("tiny"))) == [field.name for field in fields(Descriptor)]


def test_unpack_undoes_pack(rng):
    for _ in range(200):
        config = random_config(rng)
        for descriptor in (random_descriptor(rng, config), largest(config)):
            words = descriptor.pack(config)
            assert len(words) == descriptor_words(config)
            assert all(0 <= word < 1 << IO_DATA_BITS for word in words)
            found = Descriptor.unpack(words, config)
            assert found == descriptor
            assert all(isinstance(getattr(found, name), bool) for name in FLAGS)


def test_the_first_field_is_lowest():
    config = preset("tiny")
    values: dict[str, Any] = dict.fromkeys(descriptor_fields(config), 0)
    zero = Descriptor(**(values | dict.fromkeys(FLAGS, False)))
    assert replace(zero, pointer_base=5).pack(config) == [5, *[0] * (descriptor_words(config) - 1)]
    at = config.pointer_address_bits
    assert replace(zero, split=1).pack(config)[0] == 1 << at
    at += sum(descriptor_fields(config)[name] for name in ("split", "widen"))
    assert replace(zero, columns=3).pack(config)[0] == 3 << at


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Descriptor) if field.name not in FLAGS]
)
def test_a_field_that_does_not_fit_is_refused(name):
    config = preset("tiny")
    bits = descriptor_fields(config)[name]
    for value in (1 << bits, -1):
        with pytest.raises(UserError, match=f"{name} = {value} does not fit in {bits} bits"):
            replace(largest(config), **{name: value}).pack(config)


def test_counts_reach_their_capacities(rng):
    for _ in range(50):
        config = random_config(rng)
        widths = descriptor_fields(config)
        for name, most in (
            ("split", config.splits),
            ("widen", config.run_bits_most - config.run_bits),
            ("columns", config.acts),
            ("input_rows", config.act_rows),
            ("rows", config.rows),
            ("shift", config.shift_max),
            ("codebook", config.codebooks - 1),
            ("bias_base", config.biases - 1),
            ("pointer_base", config.columns - 1),
        ):
            assert most < 1 << widths[name]


def test_the_largest_descriptor_fits_its_addresses():
    config = EieConfig(
        pes=256,
        clusters=256,
        run_bits=1,
        run_bits_most=8,
        act_bits=8,
        weight_bits=8,
        acc_bits=30,
        multiplier_bits=32,
        rows=65536,
        act_rows=65536,
        columns=1 << 20,
        biases=65536,
        codebooks=256,
    )
    assert descriptor_words(config) <= 1 << DESCRIPTOR_WORD_BITS


@pytest.mark.parametrize("split", [0, 1, 2, 3])
def test_the_first_cluster_is_fullest(split):
    config = preset("tiny", pes=8, clusters=8)
    own = 8 >> split
    for columns in range(1, 40):
        clusters = [j % 8 // own for j in range(columns)]
        fullest = max(clusters.count(cluster) for cluster in set(clusters))
        assert cluster_columns(config, columns, split) == clusters.count(0) == fullest
