"""Control: from start to end, every error, and which of several is kept."""

import pytest

from hw.nm.control import Control
from spec.nm.config import preset
from spec.nm.descriptor import Descriptor, descriptor_words
from spec.nm.iomap import Error
from tests.hw.streams import play

pytestmark = pytest.mark.unit

GOOD = {"mode": 1, "gather": True, "relu": True, "strips": 3, "input_lines": 2, "tiles": 5}
GOOD |= {"block_tiles": 4, "ahead_lines": 7, "parts": 1}
OUTPUTS = ["busy", "look", "run", "launch", "error"]


def writes_of(config, **changes) -> list[dict]:
    words = Descriptor(**(GOOD | changes)).pack(config)
    assert len(words) == descriptor_words(config)
    writes = [
        {"write_enable": 1, "write_address": at, "write_data": word}
        for at, word in enumerate(words)
    ]
    return [*writes, {"write_enable": 0}]


def test_keeps_the_descriptor():
    config = preset("default", act_lines=1 << 16)
    assert descriptor_words(config) == 2
    fields = {"mode": 3, "strips": 0xFFFF, "block_tiles": 1 << 16, "ahead_lines": 0x15555}
    writes = writes_of(config, **fields)
    assert play(Control(config), writes, ["settings"])[-1] == (GOOD | fields,)


def test_a_run():
    """Look for a cycle, run until the end; the next start is accepted at once."""
    steps = [*writes_of(preset("tiny")), {"start": 1}, {"start": 0}, {}, {}, {"ended": 1}]
    steps += [{"ended": 0, "start": 1}, {"start": 0}, {}]
    found = play(Control(preset("tiny")), steps, OUTPUTS)
    idle, look, run = (0, 0, 0, 0, 0), (1, 1, 0, 0, 0), (1, 0, 1, 0, 0)
    launch = (0, 0, 0, 1, 0)
    begin = len(steps) - 8
    assert found[begin:] == [launch, look, run, run, run, launch, look, run]
    assert found[:begin] == [idle] * begin


@pytest.mark.parametrize(
    "change",
    [{name: 0} for name in ("strips", "input_lines", "tiles", "block_tiles", "parts")]
    + [{"mode": 3}, {"gather": True}, {"parts": 2}],
    ids=str,
)
def test_impossible_descriptors(change):
    """Refused after the look; a start meanwhile does not hide it."""
    config = preset("tiny", n=1, gather_lines=0)
    assert len(config.modes) == 3
    steps = [*writes_of(config, **({"gather": False} | change)), {"start": 1}, {}, {"start": 0}, {}]
    found = play(Control(config), steps, OUTPUTS)
    assert found[-3:] == [(1, 1, 0, 0, 0), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1)]


def test_nothing_missing_is_refused():
    config = preset("tiny")
    steps = [*writes_of(config, ahead_lines=0, mode=0), {"start": 1}, {"start": 0}, {}]
    assert play(Control(config), steps, OUTPUTS)[-1] == (1, 0, 1, 0, 0)


def test_after_reset_there_is_no_layer():
    found = play(Control(preset("tiny")), [{"start": 1}, {"start": 0}, {}], OUTPUTS)
    assert found[-1] == (0, 0, 0, 0, Error.DESCRIPTOR)


@pytest.mark.parametrize("busy_first", [False, True])
def test_errors_of_a_run(busy_first):
    """A strip that does not fit ends the run and outdoes an earlier ``BUSY``, which does not
    replace it; a start clears it."""
    steps = [*writes_of(preset("tiny")), {"start": 1}, {"start": busy_first}, {"start": 0}]
    steps += [{"strip_error": 1, "start": 1}, {"strip_error": 0, "start": 0}, {}, {"start": 1}, {}]
    found = [row[-1] for row in play(Control(preset("tiny")), steps, OUTPUTS)]
    before = Error.BUSY if busy_first else Error.NONE
    assert found[-6:] == [before, before, *[Error.STRIP] * 3, Error.NONE]
    busy = [row[0] for row in play(Control(preset("tiny")), steps, OUTPUTS)]
    assert busy[-6:] == [1, 1, 0, 0, 0, 1]
