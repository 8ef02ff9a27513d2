"""What reaches a shell: registers and messages, whatever is in between."""

from typing import Protocol, runtime_checkable

import numpy as np

from sw.host.port import PortError


class AccessError(PortError):
    """The shell answered an access with an error."""


@runtime_checkable
class Link(Protocol):
    """AXI, UART or a simulation. Every method may raise :class:`sw.host.port.PortError`.

    Attributes
    ----------
    tools : dict
        Name and version of every tool that takes part.
    """

    tools: dict[str, str]

    def read32(self, address: int) -> int:
        """A register; :class:`AccessError` if the shell refuses."""
        ...

    def write32(self, address: int, word: int) -> None:
        """A register; :class:`AccessError` if the shell refuses."""
        ...

    def send(self, words: np.ndarray) -> None:
        """Words (uint32) of a message, the last one with TLAST. May return before they are taken:
        they go, and words that come back are kept, while other calls are answered."""
        ...

    def receive(self, count: int) -> np.ndarray:
        """The next so many words (uint32), waited for."""
        ...

    def drop(self) -> None:
        """Forget words that are on their way, in either direction."""
        ...

    def close(self) -> None:
        """Let go. Closing twice is no mistake."""
        ...
