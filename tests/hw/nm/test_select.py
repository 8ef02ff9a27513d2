"""Select: every place of a window, a cycle later."""

import pytest

from hw.nm.select import Select
from spec.nm.config import preset
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("m", [2, 4, 16])
def test_every_place(rng, m):
    config = preset("tiny", m=m, n=1)
    windows = rng.integers(-128, 128, (3 * m, m)).tolist()
    steps = [{"window": one, "place": at % m} for at, one in enumerate(windows)]
    found = play(Select(config), steps, ["o"], tail=1)
    expected = [window[at % m] for at, window in enumerate(windows)]
    assert [o for (o,) in found[Select.latency :]] == expected


def test_nothing_to_choose():
    select = Select(preset("tiny", n=1, m=1, groups=2))
    assert "place" not in select.signature.members
    found = play(select, [{"window": [act]} for act in (3, -128, 127)], ["o"], tail=1)
    assert found == [(0,), (3,), (-128,), (127,)]
