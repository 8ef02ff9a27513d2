"""What all executors have in common: the Port protocol, word by word and cycle by cycle."""

import numpy as np
import pytest

from spec.eie.iomap import Error, Memory, pack_writes
from spec.errors import UserError
from sw.host.eie.port import Port, patience_cycles
from sw.host.port import PortError, StillBusyError
from tests.sim.ports import CONFIG, RAGGED, each_executor, open_toy

PES = np.arange(CONFIG.pes)
ADDRESSES = np.arange(16)
CODE = 9
"""What the toy machine is told to answer; no code of the array."""


@pytest.fixture(params=RAGGED)
def port(request, executor):
    port = open_toy(executor, ragged=RAGGED[request.param])
    yield port
    port.close()


def prepare(port: Port, cycles: int) -> None:
    """Tell the machine how long its runs take, and their code."""
    port.write(Memory.CONTROL, 0, np.arange(2), np.array([cycles, CODE], np.uint64))


def clock(port: Port) -> int:
    """Cycles since reset."""
    return int(port.read(Memory.CONTROL, 0, 1))


@each_executor
def test_is_a_port(port):
    assert isinstance(port, Port)
    assert port.config == CONFIG
    assert port.tools["amaranth"]
    assert all(isinstance(version, str) for version in port.tools.values())


@each_executor
def test_words_come_back(port, rng):
    words = rng.integers(0, 2**64, (CONFIG.pes, 16), np.uint64)
    port.write(Memory.ACTIVATIONS, PES[:, None], ADDRESSES, words)
    found = port.read(Memory.ACTIVATIONS, PES[:, None], ADDRESSES)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, words)
    order = rng.permutation(16)
    np.testing.assert_array_equal(port.read(Memory.ACTIVATIONS, 1, order), words[1, order])


@each_executor
def test_arguments_broadcast(port):
    port.write(Memory.ACTIVATIONS, PES, 3, 2**64 - 1)
    port.write(Memory.ACTIVATIONS, 1, 3, np.array(5, np.uint64))
    found = port.read(Memory.ACTIVATIONS, PES, 3)
    assert found.tolist() == [2**64 - 1, 5, 2**64 - 1]
    assert port.read(Memory.ACTIVATIONS, 1, 3).shape == ()
    assert port.read(Memory.ACTIVATIONS, PES[:, None], ADDRESSES[:0]).shape == (3, 0)


@each_executor
@pytest.mark.parametrize("cycles", [1, 2, 77])
def test_busy_cycles_are_counted(port, cycles):
    prepare(port, cycles)
    for _ in range(2):
        assert port.run(1000) == (cycles, CODE)
        assert port.read(Memory.CONTROL, 0, 0) == cycles
    assert port.run(cycles) == (cycles, CODE)


@each_executor
def test_a_refused_start_takes_no_cycle(port):
    assert port.run(10) == (0, Error.NO_IMAGE)


@each_executor
def test_a_bound_ends_the_wait_not_the_run(port):
    prepare(port, 77)
    with pytest.raises(StillBusyError, match="still busy after 76 cycles") as caught:
        port.run(76)
    assert caught.value.cycles == 76
    # The one cycle that is left is that of the second start.
    assert port.run(10) == (0, Error.BUSY)
    with pytest.raises(StillBusyError):
        port.run(50)
    assert port.run(26) == (26, Error.BUSY)


def ahead(memory: Memory, words: np.ndarray) -> np.ndarray:
    """Writes of words to the PEs in turn, 16 to each, and again."""
    at, pe = np.divmod(np.arange(len(words)), CONFIG.pes)
    return pack_writes(CONFIG, memory, pe, at % 16, words)


def hidden(port: Port) -> int:
    """Writes that were taken during the last run."""
    return int(port.read(Memory.CONTROL, 0, 2))


@each_executor
@pytest.mark.parametrize("count", [1, 9, 40])
def test_words_are_written_during_a_run(port, rng, count):
    words = rng.integers(0, 2**64, count, np.uint64)
    for cycles in (1, 17, 1000):
        prepare(port, cycles)
        assert port.run(2000, ahead(Memory.LINES, words)) == (cycles, CODE)
        most = min(cycles, count)
        # One in each cycle from the first on, or fewer in ragged traffic.
        assert hidden(port) == most if port.paced else hidden(port) <= most
        found = port.read(Memory.ACTIVATIONS, PES, ADDRESSES[:, None]).ravel()
        np.testing.assert_array_equal(found[:count], words)
        words = words[::-1].copy()


@each_executor
def test_words_that_wait_for_the_end_are_written_then(port, rng):
    words = rng.integers(0, 2**64, 20, np.uint64)
    prepare(port, 30)
    assert port.run(100, ahead(Memory.ACTIVATIONS, words)) == (30, CODE)
    assert hidden(port) == 0
    found = port.read(Memory.ACTIVATIONS, PES, ADDRESSES[:, None]).ravel()
    np.testing.assert_array_equal(found[:20], words)


@each_executor
def test_only_steady_ports_are_paced(executor):
    took = {}
    for traffic, seed in RAGGED.items():
        with open_toy(executor, ragged=seed) as port:
            assert port.paced == (traffic == "steady")
            prepare(port, 100)
            port.run(1000, ahead(Memory.LINES, np.zeros(48, np.uint64)))
            before = clock(port)
            port.run(1000, ahead(Memory.LINES, np.zeros(3000, np.uint64)))
            took[traffic] = clock(port) - before
    assert took["ragged"] > took["steady"] + 100 > 3000


@each_executor
def test_words_during_a_run_that_does_not_end_are_dropped(port):
    port.write(Memory.ACTIVATIONS, PES, ADDRESSES[:, None], 7)
    prepare(port, 500)
    with pytest.raises(StillBusyError):
        port.run(100, ahead(Memory.ACTIVATIONS, np.ones(30, np.uint64)))
    port.reset()
    assert (port.read(Memory.ACTIVATIONS, PES, ADDRESSES[:, None]) == 7).all()


@each_executor
def test_words_behind_a_run_that_wait_in_vain_are_told(port):
    prepare(port, 5)
    for _ in range(2):
        with pytest.raises(PortError, match="run: the array is not ready after 0 of 2 words"):
            port.run(100, ahead(Memory.COUNTERS, np.zeros(2, np.uint64)))
    assert port.run(100) == (5, CODE)


@each_executor
def test_words_for_a_refused_start_are_written_nonetheless(port, rng):
    words = rng.integers(0, 2**64, 5, np.uint64)
    assert port.run(10, ahead(Memory.LINES, words)) == (0, Error.NO_IMAGE)
    np.testing.assert_array_equal(port.read(Memory.ACTIVATIONS, PES, 0), words[:3])


@each_executor
def test_reset_ends_a_run(port):
    port.write(Memory.ACTIVATIONS, 2, 7, 123)
    prepare(port, 1000)
    with pytest.raises(StillBusyError):
        port.run(20)
    port.reset()
    assert port.run(10) == (0, Error.NO_IMAGE)
    assert port.read(Memory.ACTIVATIONS, 2, 7) == 123
    prepare(port, 30)
    assert port.run(100) == (30, CODE)


@each_executor
def test_waiting_in_vain_is_told(port):
    for _ in range(2):
        with pytest.raises(PortError, match="write: the array is not ready after 0 of 2 words"):
            port.write(Memory.COUNTERS, 0, np.arange(2), 1)
        with pytest.raises(PortError, match="read: the array is not ready after 0 of 2 words"):
            port.read(Memory.COUNTERS, 0, np.arange(2))
    port.write(Memory.ACTIVATIONS, 0, 0, 42)
    assert port.read(Memory.ACTIVATIONS, 0, 0) == 42


@each_executor
def test_what_does_not_exist_is_refused(port):
    for wrong in ((8, 0, 0), (6, 3, 0), (6, -1, 0), (6, 0, 1 << CONFIG.io_address_bits)):
        with pytest.raises(UserError, match="does not exist"):
            port.read(*wrong)
        with pytest.raises(UserError, match="does not exist"):
            port.write(*wrong, 0)
    with pytest.raises(UserError, match="data must be integers"):
        port.write(Memory.ACTIVATIONS, 0, 0, np.array(0.5))
    with pytest.raises(UserError, match="max_cycles = 0"):
        port.run(0)
    for wrong in (np.zeros((2, 2)), np.zeros(2, np.uint64), np.zeros((2, 3), np.uint64)):
        with pytest.raises(UserError, match=r"must be uint64 of shape \(n, 2\)"):
            port.run(10, wrong)
    with pytest.raises(UserError, match="a write ahead is addressed to"):
        port.run(10, np.full((1, 2), 2**63, np.uint64))


@each_executor
def test_a_closed_port_says_so(port):
    port.close()
    port.close()
    with pytest.raises(PortError, match="closed"):
        port.run(10)


@each_executor
def test_steady_streams_never_pause_and_ragged_ones_do(executor):
    took = {}
    for traffic, seed in RAGGED.items():
        with open_toy(executor, ragged=seed) as port:
            before = clock(port)
            port.write(Memory.ACTIVATIONS, 0, 0, np.arange(200))
            between = clock(port)
            port.read(Memory.ACTIVATIONS, 0, np.zeros(200, int))
            took[traffic] = np.diff([before, between, clock(port)])
    few = 10
    # A write in every cycle; the toy machine takes a read in every second one.
    assert (abs(took["steady"] - [200, 400]) < few).all()
    assert (took["ragged"] > took["steady"] + few).all()


@each_executor
def test_long_requests_outlast_the_patience_for_one_word(port):
    words = np.arange(3 * patience_cycles(CONFIG), dtype=np.uint64)
    for _ in range(2):
        port.write(Memory.ACTIVATIONS, 0, words % 16, words)
        found = port.read(Memory.ACTIVATIONS, 0, words % 16)
        assert set(found.tolist()) == set(words[-16:].tolist())


@each_executor
def test_a_seed_repeats_its_traffic(executor):
    def moments() -> list[int]:
        with open_toy(executor, ragged=11) as port:
            port.write(Memory.ACTIVATIONS, 0, 0, np.arange(50))
            return [clock(port), clock(port)]

    assert moments() == moments()


@each_executor
def test_waves_are_recorded_when_asked_for(executor, tmp_path):
    with open_toy(executor, waves=tmp_path / "waves") as port:
        prepare(port, 5)
        port.run(10)
    (file,) = (tmp_path / "waves").iterdir()
    text = file.read_text()
    assert "busy" in text
    assert "#1" in text
