"""What RESET does to messages: those that were sent before are gone, whole or in part."""

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.iomap import Memory, pack_reads
from spec.messages import Kind, message
from spec.registers.table import EIE
from sw.host.shell.client import Shell
from sw.host.shell.serial import SerialLink
from tests.hw.shell.link import PATIENCE, PysimLink
from tests.hw.shell.ports import PysimBytes

pytestmark = pytest.mark.flow

SMALL = preset("tiny", pes=1)
QUEUE_WORDS = 16


def reads(count: int) -> np.ndarray:
    """Requests for the first pass of the table."""
    return pack_reads(SMALL, Memory.CONTROL, 0, np.zeros(count, np.int64))


def works(shell: Shell) -> None:
    """It answers as many reads as it is asked, and nothing is left behind."""
    assert shell.error() == (0, 0)
    assert shell.read("STATUS") == 0
    assert len(shell.ask(EIE, reads(5))) == 5
    assert shell.error() == (0, 0)
    assert shell.read("STATUS") == 0


@pytest.mark.parametrize("most", [1, 2, 3, 60])
def test_messages_that_wait_are_gone(rng, most):
    """Nobody takes the answers, so that messages wait everywhere: in the UART's queue, in front of
    the one that reads them, and on the host."""
    link = SerialLink(PysimBytes([SMALL], QUEUE_WORDS), 1e6, tries=3, polls=100)
    shell = Shell(link, [SMALL])
    works(shell)
    for _ in range(6):
        for _ in range(60 // most + 5):
            shell.send(EIE, Kind.READ, reads(int(rng.integers(1, most + 1))))
        shell.reset()
        works(shell)


@pytest.mark.parametrize("before", range(6))
def test_the_rest_of_a_message_is_thrown_away(before):
    """It comes behind the RESET, and is not taken for a new one."""
    link = PysimLink([SMALL])
    shell = Shell(link, [SMALL])
    # The rest looks like headers of messages for nobody.
    words = message(SMALL, Kind.READ, reads(300))
    words[100:] = 0x200
    link.send(words)
    for _ in range(before):
        shell.read("SCRATCH")
    shell.pulse("RESET")
    assert shell.field("STATUS", "RECEIVING")
    while shell.field("STATUS", "RECEIVING"):
        assert link.cycles < PATIENCE
    link.drop()
    works(shell)
