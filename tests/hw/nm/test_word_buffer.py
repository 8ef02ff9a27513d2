"""Word buffer: items wider and narrower than words, two banks apart."""

import numpy as np
import pytest

from hw.nm.word_buffer import WordBuffer
from sim.limbs import join
from spec.nm.words import pack_words
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("item_bits", "items", "load_bits"),
    [(64, 5, 64), (8, 19, 64), (1, 64, 64), (256, 3, 64), (16, 1, 128), (64, 7, 512)],
)
def test_reads_what_was_written(rng, item_bits, items, load_bits):
    """Written in any order; the answer stays while nothing is read."""
    parts = rng.integers(0, 1 << min(item_bits, 8), (2, items, max(1, item_bits // 8)))
    steps: list[dict] = []
    for bank in range(2):
        words = join(pack_words(parts[bank], min(item_bits, 8), load_bits))
        for index in rng.permutation(len(words)).tolist():
            place = {"write_bank": bank, "write_index": index, "write_data": words[index]}
            steps.append({"write_enable": 1} | place)
    steps.append({"write_enable": 0})
    written, expected = len(steps), []
    for bank, item in np.stack([rng.integers(0, 2, 40), rng.integers(0, items, 40)], axis=1):
        steps.append({"read.enable": 1, "read.bank": bank, "read.item": item})
        steps.append({"read.enable": 0, "read.item": rng.integers(items), "read.bank": 1 - bank})
        value = sum(int(part) << 8 * at for at, part in enumerate(parts[bank, item]))
        expected += [value, value]
    buffer = WordBuffer(item_bits=item_bits, items=items, load_bits=load_bits)
    found = play(buffer, steps, ["read.data"], tail=1)[written + WordBuffer.latency :]
    assert [value for (value,) in found] == expected
