"""Datapath: it computes what the array computes."""

import numpy as np
import pytest

from hw.measure.datapath import Datapath
from hw.nm.distribute import distribute_latency
from hw.nm.mac import mac_latency
from spec.nm.config import Mode, NmConfig, preset
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def assert_step(rng: np.random.Generator, config: NmConfig, mode: Mode, at: int) -> None:
    """A step whose inputs begin at ``at``: the sums of all rows and columns."""
    count = config.multipliers
    lines = rng.integers(-128, 128, (config.columns, config.line_inputs))
    weights = rng.integers(-128, 128, (config.rows, count))
    places = rng.integers(0, mode.m, (config.rows, count))
    step = {"valid": 1, "first": 1, "weights": weights.tolist()}
    if config.place_bits:
        step["places"] = places.tolist()
    windows = distribute_latency(config)
    hand_over = windows + mac_latency(config)
    steps: list[dict] = [{} for _ in range(hand_over + 2 + config.rows)]
    steps[0] = {"lines": lines.tolist(), "at": at}
    steps[windows] = step
    steps[windows + 1] = {"valid": 0}
    steps[hand_over] = {"hand_over": 1}
    steps[hand_over + 1] = {"hand_over": 0}
    before = {"mode": config.mode_number(mode)}
    found = [o for (o,) in play(Datapath(config), [before, *steps], ["o"])][1:]
    groups = np.arange(count) // mode.n * mode.m
    for row in range(config.rows):
        picked = lines[:, at + groups + places[row]]
        assert found[hand_over + 1 + row] == (picked * weights[row]).sum(axis=1).tolist()


@pytest.mark.parametrize(
    "config", [preset("tiny"), preset("tiny", n=1, m=1, groups=2)], ids=["N:M", "dense only"]
)
def test_steps_of_every_mode_at_every_place_of_a_line(rng, config):
    for mode in config.modes:
        for at in range(0, config.line_inputs, config.step_inputs(mode)):
            assert_step(rng, config, mode, at)
