"""Strips: there and back through words, sizes, and damaged words."""

import numpy as np
import pytest

from spec.errors import UserError
from spec.nm.config import DENSE, Mode, preset
from spec.nm.strips import pack_strip, sections, strip_words, unpack_strip, unpack_strips
from tests.spec.nm.cases import random_case

pytestmark = pytest.mark.unit


def test_there_and_back(rng):
    for _ in range(60):
        case = random_case(rng)
        program, layer = case.program, case.layer
        config, mode, gather = program.config, layer.pattern, layer.gather
        for strip, span in zip(program.strips(0), program.spans[0], strict=True):
            words = pack_strip(config, mode, gather, strip)
            assert np.array_equal(words, program.weights[0].strips[span])
            assert len(words) == strip_words(config, mode, gather, strip.steps)
            again = unpack_strip(config, mode, gather, words)
            for name in vars(strip):
                assert np.array_equal(getattr(strip, name), getattr(again, name)), name


def test_parameters_come_back_at_their_extremes(rng):
    case = random_case(rng, preset("tiny"))
    config, strip = case.program.config, case.program.strips(0)[0]
    strip.bias[:2] = -(1 << 31), (1 << 31) - 1
    strip.multiplier[:], strip.shift[:] = (1 << 16) - 1, 63
    words = pack_strip(config, case.layer.pattern, case.layer.gather, strip)
    again = unpack_strip(config, case.layer.pattern, case.layer.gather, words)
    assert again.bias[:2].tolist() == strip.bias[:2].tolist()
    assert set(again.multiplier.tolist()) == {65535}
    assert set(again.shift.tolist()) == {63}


def test_storage_of_a_bert_matrix():
    """Values and places of an int8 2:4 strip take 62.5 % of the dense values, no word more."""
    config = preset("default")
    dense = sections(config, DENSE, False, 384)
    sparse = sections(config, Mode(2, 4), False, 192)
    assert dense["values"] * config.load_bits == 16 * 768 * 8
    assert sparse["values"] + 2 * sparse["places"] == 0.625 * dense["values"]
    assert strip_words(config, Mode(2, 4), False, 192) == 1 + 4 + 0.625 * dense["values"]
    assert strip_words(config, DENSE, False, 384) == 1 + 4 + dense["values"]


def test_damaged_words(rng):
    config = preset("tiny")
    case = random_case(rng, config, mode=Mode(2, 4), gather=False)
    words, count = case.program.weights[0].strips, len(case.program.spans[0])
    with pytest.raises(UserError, match=f"strip {count} of {count + 1} is missing"):
        unpack_strips(config, Mode(2, 4), False, count + 1, words)
    with pytest.raises(UserError, match="strips take .* words, there are"):
        unpack_strips(config, Mode(2, 4), False, count, words[:-1])
    for steps in (0, 17):
        broken = words.copy()
        broken[0, 0] = steps
        with pytest.raises(UserError, match=f"strip 0 has {steps} steps, .* holds 1 to 16"):
            unpack_strips(config, Mode(2, 4), False, count, broken)
