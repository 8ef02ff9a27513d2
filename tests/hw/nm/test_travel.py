"""Travel: where a step is, as the cycle model's pipeline says."""

import pytest

from hw.nm.travel import Travel, stages
from spec.nm.config import preset
from spec.nm.cycles import accumulate_cycles
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("pipeline", [False, True])
def test_stages_are_those_of_the_cycle_model(rng, pipeline):
    config = preset("tiny", pipeline=pipeline)
    at = stages(config)
    read, distribute, select = (2, 3, 5) if pipeline else (2, 3, 4)
    drain = accumulate_cycles(config)
    expected = {"read": read, "distribute": distribute, "select": select}
    expected |= {"hand_over": drain - pipeline, "drain": drain}
    assert at == expected
    issued = rng.integers(0, 2, 40).tolist()
    steps = [{"i.valid": on, "i.payload.number": at % 16} for at, on in enumerate(issued)]
    outputs = [f"{name}.{part}" for name in at for part in ("valid", "payload.number")]
    found = play(Travel(config), steps, outputs)
    for place, stage in enumerate(at.values()):
        seen = [row[2 * place : 2 * place + 2] for row in found[stage:]]
        assert seen == [(on, at % 16) for at, on in enumerate(issued[: 40 - stage])]
        assert not any(row[2 * place] for row in found[:stage])
