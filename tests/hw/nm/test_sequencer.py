"""Sequencer: the order of steps, and which of several reasons to wait is told."""

import pytest

from hw.nm.sequencer import Sequencer
from spec.nm.config import NmConfig, preset
from spec.nm.cycles import queue_places
from spec.nm.descriptor import Descriptor
from tests.hw.streams import play

pytestmark = pytest.mark.unit

ALWAYS = {"loaded.full.0": 1, "loaded.full.1": 1, "loaded.tiles.0": 32, "loaded.tiles.1": 32}


def settings_of(config: NmConfig, **fields) -> dict:
    blank = {"mode": 0, "gather": 0, "relu": 0, "strips": 1, "input_lines": 1, "tiles": 1}
    return {"settings": blank | {"block_tiles": 1, "ahead_lines": 0, "parts": 1} | fields}


def run_of(start: dict) -> list[dict]:
    """The begin of a run: in its first cycle nothing is loaded."""
    return [start | {f"loaded.full.{bank}": 0 for bank in range(2)} | {"result": 0}, start]


@pytest.mark.parametrize("mode", range(4))
def test_order_of_steps(mode):
    """Blocks, strips, tiles, steps; lines by the mode's inputs. A result leaves in every cycle."""
    config = preset("tiny", rows=1)
    d = Descriptor(
        mode=mode, gather=False, relu=False, strips=2, input_lines=3, tiles=5, block_tiles=2,
        ahead_lines=1,
    )  # fmt: skip
    steps_of = [5, 3]
    expected = [
        {
            "number": step,
            "at": step * config.step_inputs(config.modes[mode]) % config.line_inputs,
            "line": step * config.step_inputs(config.modes[mode]) // config.line_inputs,
            "base": tile * d.input_lines,
            "weight_bank": strip,
            "act_bank": block % 2,
            "first": int(step == 0),
            "last": int(step == steps_of[strip] - 1),
        }
        for block in range(d.blocks)
        for strip in range(2)
        for tile in range(d.tiles_of(block))
        for step in range(steps_of[strip])
    ]
    fields = {name: int(getattr(d, name)) for name in vars(d)}
    start = ALWAYS | settings_of(config, **fields)
    start |= {"loaded.last_step.0": 4, "loaded.last_step.1": 2, "result": 0}
    ports = ["o.valid", "o.payload"]
    found = play(Sequencer(config), run_of(start), ports, tail=len(expected) + 14)
    steps = [step for valid, step in found if valid]
    ends = [{name: step.pop(name) for name in ("ends_strip", "ends_run")} for step in steps]
    places = queue_places(config)
    assert steps == expected[: len(steps)]
    assert sum(step["last"] for step in steps) == min(10, places)
    assert [end["ends_run"] for end in ends] == [0] * (len(ends) - 1) + [1]
    strip_ends = [at for at, end in enumerate(ends) if end["ends_strip"]]
    assert strip_ends == [9, 15, 25, 31, 36, 39]


@pytest.mark.parametrize("gather", [0, 1])
def test_parts_go_on_until_the_last(gather):
    """Two tiles, two strips of three parts: sums begin with the first and leave with the last, and
    inputs go on from part to part, but for gathered ones."""
    config = preset("tiny", rows=1)
    sizes = {"strips": 6, "parts": 3, "tiles": 2, "gather": gather, "input_lines": 3}
    start = ALWAYS | settings_of(config, **sizes)
    start |= {"loaded.last_step.0": 3, "loaded.last_step.1": 3, "result": 0}
    found = play(Sequencer(config), run_of(start), ["o.valid", "o.payload"], tail=70)
    steps = [step for valid, step in found if valid]
    assert len(steps) == 2 * 2 * 3 * 4
    for at, step in enumerate(steps):
        part, number = at // 4 % 3, at % 4
        inputs = (number if gather else part * 4 + number) * config.step_inputs(config.modes[0])
        assert (step["line"], step["at"]) == divmod(inputs, config.line_inputs)
        assert step["first"] == (part == number == 0)
        assert step["ends_strip"] == (number == 3)
        assert step["last"] == (part == 2 and number == 3)
        assert step["ends_run"] == (at == len(steps) - 1)


NAMES = ["busy", "weight_wait", "act_wait", "drain_wait", "tail"]


def causes(config: NmConfig, steps: list[dict], tail: int = 0) -> list[str]:
    """What became of each cycle; exactly one thing did."""
    rows = play(Sequencer(config), steps, [f"causes.{name}" for name in NAMES], tail=tail)
    assert all(sum(row) == 1 for row in rows)
    return [NAMES[row.index(1)] for row in rows]


def test_waits_for_weights_first():
    config = preset("tiny", rows=1)
    steps = [settings_of(config) | {"loaded.last_step.0": 1}, {"loaded.full.0": 1}]
    steps += [{"loaded.tiles.0": 1, "loaded.full.0": 0}, {"loaded.full.0": 1}, {}, {}]
    expected = ["weight_wait", "act_wait", "weight_wait", "busy", "busy", "tail"]
    assert causes(config, steps) == expected


def test_waits_until_the_drain_is_empty():
    """Tiles of one step, of four rows: a step every four cycles."""
    config = preset("tiny")
    start = ALWAYS | settings_of(config, tiles=3, block_tiles=3) | {"result": 1}
    found = causes(config, run_of(start), tail=9)
    tile = ["busy", *["drain_wait"] * 3]
    assert found == ["weight_wait", *tile, *tile, "busy", "tail"]


def test_waits_for_room_in_the_queue():
    """Rows that nobody takes: as many tiles as the queue holds, then one for every tile taken."""
    config = preset("tiny")
    tiles = queue_places(config) // config.rows
    start = ALWAYS | settings_of(config, tiles=30, block_tiles=30)
    steps = [*run_of(start), *[{}] * 40, *[{"result": 1}] * config.rows, {"result": 0}, *[{}] * 10]
    found = causes(config, steps)
    assert found[:41].count("busy") == tiles
    assert found[41:].count("busy") == 1
