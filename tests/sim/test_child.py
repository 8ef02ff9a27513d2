"""A port whose process misbehaves: each call returns or raises, and says why."""

import sys
import time

import numpy as np
import pytest

import sim.child
from sim.child import ProcessExecutor
from sim.eie.bus import EieBus
from sim.nm.bus import NmBus
from sim.protocol import ANSWER, REQUEST, Status
from sw.host.port import PortError
from tests.sim.ports import EieHost, NmHost

pytestmark = pytest.mark.unit

ANSWER_RESET = f"""
import socket, struct, sys, time
host = socket.socket(fileno=int(sys.argv[1]))
host.recv({REQUEST.size})
host.sendall({ANSWER.pack(Status.OK, 0, 0, 0)})
"""
NEXT_REQUEST = ANSWER_RESET + f"host.recv({REQUEST.size})\n"


class EiePort(EieBus, ProcessExecutor):
    """Of the EIE array, whatever the process is."""


class NmPort(NmBus, ProcessExecutor):
    """Of the N:M array."""


def open_script(script: str) -> EiePort:
    return EiePort(EieHost.config, {}, [sys.executable, "-c", script, "{socket}"])


def test_a_process_that_ends_is_told_with_its_last_words():
    port = open_script(NEXT_REQUEST + "sys.exit('the model is on fire')")
    with pytest.raises(PortError, match="ended with exit code 1:\nthe model is on fire"):
        port.run(10)
    with pytest.raises(PortError, match="the port is closed"):
        port.run(10)
    port.close()


def test_a_process_that_is_killed_is_told():
    port = open_script(ANSWER_RESET + "time.sleep(100)")
    port._process.kill()
    with pytest.raises(PortError, match="was ended by signal SIGKILL"):
        port.read(6, 0, 0)
    port.close()


def test_a_process_that_hangs_is_ended(monkeypatch):
    port = open_script(ANSWER_RESET + "time.sleep(1000)")
    monkeypatch.setattr(sim.child, "GRACE_SECONDS", 0.2)
    begin = time.monotonic()
    with pytest.raises(PortError, match="did not answer in time and was ended"):
        port.run(10)
    assert time.monotonic() - begin < 10
    assert port._process.returncode is not None
    port.close()


def test_a_process_that_does_not_take_a_large_request_is_ended(monkeypatch):
    port = open_script(ANSWER_RESET + "time.sleep(1000)")
    monkeypatch.setattr(sim.child, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(sim.child, "SLOWEST_CYCLES_PER_SECOND", 1e7)
    with pytest.raises(PortError, match="did not answer in time"):
        port.write(6, 0, 0, range(1_000_000))
    port.close()


@pytest.mark.parametrize("answer", [bytes(10), ANSWER.pack(Status.OK, 5, 0, 3) + bytes(10)])
def test_half_an_answer_is_none(answer):
    port = open_script(NEXT_REQUEST + f"host.sendall({answer})")
    with pytest.raises(PortError, match="ended with exit code 0"):
        port.run(10)
    port.close()


def test_a_process_that_dies_in_a_run_of_large_streams_is_told():
    """While it takes the load stream, or gives half of the results."""
    loads = np.zeros((500_000, NmHost.config.limbs), np.uint64)
    half = f"host.sendall({ANSWER.pack(Status.OK, 5, 0, 1 << 20)} + bytes(1000))\n"
    for script in ("", f"host.recv({loads.nbytes}, socket.MSG_WAITALL)\n" + half):
        command = [sys.executable, "-c", NEXT_REQUEST + script + "sys.exit(7)", "{socket}"]
        port = NmPort(NmHost.config, {}, command)
        with pytest.raises(PortError, match="ended with exit code 7"):
            port.run(10, loads)
        with pytest.raises(PortError, match="the port is closed"):
            port.run(10, loads)
        port.close()


def test_a_process_that_never_starts_to_answer_is_told():
    with pytest.raises(PortError, match="ended with exit code 3"):
        open_script("raise SystemExit(3)")


def test_close_ends_a_process_that_does_not_listen(monkeypatch):
    monkeypatch.setattr(sim.child, "GRACE_SECONDS", 1.2)
    port = open_script(ANSWER_RESET + "time.sleep(1000)")
    port.close()
    assert port._process.returncode is not None
