"""Strip lengths against the form of a strip, for every number of steps."""

import pytest

from hw.nm.strip_lengths import StripLengths
from spec.nm.config import preset
from spec.nm.strips import sections
from tests.hw.streams import play

pytestmark = pytest.mark.unit

CONFIGS = {
    "tiny": preset("tiny"),
    "4:8": preset("tiny", n=4, m=8, act_lines=40),
    "wide words": preset("tiny", load_bits=512),
    "wide steps": preset("tiny", rows=16, groups=2),
    "dense only": preset("tiny", n=1, m=1, groups=2),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_strip(config):
    """Sections that a mode has not may be of any length."""
    steps = range(1, config.weight_steps + 1)
    for number, mode in enumerate(config.modes):
        played = [{"settings.mode": number, "steps": count} for count in steps]
        names = ["values", "places", "offsets", "planes"]
        found = play(StripLengths(config), played, names, tail=1)
        for count, (values, places, offsets, _) in zip(steps, found[1:], strict=True):
            expected = sections(config, mode, True, count)
            assert values + 1 == expected["values"]
            assert offsets + 1 == expected["offsets"]
            if mode.place_bits:
                assert places + 1 == expected["places"]
        assert {planes for *_, planes in found} == {mode.place_bits}
