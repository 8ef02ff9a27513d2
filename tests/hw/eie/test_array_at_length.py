"""The array's tests at length: resets in every cycle, chains of passes, rubbish in memories."""

import numpy as np
import pytest

from sim.eie.pysim import PysimPort
from tests.hw.eie.machine import CONFIGS, random_machine
from tests.hw.eie.test_array import CHAINS, assert_resets, chain
from tests.hw.eie.test_array_errors import assert_survives_rubbish

pytestmark = pytest.mark.flow


@pytest.mark.parametrize("name", ["ahead", "published"])
def test_reset_in_every_cycle(name: str, rng: np.random.Generator) -> None:
    """Of a run of two layers."""
    machine = random_machine(rng, CONFIGS[name])
    assert_resets(machine, list(range(1, machine.cycles)))


@pytest.mark.parametrize("trial", range(12))
def test_chains(trial: int, rng: np.random.Generator) -> None:
    """Up to six passes, any of them summed or drained, swapping or not."""
    passes = int(rng.integers(2, 7))
    drains = (*(bool(drain) for drain in rng.random(passes - 1) < 0.6), True)
    swaps = tuple(bool(swap) for swap in rng.random(passes) < 0.5)
    chain(rng, PysimPort(CHAINS), drains, swaps).assert_right()


@pytest.mark.parametrize("trial", range(8))
@pytest.mark.parametrize("name", CONFIGS)
def test_rubbish(name: str, trial: int, rng: np.random.Generator) -> None:
    """See :func:`tests.hw.eie.test_array_errors.assert_survives_rubbish`."""
    assert_survives_rubbish(CONFIGS[name], rng)
