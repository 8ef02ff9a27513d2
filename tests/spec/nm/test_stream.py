"""The order of loading and of results."""

import time

import numpy as np
import pytest

from spec.nm.config import preset
from spec.nm.descriptor import Descriptor
from spec.nm.stream import (
    LineLoad,
    StripLoad,
    load_words,
    order_results,
    pack_acts,
    pack_results,
    result_count,
    schedule,
    unpack_results,
)
from spec.numbers import signed_bounds
from tests.spec.nm.cases import random_case

pytestmark = pytest.mark.unit


def descriptor(**changes: int) -> Descriptor:
    sizes = {"strips": 2, "input_lines": 3, "tiles": 5, "block_tiles": 2, "ahead_lines": 4}
    return Descriptor(mode=0, gather=False, relu=False, **(sizes | changes))


def test_the_order_of_loading():
    assert list(schedule(descriptor())) == [
        StripLoad(0, 0),
        LineLoad(0, 0, 6),
        StripLoad(0, 1),
        LineLoad(1, 0, 4),
        StripLoad(1, 0),
        LineLoad(1, 4, 2),
        StripLoad(1, 1),
        LineLoad(2, 0, 3),
        StripLoad(2, 0),
        StripLoad(2, 1),
    ]


def test_every_line_and_strip_is_loaded_once_in_order(rng):
    for _ in range(100):
        names = ("strips", "input_lines", "tiles", "block_tiles")
        sizes = {name: int(rng.integers(1, 6)) for name in names}
        one = descriptor(**sizes, ahead_lines=int(rng.integers(0, 8)))
        loads = list(schedule(one))
        lines = [
            (load.block, line)
            for load in loads
            if isinstance(load, LineLoad)
            for line in range(load.first, load.first + load.count)
        ]
        assert lines == [
            (block, line)
            for block in range(one.blocks)
            for line in range(one.tiles_of(block) * one.input_lines)
        ]
        strips = [(load.block, load.strip) for load in loads if isinstance(load, StripLoad)]
        assert strips == [(b, s) for b in range(one.blocks) for s in range(one.strips)]


def test_where_an_activation_stands(rng):
    for _ in range(20):
        case = random_case(rng)
        config, tokens = case.program.config, len(case.acts)
        one = case.program.descriptor(0, tokens)
        words = pack_acts(config, one, case.acts)
        lanes, slot = config.line_inputs, config.act_slot_bits
        for _ in range(20):
            token, number = (int(rng.integers(size)) for size in case.acts.shape)
            tile, column = divmod(token, config.columns)
            line, lane = divmod(number, lanes)
            limbs = words[tile * one.input_lines + line].ravel()
            whole = sum(int(limb) << 64 * at for at, limb in enumerate(limbs))
            field = whole >> (lane * config.columns + column) * slot & (1 << slot) - 1
            assert field == int(case.acts[token, number]) & (1 << slot) - 1


def test_the_stream_is_as_long_as_the_counter_says(rng):
    from spec.nm.golden import GoldenModel

    for _ in range(20):
        case = random_case(rng)
        counts = GoldenModel(case.program).run_layer(0, case.acts)[1]
        one = case.program.descriptor(0, len(case.acts))
        assert len(load_words(case.program, 0, one, case.acts)) == counts.of("loads")
        assert result_count(case.program.config, one) == counts.of("results")


@pytest.mark.parametrize("act_bits", [2, 3, 8, 11, 16])
@pytest.mark.parametrize("columns", [1, 2, 8, 64, 256])
def test_where_a_result_stands(rng, columns, act_bits):
    """Sign-extended to its slot, column 0 lowest, zeros behind the last; and back."""
    config = preset("default", columns=columns, act_bits=act_bits)
    low, high = signed_bounds(act_bits)
    slot = 1 << (act_bits - 1).bit_length()
    for count in (0, 1, 9):
        results = rng.integers(low, high, (count, columns), endpoint=True)
        words = pack_results(config, results)
        assert (words.dtype, words.shape) == (np.uint64, (count, config.result_limbs))
        assert config.result_limbs == -(-columns * slot // 64)
        for row, limbs in zip(results.tolist(), words.tolist(), strict=True):
            whole = sum(limb << 64 * at for at, limb in enumerate(limbs))
            assert whole == sum(value % (1 << slot) << slot * at for at, value in enumerate(row))
        found = unpack_results(config, words)
        assert (found.dtype, found.shape) == (np.int64, results.shape)
        assert np.array_equal(found, results)


def test_many_results_take_no_time(rng):
    """As whole arrays, not one by one: a real layer gives hundreds of thousands."""
    config = preset("default")
    words = rng.integers(0, 1 << 63, (100_000, config.result_limbs)).astype(np.uint64)
    started = time.monotonic()
    results = unpack_results(config, words)
    assert np.array_equal(pack_results(config, results), words)
    assert time.monotonic() - started < 1


def test_results_are_put_in_order():
    config = preset("tiny", rows=2, columns=2)
    one = descriptor(input_lines=1, tiles=3, block_tiles=2)
    # Word by word: block, strip, tile, row; each word a number for both columns.
    results = np.repeat(np.arange(12)[:, None], 2, axis=1)
    ordered = order_results(config, one, results, outputs=4, tokens=5)
    assert ordered[0].tolist() == ordered[1].tolist() == [0, 1, 4, 5]
    assert ordered[2].tolist() == [2, 3, 6, 7]
    assert ordered[4].tolist() == [8, 9, 10, 11]
