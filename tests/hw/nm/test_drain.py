"""Drain: every row requantized with its own parameters, in order, whoever takes them."""

import numpy as np
import pytest

from hw.nm.drain import Drain
from sim.limbs import split
from spec.nm.config import preset
from spec.nm.cycles import accumulate_cycles, result_cycles
from spec.nm.stream import unpack_results
from spec.numbers import requantize, signed_bounds
from tests.hw.streams import paces, receive, simulate

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("act_bits", [8, 11])
@pytest.mark.parametrize("traffic", range(6))
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("pipeline", [False, True])
def test_tiles(rng, act_bits, traffic, relu, pipeline):
    """Two strips of two tiles, with parameters in two banks: rows, and when banks are free."""
    config = preset("tiny", act_bits=act_bits, pipeline=pipeline)
    dut, rows = Drain(config), config.rows
    low, high = signed_bounds(20)
    sums = rng.integers(low, high + 1, (4, rows, config.columns))
    bias = rng.integers(low, high + 1, (2, rows))
    multiplier = rng.integers(0, 1 << config.multiplier_bits, (2, rows))
    shift = rng.integers(0, 40, (2, rows))
    _, pace = paces(rng)[traffic]
    gaps = [0, int(rng.integers(3)), int(rng.integers(3)), 0]
    begins = np.cumsum([rows + gap for gap in gaps]) - rows
    done = []

    async def play_array(ctx) -> None:
        ctx.set(dut.settings.relu, relu)
        asked = None
        ports = (dut.parameters.enable, dut.parameters.bank, dut.parameters.item)
        done_ports = (dut.strip_done.enable, dut.strip_done.bank)
        for cycle in range(60):
            ctx.set(dut.i.valid, cycle in begins)
            if cycle in begins:
                tile = int(np.flatnonzero(begins == cycle)[0])
                step = {"last": 1, "weight_bank": tile // 2, "ends_strip": tile % 2}
                for name, value in (step | {"ends_run": int(tile == 3)}).items():
                    ctx.set(dut.i.payload[name], value)
            for tile, begin in enumerate(begins):
                if 0 < cycle - begin <= rows:
                    row = sums[tile, cycle - begin - 1].tolist()
                    for column, value in enumerate(row):
                        ctx.set(dut.sums[column], value)
            if asked:
                bank, item = asked
                ctx.set(dut.parameters.data.bias, int(bias[bank, item]))
                ctx.set(dut.parameters.data.multiplier, int(multiplier[bank, item]))
                ctx.set(dut.parameters.data.shift, int(shift[bank, item]))
            sample = await ctx.tick().sample(*ports, *done_ports)
            enable, bank, item, is_done, done_bank = sample[2:]
            asked = (bank, item) if enable else None
            if is_done:
                done.append((cycle, done_bank))

    async def take(ctx) -> list:
        return await receive(ctx, dut.o, 4 * rows, pace)

    _, taken = simulate(dut, play_array, take)
    expected = [
        requantize(
            sums[tile, row],
            int(bias[tile // 2, row]),
            int(multiplier[tile // 2, row]),
            int(shift[tile // 2, row]),
            act_bits=act_bits,
            relu=relu,
        ).tolist()
        for tile in range(4)
        for row in range(rows)
    ]
    words = split([one.payload for one in taken], config.result_limbs)
    found = unpack_results(config, words)
    assert found.tolist() == expected
    assert done == [(begins[1] + rows, 0), (begins[3] + rows, 1)]
    assert dut.latency == result_cycles(config) - accumulate_cycles(config)
    if traffic == 0:
        assert taken[0].cycle == begins[0] + dut.latency
