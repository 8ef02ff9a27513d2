"""Distribute: in every mode and at every place of a line, each multiplier sees its group."""

import numpy as np
import pytest

from hw.nm.distribute import Distribute
from spec.nm.config import preset
from tests.hw.streams import play

pytestmark = pytest.mark.unit

CONFIGS = {
    "tiny": preset("tiny"),
    "m8": preset("tiny", n=4, m=8),
    "wide words": preset("tiny", load_bits=512),
    "dense": preset("tiny", n=1, m=1, groups=2),
    "pipeline": preset("tiny", pipeline=True),
    "one multiplier": preset("tiny", n=1, m=1, act_bits=16, columns=4),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_window(rng, config):
    for number, mode in enumerate(config.modes):
        steps, expected = [{"settings.mode": number}], []
        for at in range(0, config.line_inputs, config.step_inputs(mode)):
            line = rng.integers(-128, 128, config.line_inputs)
            steps.append({"line": line.tolist(), "at": at})
            groups = at + np.arange(config.multipliers)[:, None] // mode.n * mode.m
            expected.append(line[groups + np.arange(mode.m)].tolist())
        dut = Distribute(config)
        found = play(dut, steps, ["o"], tail=dut.latency)[1 + dut.latency :]
        for (windows,), groups in zip(found, expected, strict=True):
            assert [window[: len(groups[0])] for window in windows] == groups
