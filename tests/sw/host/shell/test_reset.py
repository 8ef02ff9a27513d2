"""A reset of a shell leaves no word of what was before, whenever that word came."""

import numpy as np
import pytest

from spec.eie.config import preset
from spec.registers.table import registers
from sw.host.shell.client import Shell
from sw.host.shell.link import Link

pytestmark = pytest.mark.unit

CONFIG = preset("tiny")
TABLE = {one.name: one for one in registers([CONFIG])}


class LateLink:
    """A device that is still sending answers until it is reset, within a message for a while."""

    def __init__(self, receiving: int) -> None:
        self.tools: dict[str, str] = {}
        self.receiving = receiving
        self.inbox: list[int] = []
        self.sent: list[list[int]] = []

    def read32(self, address: int) -> int:
        if address == TABLE["STATUS"].address:
            (bits,) = (one for one in TABLE["STATUS"].fields if one.name == "RECEIVING")
            return bits.mask if len(self.sent) < self.receiving else 0
        return next(one.value for one in TABLE.values() if one.address == address)

    def write32(self, address: int, word: int) -> None:
        self.inbox.append(word)

    def send(self, words: np.ndarray) -> None:
        self.sent.append(words.tolist())

    def receive(self, count: int) -> np.ndarray:
        raise AssertionError("nothing was asked")

    def drop(self) -> None:
        self.inbox.clear()

    def close(self) -> None:
        pass


@pytest.mark.parametrize("receiving", [0, 1, 3])
def test_no_word_is_left(receiving: int) -> None:
    link = LateLink(receiving)
    assert isinstance(link, Link)
    Shell(link, [CONFIG]).reset()
    assert link.inbox == []
    assert link.sent == [[0]] * receiving
