"""Gather: a line for each input, two cycles later."""

import pytest

from hw.nm.gather import Gather
from spec.nm.config import preset
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("gather", [0, 1])
def test_adds_line_and_offsets(rng, gather):
    """The offsets of a step answer in the cycle behind it."""
    config = preset("tiny")
    steps: list[dict] = [{"settings.gather": gather}]
    bases, lines = rng.integers(0, 8, 30), rng.integers(0, 8, 30)
    offsets = rng.integers(0, 16, (30, config.line_inputs))
    for at in range(31):
        step = {}
        if at < 30:
            step = {"i.valid": 1, "i.payload.base": bases[at], "i.payload.line": lines[at]}
        steps.append(step | ({"offsets.data": offsets[at - 1].tolist()} if at else {}))
    found = play(Gather(config), steps, ["o", "offsets.item", "offsets.enable"], tail=1)
    expected = (bases + lines)[:, None] + gather * offsets
    assert [o for o, _, _ in found[1 + Gather.latency :]] == expected.tolist()
    assert [item for _, item, _ in found[1:31]] == lines.tolist()


def test_no_gather_stage():
    gather = Gather(preset("tiny", gather_lines=0))
    assert "offsets" not in gather.signature.members
    found = play(gather, [{"i.payload.base": 3, "i.payload.line": 2}], ["o"], tail=2)
    assert found[-1] == ([5] * 8,)
