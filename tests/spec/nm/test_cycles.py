"""The cycle model against the clocked array, against what it says of itself, and the targets."""

import numpy as np
import pytest

from spec.nm.config import Mode, NmConfig, preset
from spec.nm.counters import CAUSES, COUNTERS, LOST
from spec.nm.cycles import RunCounts, count_run, queue_places, release_cycles, result_cycles
from spec.nm.descriptor import Descriptor, plan
from spec.nm.golden import GoldenModel
from spec.nm.stream import load_words, order_results
from tests.spec.nm.cases import Case, config_with_small_banks, random_case, random_config
from tests.spec.nm.clocked import Clocked, run_clocked

pytestmark = pytest.mark.unit


def assert_same(case: Case) -> None:
    """Bits and every counter: expected, golden, and clocked on the words of the load stream."""
    program, layer, tokens = case.program, case.layer, len(case.acts)
    outputs, counts = GoldenModel(program).run_layer(0, case.acts)
    assert np.array_equal(outputs, case.expected())
    descriptor = program.descriptor(0, tokens)
    words = load_words(program, 0, descriptor, case.acts)
    results, clocked = run_clocked(program.config, descriptor, words)
    assert dict(zip(COUNTERS, counts.values, strict=True)) == clocked, (program.config, descriptor)
    found = order_results(program.config, descriptor, results, layer.outputs, tokens)
    assert np.array_equal(program.in_place(0, found), outputs)


@pytest.mark.parametrize("most", [4, 12, 30])
def test_agrees_with_the_clocked_array(rng, most):
    for _ in range(25):
        assert_same(random_case(rng, most=most))


@pytest.mark.parametrize("mode", preset("tiny", m=8, n=4).modes, ids=str)
@pytest.mark.parametrize("gather", [False, True])
def test_agrees_in_every_mode(rng, mode, gather):
    for n, groups in ((4, 1), (2, 2)):
        config = preset("tiny", m=8, n=n, groups=groups, act_lines=8, weight_steps=64)
        for _ in range(3):
            assert_same(random_case(rng, config, mode=mode, gather=gather, most=40))


def test_agrees_when_blocks_are_small(rng):
    """Many blocks of one or two tiles, also with a single strip."""
    for rows in (1, 4, 16):
        for lines in (2, 3, 4):
            config = preset("tiny", rows=rows, act_lines=lines)
            assert_same(random_case(rng, config, most=2 * config.line_inputs))


@pytest.mark.parametrize("gather", [False, True])
def test_agrees_when_strips_are_cut_into_parts(rng, gather):
    parts = []
    for _ in range(30):
        config = config_with_small_banks(rng, load_bits=64)
        case = random_case(rng, config, gather=gather, most=40)
        assert_same(case)
        parts.append(case.layer.parts)
    assert parts.count(1) < 25
    assert max(parts) > 3


def test_ragged_traffic_changes_no_bit(rng):
    for _ in range(25):
        case = random_case(rng, most=16)
        config, tokens = case.program.config, len(case.acts)
        descriptor = case.program.descriptor(0, tokens)
        words = load_words(case.program, 0, descriptor, case.acts)
        much, little = rng.choice([0.1, 0.5, 0.9, 1.0], 2)
        array = Clocked(
            config,
            descriptor,
            words,
            lambda p=much: rng.random() < p,
            lambda p=little: rng.random() < p,
        )
        array.run()
        found = order_results(
            config, descriptor, np.array(array.results), case.layer.outputs, tokens
        )
        assert np.array_equal(case.program.in_place(0, found), case.expected())
        assert array.most_queued <= queue_places(config)
        paced = count_run(config, descriptor, case.program.steps(0))
        assert array.counts["cycles"] >= paced.of("cycles")
        assert array.counts["busy"] == paced.of("busy")
        assert array.counts["loads"] == paced.of("loads")


def test_a_single_step():
    """Written out: control, header to last line, a step, and the way of its results."""
    config = preset("tiny")
    counts = counts_of(config, "2:4", 1, 1, 1)
    header, parameters, values, planes, line = 1, 4, 1, 2, 2
    loads = header + parameters + values + planes + line
    expected = {"control": 1, "busy": 1, "weight_wait": loads - line, "act_wait": line}
    expected |= {"drain_wait": 0, "tail": 12 + 4, "loads": loads, "results": 4}
    expected["cycles"] = 1 + loads + 1 + 12 + 4
    assert dict(zip(COUNTERS, counts.values, strict=True)) == expected
    assert result_cycles(config) == 13
    assert (release_cycles(config), queue_places(config)) == (13, 17)


def test_causes_add_up(rng):
    assert set(LOST) == set(CAUSES) - {"busy"}
    for _ in range(100):
        config = random_config(rng)
        case = random_case(rng, config)
        counts = GoldenModel(case.program).run_layer(0, case.acts)[1]
        assert sum(counts.of(name) for name in CAUSES) == counts.of("cycles")


def test_tiles_shorter_than_the_drain_take_a_cycle_per_row():
    config = preset("default")
    counts = counts_of(config, "1:4", 64, 8, 512)
    tiles = 64 // config.rows * 512 // config.columns
    assert counts.of("busy") == tiles
    assert counts.of("cycles") >= (tiles - 1) * config.rows
    assert counts.of("drain_wait") >= 0.9 * (tiles - 1) * (config.rows - 1)


# Targets ----------------------------------------------------------------------------------------

BERT = [(768, 768), (3072, 768), (768, 3072)]
"""Outputs, inputs; 128 tokens."""


def counts_of(
    config: NmConfig, mode: str, outputs: int, inputs: int, tokens: int, kept: int | None = None
) -> RunCounts:
    """A layer that keeps ``kept`` inputs in every strip, evenly from all banks."""
    pattern = Mode.parse(mode)
    descriptor: Descriptor = plan(
        config,
        mode=config.mode_number(pattern),
        gather=kept is not None,
        relu=False,
        outputs=outputs,
        inputs=inputs,
        tokens=tokens,
    )
    steps = -(-(kept or inputs) // config.step_inputs(pattern))
    return count_run(config, descriptor, [steps] * descriptor.strips)


@pytest.mark.parametrize(("outputs", "inputs"), BERT)
def test_targets_on_bert(outputs, inputs):
    config = preset("default")
    dense = counts_of(config, "dense", outputs, inputs, 128)
    for mode, kept, most in (
        ("dense", None, 1.0),
        ("2:4", None, 0.505),
        ("1:4", None, 0.26),
        ("2:4", inputs // 2, 1 / 3.8),
    ):
        counts = counts_of(config, mode, outputs, inputs, 128, kept)
        assert counts.of("cycles") <= most * dense.of("cycles")
        pattern = Mode.parse(mode)
        useful = outputs * (kept or inputs) * pattern.n // pattern.m * 128
        assert useful == counts.of("busy") * config.slots
        assert counts.utilization(config, useful) >= 0.97


def test_target_on_small_tiles():
    config = preset("default")
    dense, sparse = (counts_of(config, mode, 64, 64, 64).of("cycles") for mode in ("dense", "2:4"))
    assert sparse <= 0.55 * dense
