"""Activation store: two halves, written by the host and by drain, read by host and scan."""

import numpy as np
import pytest

from hw.eie.act_store import ActStore
from spec.eie.config import EieConfig, preset
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


def address_of(config: EieConfig, half: int, row: int) -> int:
    return half << config.act_row_bits | row


@pytest.mark.parametrize("writer", ["host_write", "drain"])
@pytest.mark.parametrize("reader", ["host_read", "scan"])
@pytest.mark.parametrize("act_rows", [1, 5, 16])
def test_two_halves(writer: str, reader: str, act_rows: int, rng: np.random.Generator) -> None:
    """Every word of both halves keeps its value; a read answers in the next cycle, and holds it."""
    config = preset("tiny", act_rows=act_rows)
    low, high = signed_bounds(config.act_bits)
    places = [address_of(config, half, row) for half in (0, 1) for row in range(act_rows)]
    values = rng.integers(low, high + 1, len(places)).tolist()
    values[0] = low
    steps: list[dict] = [
        {f"{writer}.enable": 1, f"{writer}.address": place, f"{writer}.data": value}
        for place, value in zip(places, values, strict=True)
    ]
    steps.append({f"{writer}.enable": 0})
    picks = rng.permutation(len(places))
    for pick in picks:
        steps.append({f"{reader}.enable": 1, f"{reader}.address": places[pick]})
        steps.append({f"{reader}.enable": 0, f"{reader}.address": 0})
    found = [value for (value,) in play(ActStore(config), steps, [f"{reader}.data"], tail=1)]
    answers = found[len(places) + 2 :]
    assert answers == np.repeat(np.array(values)[picks], 2).tolist()


def test_drain_writes_while_the_scan_reads(rng: np.random.Generator) -> None:
    """One half goes out, the other comes in, in the same cycles."""
    config = preset("tiny", act_rows=8)
    source = rng.integers(-99, 99, 8).tolist()
    made = rng.integers(-99, 99, 8).tolist()
    load: list[dict] = [
        {"host_write.enable": 1, "host_write.address": row, "host_write.data": value}
        for row, value in enumerate(source)
    ]
    both: list[dict] = [
        {
            "host_write.enable": 0,
            "scan.enable": 1,
            "scan.address": row,
            "drain.enable": 1,
            "drain.address": address_of(config, 1, row),
            "drain.data": value,
        }
        for row, value in enumerate(made)
    ]
    check: list[dict] = [
        {"drain.enable": 0, "scan.enable": 1, "scan.address": address_of(config, 1, row)}
        for row in range(8)
    ]
    found = [
        value for (value,) in play(ActStore(config), load + both + check, ["scan.data"], tail=1)
    ]
    assert found[len(load) + 1 :] == source + made
