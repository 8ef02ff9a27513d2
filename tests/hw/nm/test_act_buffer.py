"""Activation buffer: lines in, every input of a line from a line of its own out, by columns."""

import numpy as np
import pytest

from hw.nm.act_buffer import ActBuffer
from sim.limbs import join
from spec.nm.config import preset
from spec.nm.words import pack_words
from tests.hw.streams import play

pytestmark = pytest.mark.unit

CONFIGS = {
    "tiny": preset("tiny", act_lines=5),
    "wide words": preset("tiny", act_lines=5, load_bits=512, act_bits=11),
    "narrow words": preset("tiny", act_lines=3, columns=16),
    "pipeline": preset("tiny", act_lines=5, pipeline=True),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_reads_each_input_at_its_own_address(rng, config):
    shape = (2, config.act_lines, config.line_inputs, config.columns)
    top = 1 << (config.act_bits - 1)
    acts = rng.integers(-top, top, shape)
    steps: list[dict] = []
    for bank, line in np.ndindex(2, config.act_lines):
        words = join(pack_words(acts[bank, line], config.act_slot_bits, config.load_bits))
        for number, word in enumerate(words):
            place = {"write.bank": bank, "write.line": line, "write.word": number}
            steps.append({"write.enable": 1, "write.data": word} | place)
    steps.append({"write.enable": 0, "read_enable": 1})
    begin, expected = len(steps), []
    inputs = np.arange(config.line_inputs)
    for _ in range(20):
        bank = int(rng.integers(2))
        lines = rng.integers(0, config.act_lines, config.line_inputs)
        steps.append({"read_bank": bank, "addresses": lines.tolist()})
        expected.append(acts[bank, lines, inputs].T.tolist())
    dut = ActBuffer(config)
    found = play(dut, steps, ["o"], tail=dut.latency)[begin + dut.latency :]
    assert [o for (o,) in found] == expected
