"""Activation queue and ahead queue: as deep as configured, columns and spans in order."""

import numpy as np
import pytest

from hw.eie.act_queue import ActQueue
from hw.eie.ahead_queue import AheadQueue
from spec.eie.config import EieConfig, preset
from spec.numbers import signed_bounds
from tests.hw.streams import paces, receiver, send, sender, simulate, steady

pytestmark = pytest.mark.unit


def random_columns(rng: np.random.Generator, config: EieConfig, count: int) -> list[dict]:
    low, high = signed_bounds(config.act_bits)
    pointers = rng.integers(0, 1 << config.pointer_address_bits, count).tolist()
    values = rng.choice([low, -1, 1, high], (count, config.lanes)).tolist()
    return [{"pointer": p, "values": v} for p, v in zip(pointers, values, strict=True)]


def random_spans(rng: np.random.Generator, config: EieConfig, count: int) -> list[dict]:
    lines = rng.integers(0, config.lines + 1, (count, 2)).tolist()
    slots = rng.integers(0, 1 << config.slot_bits, (count, 2)).tolist()
    columns = random_columns(rng, config, count)
    return [
        {
            "start": {"slot": slot[0], "line": line[0]},
            "end": {"slot": slot[1], "line": line[1]},
            "values": column["values"],
        }
        for line, slot, column in zip(lines, slots, columns, strict=True)
    ]


CASES = [
    pytest.param(ActQueue, random_columns, {"queue_depth": 1, "queue_spare": False}, 1, id="act-1"),
    pytest.param(
        ActQueue, random_columns, {"queue_depth": 2, "queue_spare": True}, 1, id="act-2-spare"
    ),
    pytest.param(
        ActQueue, random_columns, {"queue_depth": 8, "queue_spare": True}, 7, id="act-8-spare"
    ),
    pytest.param(ActQueue, random_columns, {"queue_depth": 8, "lanes": 2}, 8, id="act-8"),
    pytest.param(AheadQueue, random_spans, {"ahead_depth": 1}, 1, id="ahead-1"),
    pytest.param(AheadQueue, random_spans, {"ahead_depth": 4}, 4, id="ahead-4"),
]


@pytest.mark.parametrize(("unit", "draw", "fields", "places"), CASES)
def test_keeps_places_in_order(unit, draw, fields, places, rng: np.random.Generator) -> None:
    """Exactly ``places`` go in without a taker; all comes out in order, ``latency`` later."""
    config = preset("tiny", **fields)
    dut = unit(config)

    async def fill(ctx) -> int:
        await send(ctx, dut.i, draw(rng, config, places))
        return ctx.get(dut.i.ready)

    assert simulate(dut, fill) == [0]

    payloads = draw(rng, config, 40)
    for maker, taker in paces(rng):
        dut = unit(config)
        sent, taken = simulate(dut, sender(dut.i, payloads, maker), receiver(dut.o, 40, taker))
        assert [payload for _, payload in taken] == payloads
        if taker is steady:
            assert [cycle for cycle, _ in taken] == [cycle + dut.latency for cycle in sent]
