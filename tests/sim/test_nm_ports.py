"""The port of the N:M array: the load stream and the result stream of a run."""

import numpy as np
import pytest

from sim.limbs import join
from spec.errors import UserError
from sw.host.port import StillBusyError
from tests.sim.ports import CODE, RAGGED, NmHost, each_executor
from tests.sim.toy_machine import NmToy

pytestmark = each_executor

CONFIG = NmHost.config


@pytest.fixture(params=RAGGED)
def host(request, executor):
    with NmHost.open(executor, ragged=RAGGED[request.param]) as host:
        yield host


def loads(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random words of the load stream."""
    return rng.integers(0, 2**64, (count, CONFIG.limbs), np.uint64)


def given(words: np.ndarray) -> list[int]:
    """What the toy machine makes of them."""
    return [(word + at) % (1 << CONFIG.lane_bits) for at, word in enumerate(join(words))]


def mistakes(host: NmHost) -> int:
    """What the toy machine has seen the host do wrong on its streams."""
    return host.control(2)


@pytest.mark.parametrize("count", [0, 1, 9, 40])
def test_streams_are_served_during_a_run(host, rng, count):
    for cycles in (1, 2, 3, 17, 18, 1000):
        words = loads(rng, count)
        host.prepare(cycles)
        ran = host.port.run(2000, words)
        assert (ran.cycles, ran.error) == (cycles, CODE)
        assert ran.results.shape == (len(ran.results), CONFIG.result_limbs)
        assert ran.results.dtype == np.uint64
        assert join(ran.results) == given(words)[: len(ran.results)]
        # From the first cycle on, the toy takes a word in every second one, and gives it back in
        # the next; or later, in ragged traffic.
        most = min(count, cycles // 2), min(count, (cycles - 1) // 2)
        if host.port.paced:
            assert (ran.taken, len(ran.results)) == most
        else:
            assert (ran.taken <= most[0], len(ran.results) <= most[1]) == (True, True)
            assert 0 <= ran.taken - len(ran.results) <= NmToy.DEPTH
    assert mistakes(host) == 0


def test_words_that_are_left_are_dropped(host, rng):
    """The next run begins with its own."""
    host.prepare(20)
    first, second = loads(rng, 50), loads(rng, 50)
    ran = host.port.run(100, first)
    assert ran.taken <= 10
    ran = host.port.run(100, second)
    assert join(ran.results) == given(second)[: len(ran.results)]


def test_nothing_is_offered_outside_a_run(host, rng):
    """Neither for a refused start, nor behind a run, in the middle of both streams or not."""
    ran = host.port.run(100, loads(rng, 5))
    assert (ran.cycles, ran.error, ran.taken, len(ran.results)) == (0, host.refused, 0, 0)
    for count in (0, 5, 1000):
        host.prepare(200)
        assert host.port.run(300, loads(rng, count)).taken >= min(count, 5)
        host.write(np.zeros(50, int), 1)
        assert mistakes(host) == 0
    words = loads(rng, 3)
    assert join(host.port.run(300, words).results) == given(words)


def test_a_run_that_does_not_end_can_be_reset(host, rng):
    host.prepare(300)
    with pytest.raises(StillBusyError, match="after 100 cycles"):
        host.port.run(100, loads(rng, 1000))
    host.port.reset()
    host.prepare(300)
    words = loads(rng, 8)
    ran = host.port.run(300, words)
    assert (ran.taken, join(ran.results)) == (8, given(words))


def test_both_sides_pause_on_their_own(executor, rng):
    """Each request draws a density for either side."""
    words, pairs = loads(rng, 1000), set()
    with NmHost.open(executor, ragged=3) as host:
        host.prepare(400)
        for _ in range(20):
            ran = host.port.run(400, words)
            pairs.add((ran.taken // 20, len(ran.results) // 20))
    assert len(pairs) >= 4


def test_long_streams(executor, rng):
    """More than any buffer on the way holds."""
    count = 3000 if executor == "pysim" else 20_000
    words = loads(rng, count)
    with NmHost.open(executor) as host:
        host.prepare(2 * count + 1)
        ran = host.port.run(3 * count, words)
    assert (ran.cycles, ran.taken) == (2 * count + 1, count)
    assert join(ran.results) == given(words)


def test_what_does_not_exist_is_refused(host):
    for wrong in ((2, 0), (0, 16), (0, -1)):
        with pytest.raises(UserError, match="does not exist"):
            host.port.read(*wrong)
        with pytest.raises(UserError, match="does not exist"):
            host.port.write(*wrong, 0)
    for wrong in (np.zeros((2, 2)), np.zeros(2, np.uint64), np.zeros((2, 3), np.uint64)):
        with pytest.raises(UserError, match=r"must be uint64 of shape \(words, 2\)"):
            host.port.run(10, wrong)
