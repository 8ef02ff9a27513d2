"""Waiting for the end of a run, and reading a number that moves."""

from collections.abc import Callable

import pytest

from spec.eie.config import preset
from spec.registers.table import EIE, registers
from sw.host.port import PortError, StillBusyError
from sw.host.shell import client
from sw.host.shell.client import Shell

pytestmark = pytest.mark.unit

CONFIG = preset("tiny")
TABLE = {one.name: one for one in registers([CONFIG])}
NAMES = {one.address: one.name for one in TABLE.values()}


class Told:
    """A link to registers that hold what they hold after reset, or what a test says."""

    tools: dict[str, str]

    def __init__(self, **told: Callable[[], int]) -> None:
        self.tools, self.told = {}, told

    def read32(self, address: int) -> int:
        name = NAMES[address]
        return self.told[name]() if name in self.told else TABLE[name].value


def shell_of(**told: Callable[[], int]) -> Shell:
    return Shell(Told(**told), [CONFIG])


def test_a_run_that_stands_still_is_given_up(monkeypatch):
    monkeypatch.setattr(client, "POLLS", 20)
    shell = shell_of(STATUS=lambda: 1, CYCLES_LOW=lambda: 7)
    with pytest.raises(PortError, match="the array stands still") as found:
        shell.wait(EIE, 1000)
    assert not isinstance(found.value, StillBusyError)


def test_a_run_that_goes_on_for_too_long_is_given_up():
    cycles = iter(range(5000))
    shell = shell_of(STATUS=lambda: 1, CYCLES_LOW=lambda: next(cycles))
    with pytest.raises(StillBusyError, match="after 1000 cycles"):
        shell.wait(EIE, 1000)
    assert next(cycles) == 1002


def test_a_number_that_carries_between_two_looks_is_read_again():
    highs, lows = iter([0, 1, 1, 1]), iter([0xFFFF_FFFF, 3])
    shell = shell_of(CYCLES_LOW=lambda: next(lows), CYCLES_HIGH=lambda: next(highs))
    assert shell.read("CYCLES") == 1 << 32 | 3
