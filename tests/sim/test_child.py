"""A port whose process misbehaves: each call returns or raises, and says why."""

import sys
import time

import pytest

import sim.child
from sim.child import ProcessPort
from sw.host.port import PortError
from tests.sim.ports import CONFIG

pytestmark = pytest.mark.unit

ANSWER_RESET = """
import socket, struct, sys, time
host = socket.socket(fileno=int(sys.argv[1]))
host.recv(24)
host.sendall(struct.pack("=QQQ", 0, 0, 0))
"""
NEXT_REQUEST = ANSWER_RESET + "host.recv(24)\n"


def open_script(script: str) -> ProcessPort:
    return ProcessPort(CONFIG, {}, [sys.executable, "-c", script, "{socket}"])


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


def test_half_an_answer_is_none():
    port = open_script(NEXT_REQUEST + "host.sendall(bytes(10))")
    with pytest.raises(PortError, match="ended with exit code 0"):
        port.run(10)
    port.close()


def test_a_process_that_never_starts_to_answer_is_told():
    with pytest.raises(PortError, match="ended with exit code 3"):
        open_script("raise SystemExit(3)")


def test_close_ends_a_process_that_does_not_listen(monkeypatch):
    monkeypatch.setattr(sim.child, "GRACE_SECONDS", 1.2)
    port = open_script(ANSWER_RESET + "time.sleep(1000)")
    port.close()
    assert port._process.returncode is not None
