"""A virtual board on a bad line: a thousand times something happens, and then it works again."""

from collections import Counter

import pytest

from boards import ulx3s, virtual
from spec.eie.config import preset
from sw.host.compare import first_difference, run_on
from sw.host.eie.driver import BusDevice
from sw.host.eie.golden import GoldenDevice
from sw.host.shell.client import Shell
from sw.host.shell.eie import EiePort
from sw.host.shell.serial import SerialLink
from tests.hw.shell.noise import Kind, NoisyPort, events, survive
from tests.programs import random_case

pytestmark = pytest.mark.board

CONFIG = preset("tiny", pes=2, clusters=1)
PARTS = 10
EVENTS = 100
BAUD = 400_000
"""Slower than the simulation, and fast enough that a lost frame does not cost much."""


class Port:
    """The virtual board's terminal, and its switch."""

    def __init__(self, port: virtual.Port):
        import serial

        self._port = serial.Serial(port.path, exclusive=True)
        self.power_up = port.power_up
        for name in ("read", "write", "reset_input_buffer", "close"):
            setattr(self, name, getattr(self._port, name))

    @property
    def timeout(self):
        return self._port.timeout

    @timeout.setter
    def timeout(self, seconds):
        self._port.timeout = seconds


@pytest.mark.parametrize("part", range(PARTS))
def test_it_works_again(rng, part):
    case = random_case(rng, CONFIG, images=1, largest=8)
    told = run_on(GoldenDevice(CONFIG), case.program, case.batch)
    seen: Counter[Kind] = Counter()

    def connect():
        return Shell(SerialLink(noisy, BAUD), [CONFIG])

    def work(shell):
        shell.reset()
        found = run_on(BusDevice(EiePort(shell), "board"), case.program, case.batch)
        assert first_difference(case.program, told, found) is None

    with virtual.start(ulx3s.BOARD, "85F", [CONFIG]) as port:
        noisy = NoisyPort(Port(port))
        work(connect())
        sizes = (noisy.passed[0], noisy.passed[1])
        for event in events(rng, EVENTS, sizes):
            seen[event.kind] += survive(noisy, event, connect, work)
            assert noisy.happened, event
        noisy.close()
    # A program that was killed has no result; noise costs time, and nothing else.
    assert seen[Kind.KILL]
    assert not seen[Kind.FLIP] + seen[Kind.DROP] + seen[Kind.INSERT]
