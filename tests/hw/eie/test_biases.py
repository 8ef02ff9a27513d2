"""Biases: those of all outputs of a PE, in the next cycle."""

import numpy as np
import pytest

from hw.eie.biases import Biases
from spec.eie.config import preset
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("count", [1, 7, 32])
def test_every_bias(count: int, rng: np.random.Generator) -> None:
    """Signed values, extremes included, written by the host, read in any order with gaps."""
    config = preset("tiny", biases=count)
    low, high = signed_bounds(config.acc_bits)
    values = rng.integers(low, high + 1, count)
    values[[0, -1]] = low, high
    mask = (1 << config.acc_bits) - 1
    steps: list[dict] = [
        {"write.enable": 1, "write.address": address, "write.data": value & mask}
        for address, value in enumerate(values.tolist())
    ]
    steps.append({"write.enable": 0})
    loading, picks = len(steps), rng.permutation(count)
    for pick in picks:
        steps.append({"enable": 1, "address": int(pick)})
        steps += [{"enable": 0, "address": 0}] * int(rng.integers(2))
    found = [bias for (bias,) in play(Biases(config), steps, ["bias"], tail=Biases.latency)]
    read = [at for at in range(loading, len(steps)) if steps[at]["enable"]]
    assert [found[at + Biases.latency] for at in read] == values[picks].tolist()
