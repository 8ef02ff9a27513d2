"""Travel: where a step is, as the cycle model's pipeline says."""

import pytest

from hw.nm.travel import DISTRIBUTE, HAND_OVER, READ, SELECT, Travel
from spec.nm.config import preset
from spec.nm.cycles import ACCUMULATE_CYCLES
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def test_stages_are_those_of_the_cycle_model(rng):
    assert (READ, DISTRIBUTE, SELECT, HAND_OVER) == (2, 3, 4, ACCUMULATE_CYCLES)
    issued = rng.integers(0, 2, 40).tolist()
    steps = [{"i.valid": on, "i.payload.number": at % 16} for at, on in enumerate(issued)]
    names = ("read", "distribute", "select", "hand_over")
    outputs = [f"{name}.{part}" for name in names for part in ("valid", "payload.number")]
    found = play(Travel(preset("tiny")), steps, outputs)
    for place, stage in enumerate((READ, DISTRIBUTE, SELECT, HAND_OVER)):
        seen = [row[2 * place : 2 * place + 2] for row in found[stage:]]
        assert seen == [(on, at % 16) for at, on in enumerate(issued[: 40 - stage])]
        assert not any(row[2 * place] for row in found[:stage])
