"""What every executor does for the bus of any engine."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from sim.design import Design


class Answer(NamedTuple):
    """What came of a run.

    Attributes
    ----------
    cycles : int
        That the array was busy.
    error : int
        Its error code.
    words : uint64, shape (n,)
        What the engine's runs give.
    """

    cycles: int
    error: int
    words: np.ndarray


class Executor(ABC):
    """A simulated array. An engine's bus puts the methods of its Port on top.

    Payloads are uint64, of shape (n, limbs) or (n,).

    Attributes
    ----------
    design : Design
        Comes with the bus.
    config
        The array's configuration.
    tools : dict
        Name and version of the tools that take part.
    paced : bool
        Traffic has no gaps.
    """

    design: ClassVar[Design]
    config: Any
    tools: dict[str, str]
    paced: bool

    @abstractmethod
    def reset(self) -> None:
        """Reset the array, and wait until it is not busy."""

    @abstractmethod
    def close(self) -> None:
        """Let go of simulators and processes."""

    @abstractmethod
    def _send(self, payloads: np.ndarray) -> None:
        """Put payloads on the stream ``write``."""

    @abstractmethod
    def _ask(self, payloads: np.ndarray) -> np.ndarray:
        """Put payloads on the stream ``read``; the words that ``data`` answers."""

    @abstractmethod
    def _run(self, max_cycles: int, payloads: np.ndarray) -> Answer:
        """Start the array, and wait until it is not busy; what becomes of the payloads is the
        engine's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
