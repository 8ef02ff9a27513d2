"""What the host loads when: plans of turns, and counts of words against a host that is stepped."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.eie.descriptor import descriptor_words
from spec.eie.golden import GoldenModel
from spec.eie.loading import (
    Turn,
    count_loads,
    feed_words,
    fit_together,
    plan_turns,
    segment_words,
)
from spec.eie.program import Program, Segment, Slice
from tests.programs import random_acts, random_case, random_program

pytestmark = pytest.mark.unit

CONFIG = preset("tiny", codebooks=8, layers=8)
"""Room for two segments of the programs below."""


def segments_of(rng: np.random.Generator, config: EieConfig, count: int, **options) -> Program:
    """A layer in ``count`` passes over its inputs, each a segment, at the bottom and top in
    turn."""
    options = {"tiles": (1, count), "segments": True, "density": 0.3} | options
    return random_program(rng, config, [4 * count, 8], **options)


def shown(turns: Sequence[Turn], program: Program) -> list[tuple[int, bool, int | None]]:
    """Turns as (segment, load, ahead), segments by their numbers."""
    number = {id(segment): index for index, segment in enumerate(program.segments)}
    return [
        (number[id(turn.segment)], turn.load, number[id(turn.ahead)] if turn.ahead else None)
        for turn in turns
    ]


def test_a_segment_is_loaded_once_if_it_is_the_only_one(rng):
    program = random_program(rng, CONFIG, [8, 4])
    runs = list(program.runs())
    turns = plan_turns(CONFIG, runs * 3)
    assert shown(turns, program) == [(0, True, None), (0, False, None), (0, False, None)]
    assert [turn.run for turn in turns] == [runs[0][1]] * 3
    again = plan_turns(CONFIG, runs * 2, turns[-1].segment)
    assert shown(again, program) == [(0, False, None)] * 2


def test_the_next_segment_is_written_behind_a_run(rng):
    program = segments_of(rng, CONFIG, 2)
    turns = plan_turns(CONFIG, list(program.runs()) * 2)
    assert shown(turns, program) == [(0, True, 1), (1, False, 0), (0, False, 1), (1, False, None)]


def test_segments_on_the_same_side_wait(rng):
    """Three segments: the last and the first of the next image are both at the bottom."""
    program = segments_of(rng, CONFIG, 3)
    turns = plan_turns(CONFIG, list(program.runs()) * 2)
    assert shown(turns, program) == [
        (0, True, 1),
        (1, False, 2),
        (2, False, None),
        (0, True, 1),
        (1, False, 2),
        (2, False, None),
    ]


def test_the_next_segment_is_written_behind_the_last_run_of_this_one(rng):
    program = segments_of(rng, CONFIG, 4, runs=2)
    turns = plan_turns(CONFIG, list(program.runs()))
    first, second = [(0, True, None), (0, False, 1)], [(1, False, None)] * 2
    assert shown(turns, program) == first + second


def test_without_a_double_buffer_nothing_is_written_ahead(rng):
    config = replace(CONFIG, double_buffer=False)
    program = segments_of(rng, config, 2)
    turns = plan_turns(config, list(program.runs()) * 2)
    assert shown(turns, program) == [(0, True, None), (1, True, None)] * 2


def grown(segment: Segment, **sizes: int) -> Segment:
    """The segment with that many words in some memories."""
    widths = {
        name: np.zeros((len(getattr(segment, name)), words), getattr(segment, name).dtype)
        for name, words in sizes.items()
    }
    return replace(segment, **widths)


@pytest.mark.parametrize(
    ("memory", "name", "room"),
    [("lines", "lines", 128), ("pointers", "pointers", 128), ("biases", "biases", 32)],
)
def test_segments_fit_together_up_to_the_last_word(rng, memory, name, room):
    bottom, top = segments_of(rng, CONFIG, 2).segments
    rest = room - bottom.sizes()[name]
    assert fit_together(CONFIG, bottom, grown(top, **{memory: rest}))
    assert fit_together(CONFIG, grown(top, **{memory: rest}), bottom)
    assert not fit_together(CONFIG, bottom, grown(top, **{memory: rest + 1}))
    assert not fit_together(CONFIG, bottom, replace(top, top=False))
    assert not fit_together(replace(CONFIG, double_buffer=False), bottom, top)


def test_codebooks_and_passes_need_room_as_well(rng):
    bottom, top = segments_of(rng, CONFIG, 2).segments
    assert (len(bottom.codebooks), len(bottom.passes)) == (1, 1)
    for name, enough in (("codebooks", 2), ("layers", 2)):
        assert fit_together(replace(CONFIG, **{name: enough}), bottom, top)
        assert not fit_together(replace(CONFIG, **{name: enough - 1}), bottom, top)


def test_words_of_a_segment(rng):
    """A codebook goes into every PE; a descriptor has words of its own."""
    config = preset("tiny")
    (segment,) = random_program(rng, config, [8, 12, 4], density=0.5).segments
    words = 4 * sum(segment.sizes()[name] for name in ("biases", "pointers", "lines"))
    words += 4 * 16 * len(segment.codebooks) + 2 * descriptor_words(config)
    assert segment_words(config, segment) == words


@pytest.mark.parametrize("lanes", [1, 4])
def test_words_of_a_feed(lanes):
    """Whole rows of four PEs, in every lane."""
    config = preset("tiny", lanes=lanes)
    for count, rows in ((1, 1), (4, 1), (5, 2), (12, 3)):
        assert feed_words(config, Slice(layer=0, first=0, count=count)) == rows * 4 * lanes
    assert feed_words(config, None) == 0


def stepped(
    config: EieConfig, turns: Sequence[Turn], cycles: Sequence[np.ndarray]
) -> tuple[list[int], list[list[int]]]:
    """A host that writes word by word, and the array's counter of what it wrote: a second, slow
    statement of :func:`count_loads`."""
    loads, hidden = [], []
    written, left = 0, 0
    for turn, lengths in zip(turns, cycles, strict=True):
        # Before the start: what the run before was too short for, or the segment; feed; arming.
        left += segment_words(config, turn.segment) if turn.load else 0
        left += feed_words(config, turn.run.feed) + 1
        while left:
            written, left = written + 1, left - 1
        loads.append(written)

        # From the start on, a word in every cycle.
        written, left = 0, segment_words(config, turn.ahead) if turn.ahead else 0
        hidden.append([])
        for length in lengths:
            hidden[-1].append(0)
            for _ in range(length):
                if left:
                    written, left = written + 1, left - 1
                    hidden[-1][-1] += 1
    return loads, hidden


def test_loads_are_those_of_a_host_that_is_stepped(rng):
    seen = set()
    for _ in range(30):
        config = replace(CONFIG, double_buffer=bool(rng.random() < 0.8))
        program = segments_of(
            rng, config, int(rng.integers(1, 5)), runs=int(rng.integers(1, 4)), density=0.5
        )
        runs = list(program.runs()) * int(rng.integers(1, 4))
        resident = program.segments[0] if rng.integers(2) else None
        turns = plan_turns(config, runs, resident)
        cycles = [rng.integers(1, 200, len(run.passes)) for _, run in runs]
        loads, hidden = count_loads(config, turns, cycles)
        told = stepped(config, turns, cycles)
        assert (loads.tolist(), [part.tolist() for part in hidden]) == told
        # The case of a run that is too short for the next segment, and that of one that is not.
        for turn, lengths, part in zip(turns, cycles, hidden, strict=True):
            seen.add((turn.ahead is not None, bool(part.sum() < lengths.sum())))
    assert {(True, True), (True, False), (False, True)} <= seen


def test_the_golden_model_counts_what_is_planned(rng):
    """``loads`` in the first pass of a run, ``hidden`` in all; what the last batch left in the
    memories is not loaded again."""
    for _ in range(30):
        case = random_case(rng, images=5)
        program, config = case.program, case.config
        model = GoldenModel(program)
        runs, times = list(program.runs()), -(-5 // config.lanes)
        spans = list(pairwise(np.cumsum([0, *(len(run.passes) for _, run in runs)]).tolist()))
        for resident in (None, program.segments[-1]):
            _, counts = model.run(case.batch)
            steps = [counts[slice(*span)] for span in spans] * times
            time = np.repeat(np.arange(times), len(runs)).tolist()
            told = {
                name: [
                    [int(one.of(name)[at]) for one in run]
                    for at, run in zip(time, steps, strict=True)
                ]
                for name in ("cycles", "loads", "hidden")
            }
            turns = plan_turns(config, runs * times, resident)
            loads, hidden = stepped(config, turns, [np.array(run) for run in told["cycles"]])
            assert [run[0] for run in told["loads"]] == loads
            assert not any(any(run[1:]) for run in told["loads"])
            assert told["hidden"] == hidden


def test_a_double_buffer_hides_loads_and_changes_nothing_else(rng):
    program = segments_of(rng, CONFIG, 2)
    single = replace(program, config=replace(CONFIG, double_buffer=False))
    batch = random_acts(rng, CONFIG, 3, program.inputs)
    hidden, counted = GoldenModel(program).run(batch), GoldenModel(single).run(batch)
    assert (hidden[0] == counted[0]).all()
    for one, other in zip(hidden[1], counted[1], strict=True):
        assert (one.of("cycles") == other.of("cycles")).all()
        assert (one.of("loads") == other.of("loads")).all()
        assert not other.of("hidden").any()
    words = [segment_words(CONFIG, segment) for segment in program.segments]
    first, second = (one.of("hidden") for one in hidden[1])
    assert (first == np.minimum(words[1], hidden[1][0].of("cycles"))).all()
    assert (first > 0).all()
    assert second.tolist()[-1] == 0
    assert (second[:-1] > 0).all()
