"""The Port protocol of the N:M array: its bus and its two streams, as every executor offers them to
the driver.

Simulators and boards differ only behind these methods.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.nm.iomap import MEMORY_BITS, address_bits
from sw.host.port import RAGGED_CYCLES, Words, check_below, check_integers


class Ran(NamedTuple):
    """What came of a run.

    Attributes
    ----------
    cycles : int
        That the array was busy, as the port counted them; 0 if it refused the start.
    error : int
        Code of :class:`spec.nm.iomap.Error`.
    taken : int
        Words of the load stream that the array took.
    results : uint64, shape (words, config.result_limbs)
        The result stream.
    """

    cycles: int
    error: int
    taken: int
    results: np.ndarray


@runtime_checkable
class Port(Protocol):
    """What every executor behind the bus satisfies. A port that was just opened has been reset.

    After :class:`sw.host.port.StillBusyError` the clock stands still within the run, and ``reset``
    ends it.

    Attributes
    ----------
    config : NmConfig
    tools : dict
        Name and version of every tool that takes part, for reports.
    paced : bool
        The load stream offers a word in every cycle of a run, and results are taken at once: so all
        of the array's counters are exact.
    """

    config: NmConfig
    tools: dict[str, str]
    paced: bool

    def reset(self) -> None:
        """Reset the array, and wait until it is not busy."""
        ...

    def write(self, memory: int, address: Words, data: Words) -> None:
        """Write words; ``address`` and ``data`` (uint64) broadcast against each other."""
        ...

    def read(self, memory: int, address: Words) -> np.ndarray:
        """Read words, as uint64 of the shape of ``address``."""
        ...

    def run(self, max_cycles: int, loads: np.ndarray) -> Ran:
        """Pulse ``start``, serve both streams until the array is not busy.

        Parameters
        ----------
        max_cycles : int
        loads : uint64, shape (words, config.limbs)
            The load stream, offered from the first cycle of the run on. What the array has not
            taken when the run ends is dropped.

        Raises
        ------
        sw.host.port.StillBusyError
            The array is busy after ``max_cycles``.
        """
        ...

    def close(self) -> None:
        """Let go of simulators and processes. Closing twice is no mistake."""
        ...


def patience_cycles(config: NmConfig) -> int:
    """Cycles that a handshake may take before an executor calls the array dead: one that is not
    running is always ready."""
    return RAGGED_CYCLES


def check_request(config: NmConfig, memory: int, address: Words, data: Words = 0) -> None:
    """Refuse what the fields of a request cannot carry: it would end up somewhere else."""
    check_integers(memory=memory, address=address, data=data)
    check_below("memory", memory, 1 << MEMORY_BITS)
    check_below("address", address, 1 << address_bits(config))


def check_loads(config: NmConfig, loads: np.ndarray) -> np.ndarray:
    """The load stream's words; refuses what are none."""
    if loads.dtype != np.uint64 or loads.ndim != 2 or loads.shape[1] != config.limbs:
        raise UserError(
            f"the load stream is {loads.dtype} of shape {loads.shape}, "
            f"must be uint64 of shape (words, {config.limbs})"
        )
    return loads
