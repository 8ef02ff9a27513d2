"""What all executors of all engines have in common: the Port, word by word and cycle by cycle."""

import numpy as np
import pytest

from spec.errors import UserError
from sw.host.port import PortError, StillBusyError
from tests.sim.ports import CODE, RAGGED, each_engine, each_executor

pytestmark = [each_engine, each_executor]

ADDRESSES = np.arange(8)


@pytest.fixture(params=RAGGED)
def host(request, engine, executor):
    with engine.open(executor, ragged=RAGGED[request.param]) as host:
        yield host


def test_is_a_port(host):
    assert isinstance(host.port, host.protocol)
    assert host.port.config == host.config
    assert host.port.tools["amaranth"]
    assert all(isinstance(version, str) for version in host.port.tools.values())


def test_words_come_back(host, rng):
    words = rng.integers(0, 2**64, len(ADDRESSES), np.uint64)
    host.write(ADDRESSES, words)
    found = host.read(ADDRESSES)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, words)
    order = rng.permutation(len(ADDRESSES)).reshape(2, -1)
    np.testing.assert_array_equal(host.read(order), words[order])


def test_arguments_broadcast(host):
    host.write(ADDRESSES, 2**64 - 1)
    host.write(1, np.array(5, np.uint64))
    assert host.read(ADDRESSES[:3]).tolist() == [2**64 - 1, 5, 2**64 - 1]
    assert host.read(1).shape == ()
    assert host.read(ADDRESSES[:0]).shape == (0,)


@pytest.mark.parametrize("cycles", [1, 2, 77])
def test_busy_cycles_are_counted(host, cycles):
    host.prepare(cycles)
    for _ in range(2):
        assert host.run(1000) == (cycles, CODE)
        assert host.control(0) == cycles
    assert host.run(cycles) == (cycles, CODE)


def test_a_refused_start_takes_no_cycle(host):
    assert host.run(10) == (0, host.refused)


def test_a_bound_ends_the_wait_not_the_run(host):
    host.prepare(77)
    with pytest.raises(StillBusyError, match="still busy after 76 cycles") as caught:
        host.run(76)
    assert caught.value.cycles == 76
    # The one cycle that is left is that of the second start.
    assert host.run(10) == (0, host.is_busy)
    with pytest.raises(StillBusyError):
        host.run(50)
    assert host.run(26) == (26, host.is_busy)


def test_reset_ends_a_run(host):
    host.write(7, 123)
    host.prepare(1000)
    with pytest.raises(StillBusyError):
        host.run(20)
    host.port.reset()
    assert host.run(10) == (0, host.refused)
    assert host.read(7) == 123
    host.prepare(30)
    assert host.run(100) == (30, CODE)


def test_waiting_in_vain_is_told(host):
    for _ in range(2):
        with pytest.raises(PortError, match="write: the array is not ready after 0 of 2 words"):
            host.tell_in_vain()
        with pytest.raises(PortError, match="read: the array is not ready after 0 of 2 words"):
            host.ask_in_vain()
    host.write(0, 42)
    assert host.read(0) == 42


def test_max_cycles_must_be_a_number_of_cycles(host):
    for wrong, message in ((0, "max_cycles = 0"), (2.0, "must be an integer"), (True, "bool")):
        with pytest.raises(UserError, match=message):
            host.run(wrong)


def test_words_must_be_integers(host):
    with pytest.raises(UserError, match="data must be integers"):
        host.write(0, np.array(0.5))
    with pytest.raises(UserError, match="address must be integers"):
        host.read(np.array(0.5))


def test_a_closed_port_says_so(host):
    host.port.close()
    host.port.close()
    with pytest.raises(PortError, match="closed"):
        host.run(10)
    with pytest.raises(PortError, match="closed"):
        host.port.reset()


def test_steady_streams_never_pause_and_ragged_ones_do(engine, executor):
    took = {}
    for traffic, seed in RAGGED.items():
        with engine.open(executor, ragged=seed) as host:
            assert host.port.paced == (traffic == "steady")
            before = host.clock()
            host.write(0, np.arange(200))
            between = host.clock()
            host.read(np.zeros(200, int))
            took[traffic] = np.diff([before, between, host.clock()])
    few = 10
    # A write in every cycle; the toy machine takes a read in every second one.
    assert (abs(took["steady"] - [200, 400]) < few).all()
    assert (took["ragged"] > took["steady"] + few).all()


def test_long_requests_outlast_the_patience_for_one_word(host):
    words = np.arange(3 * host.patience, dtype=np.uint64)
    for _ in range(2):
        host.write(words % 8, words)
        assert set(host.read(words % 8).tolist()) == set(words[-8:].tolist())


def test_a_seed_repeats_its_traffic(engine, executor):
    def moments(seed: int) -> list[int]:
        with engine.open(executor, ragged=seed) as host:
            host.write(0, np.arange(50))
            return [host.clock(), host.clock()]

    assert moments(11) == moments(11)
    assert len({tuple(moments(seed)) for seed in range(4)}) > 1


def test_waves_are_recorded_when_asked_for(engine, executor, tmp_path):
    with engine.open(executor, waves=tmp_path / "waves") as host:
        host.prepare(5)
        assert host.run(10) == (5, CODE)
    (file,) = (tmp_path / "waves").iterdir()
    text = file.read_text()
    assert "busy" in text
    assert "#1" in text
