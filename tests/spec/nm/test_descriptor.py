"""Descriptors: there and back, and how a layer is planned."""

from dataclasses import fields, replace

import pytest

from spec.errors import UserError
from spec.nm.config import PRESETS, preset
from spec.nm.descriptor import Descriptor, descriptor_fields, descriptor_words, plan
from tests.spec.nm.cases import random_config

pytestmark = pytest.mark.unit

SIZES = {"mode": 0, "gather": False, "relu": False, "outputs": 8, "inputs": 16, "tokens": 4}


def test_fields_have_widths():
    assert list(descriptor_fields(preset("tiny"))) == [field.name for field in fields(Descriptor)]


def test_there_and_back(rng):
    for _ in range(50):
        config = random_config(rng)
        widths = descriptor_fields(config)
        values = {name: int(rng.integers(1 << bits)) for name, bits in widths.items()}
        values |= {name: bool(values[name]) for name in ("gather", "relu")}
        descriptor = Descriptor(**values)
        words = descriptor.pack(config)
        assert len(words) == descriptor_words(config) <= 2
        assert max(words) < 1 << 64
        assert Descriptor.unpack(words, config) == descriptor


@pytest.mark.parametrize("name", descriptor_fields(preset("tiny")))
def test_what_does_not_fit_is_refused(name):
    config = preset("tiny")
    bits = descriptor_fields(config)[name]
    with pytest.raises(UserError, match=f"{name} = {1 << bits} does not fit in {bits} bits"):
        replace(plan(config, **SIZES), **{name: 1 << bits}).pack(config)


def test_blocks_fit_and_are_even(rng):
    for _ in range(100):
        config = random_config(rng)
        inputs = int(rng.integers(1, config.act_lines * config.line_inputs + 1))
        tokens = int(rng.integers(1, 200))
        d = plan(config, **{**SIZES, "inputs": inputs, "tokens": tokens})
        assert 1 <= d.block_tiles * d.input_lines <= config.act_lines
        sizes = [d.tiles_of(block) for block in range(d.blocks)]
        assert sum(sizes) == d.tiles == -(-tokens // config.columns)
        assert min(sizes) >= 1
        # As few blocks as there can be.
        assert (d.blocks - 1) * (config.act_lines // d.input_lines) < d.tiles
        if d.blocks > 1 and d.strips > 1:
            assert (d.strips - 1) * d.ahead_lines >= d.block_tiles * d.input_lines
        d.pack(config)


def test_sizes_that_are_refused():
    config = preset("tiny")
    with pytest.raises(UserError, match="257 inputs are 33 lines, .* holds 32: at most 256 inputs"):
        plan(config, **{**SIZES, "inputs": 257})
    with pytest.raises(UserError, match="0 tokens, must be 1 to 131070"):
        plan(config, **{**SIZES, "tokens": 0})
    with pytest.raises(UserError, match="300000 outputs, must be 1 to 262140"):
        plan(config, **{**SIZES, "outputs": 300_000})


@pytest.mark.parametrize("name", PRESETS)
def test_words(name):
    assert descriptor_words(preset(name)) in (1, 2)
