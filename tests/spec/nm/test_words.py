"""Fields as words and back."""

import numpy as np
import pytest

from spec.nm.words import pack_words, unpack_words, words_for

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("load_bits", [64, 128, 256, 512])
def test_there_and_back(rng, bits, load_bits):
    for count in (0, 1, 7, 64, 200):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        fields = rng.integers(low, high, count, endpoint=True)
        words = pack_words(fields, bits, load_bits)
        assert words.shape == (words_for(count, bits, load_bits), load_bits // 64)
        assert np.array_equal(unpack_words(words, count, bits, signed=True), fields)
        whole = sum(int(limb) << 64 * at for at, limb in enumerate(words.ravel()))
        expected = sum(
            (int(field) & (1 << bits) - 1) << bits * at for at, field in enumerate(fields)
        )
        assert whole == expected


def test_unsigned_fields():
    words = pack_words(np.array([255, 1, 128]), 8, 64)
    assert hex(int(words[0, 0])) == "0x8001ff"
    assert unpack_words(words, 3, 8).tolist() == [255, 1, 128]
