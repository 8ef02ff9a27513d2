"""The port of the EIE array: PEs, and writes during a run."""

import numpy as np
import pytest

from spec.eie.iomap import Error, Memory, pack_writes
from spec.errors import UserError
from sw.host.eie.port import Port
from sw.host.port import PortError, StillBusyError
from tests.sim.ports import CODE, RAGGED, EieHost, each_executor

pytestmark = each_executor

CONFIG = EieHost.config
PES = np.arange(CONFIG.pes)
ADDRESSES = np.arange(16)


@pytest.fixture(params=RAGGED)
def host(request, executor):
    with EieHost.open(executor, ragged=RAGGED[request.param]) as host:
        yield host


@pytest.fixture
def port(host):
    return host.port


def test_every_pe_has_its_words(port, rng):
    words = rng.integers(0, 2**64, (CONFIG.pes, 16), np.uint64)
    port.write(Memory.ACTIVATIONS, PES[:, None], ADDRESSES, words)
    found = port.read(Memory.ACTIVATIONS, PES[:, None], ADDRESSES)
    np.testing.assert_array_equal(found, words)
    order = rng.permutation(16)
    np.testing.assert_array_equal(port.read(Memory.ACTIVATIONS, 1, order), words[1, order])


def test_pe_and_address_broadcast(port):
    port.write(Memory.ACTIVATIONS, PES, 3, 2**64 - 1)
    port.write(Memory.ACTIVATIONS, 1, 3, np.array(5, np.uint64))
    found = port.read(Memory.ACTIVATIONS, PES, 3)
    assert found.tolist() == [2**64 - 1, 5, 2**64 - 1]
    assert port.read(Memory.ACTIVATIONS, PES[:, None], ADDRESSES[:0]).shape == (3, 0)


def ahead(memory: Memory, words: np.ndarray) -> np.ndarray:
    """Writes of words to the PEs in turn, 16 to each, and again."""
    at, pe = np.divmod(np.arange(len(words)), CONFIG.pes)
    return pack_writes(CONFIG, memory, pe, at % 16, words)


def hidden(port: Port) -> int:
    """Writes that were taken during the last run."""
    return int(port.read(Memory.CONTROL, 0, 2))


@pytest.mark.parametrize("count", [1, 9, 40])
def test_words_are_written_during_a_run(host, port, rng, count):
    words = rng.integers(0, 2**64, count, np.uint64)
    for cycles in (1, 17, 1000):
        host.prepare(cycles)
        assert port.run(2000, ahead(Memory.LINES, words)) == (cycles, CODE)
        most = min(cycles, count)
        # One in each cycle from the first on, or fewer in ragged traffic.
        assert hidden(port) == most if port.paced else hidden(port) <= most
        found = port.read(Memory.ACTIVATIONS, PES, ADDRESSES[:, None]).ravel()
        np.testing.assert_array_equal(found[:count], words)
        words = words[::-1].copy()


def test_words_that_wait_for_the_end_are_written_then(host, port, rng):
    words = rng.integers(0, 2**64, 20, np.uint64)
    host.prepare(30)
    assert port.run(100, ahead(Memory.ACTIVATIONS, words)) == (30, CODE)
    assert hidden(port) == 0
    found = port.read(Memory.ACTIVATIONS, PES, ADDRESSES[:, None]).ravel()
    np.testing.assert_array_equal(found[:20], words)


def test_only_steady_ports_are_paced(executor):
    took = {}
    for traffic, seed in RAGGED.items():
        with EieHost.open(executor, ragged=seed) as host:
            host.prepare(100)
            host.port.run(1000, ahead(Memory.LINES, np.zeros(48, np.uint64)))
            before = host.clock()
            host.port.run(1000, ahead(Memory.LINES, np.zeros(3000, np.uint64)))
            took[traffic] = host.clock() - before
    assert took["ragged"] > took["steady"] + 100 > 3000


def test_words_during_a_run_that_does_not_end_are_dropped(host, port):
    port.write(Memory.ACTIVATIONS, PES, ADDRESSES[:, None], 7)
    host.prepare(500)
    with pytest.raises(StillBusyError):
        port.run(100, ahead(Memory.ACTIVATIONS, np.ones(30, np.uint64)))
    port.reset()
    assert (port.read(Memory.ACTIVATIONS, PES, ADDRESSES[:, None]) == 7).all()


def test_words_behind_a_run_that_wait_in_vain_are_told(host, port):
    host.prepare(5)
    for _ in range(2):
        with pytest.raises(PortError, match="run: the array is not ready after 0 of 2 words"):
            port.run(100, ahead(Memory.COUNTERS, np.zeros(2, np.uint64)))
    assert port.run(100) == (5, CODE)


def test_words_for_a_refused_start_are_written_nonetheless(port, rng):
    words = rng.integers(0, 2**64, 5, np.uint64)
    assert port.run(10, ahead(Memory.LINES, words)) == (0, Error.NO_IMAGE)
    np.testing.assert_array_equal(port.read(Memory.ACTIVATIONS, PES, 0), words[:3])


def test_what_does_not_exist_is_refused(port):
    for wrong in ((8, 0, 0), (6, 3, 0), (6, -1, 0), (6, 0, 1 << CONFIG.io_address_bits)):
        with pytest.raises(UserError, match="does not exist"):
            port.read(*wrong)
        with pytest.raises(UserError, match="does not exist"):
            port.write(*wrong, 0)
    for wrong in (np.zeros((2, 2)), np.zeros(2, np.uint64), np.zeros((2, 3), np.uint64)):
        with pytest.raises(UserError, match=r"must be uint64 of shape \(n, 2\)"):
            port.run(10, wrong)
    with pytest.raises(UserError, match="a write ahead is addressed to"):
        port.run(10, np.full((1, 2), 2**63, np.uint64))
