"""The Port protocol: the bus of an array, as every executor offers it to the driver.

Simulators and boards differ only behind these methods. Simulators, which clock the array
themselves, count cycles one by one; ``run`` of a board reads them from its shell.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.iomap import MEMORY_BITS, read_fields
from spec.errors import UserError
from sw.host.port import RAGGED_CYCLES, Words, check_below, check_integers


@runtime_checkable
class Port(Protocol):
    """What every executor behind the bus satisfies. A port that was just opened has been reset.

    After :class:`StillBusyError` the clock stands still within the run. ``reset`` ends it; another
    ``run`` goes on with it, and pulses ``start`` first, which the array notes as an error.

    Attributes
    ----------
    config : EieConfig
    tools : dict
        Name and version of every tool that takes part, for reports.
    paced : bool
        Writes during a run are offered in every cycle, from its first on, so that the array's
        counter ``hidden`` is exact.
    """

    config: EieConfig
    tools: dict[str, str]
    paced: bool

    def reset(self) -> None:
        """Reset the array, and wait until it is in I/O mode. Memories keep their words."""
        ...

    def write(self, memory: int, pe: Words, address: Words, data: Words) -> None:
        """Write words; ``pe``, ``address`` and ``data`` (uint64) broadcast against each other."""
        ...

    def read(self, memory: int, pe: Words, address: Words) -> np.ndarray:
        """Read words, as uint64 of the shape that ``pe`` and ``address`` broadcast to."""
        ...

    def run(self, max_cycles: int, ahead: np.ndarray | None = None) -> tuple[int, int]:
        """Pulse ``start``, wait until the array is not busy: cycles it was, and its error code.

        A start that the array refuses takes 0 cycles.

        Parameters
        ----------
        max_cycles : int
        ahead : uint64, shape (n, 2)
            Writes as :func:`spec.eie.iomap.pack_writes` makes them, sent meanwhile, the first in
            the first cycle of the run; what is left at its end is sent before this returns.

        Raises
        ------
        StillBusyError
            The array is busy after ``max_cycles``. Writes that it has not taken are dropped.
        """
        ...

    def close(self) -> None:
        """Let go of simulators and processes. Closing twice is no mistake."""
        ...


def patience_cycles(config: EieConfig) -> int:
    """Cycles that a handshake may take before an executor calls the array dead.

    An array that is not running needs at most ``rows`` cycles, those that clear its accumulators
    after reset; the rest is for gaps of ragged traffic.
    """
    return config.rows + RAGGED_CYCLES


def check_request(
    config: EieConfig, memory: int, pe: Words, address: Words, data: Words = 0
) -> None:
    """Refuse what the fields of a request cannot carry: it would end up somewhere else."""
    check_integers(memory=memory, pe=pe, address=address, data=data)
    check_below("memory", memory, 1 << MEMORY_BITS)
    check_below("pe", pe, config.pes)
    check_below("address", address, 1 << config.io_address_bits)


def check_ahead(config: EieConfig, ahead: np.ndarray | None) -> np.ndarray:
    """The writes to send during a run, none if not given; refuses what are no packed writes."""
    if ahead is None:
        return np.zeros((0, 2), np.uint64)
    if ahead.dtype != np.uint64 or ahead.ndim != 2 or ahead.shape[1] != 2:
        raise UserError(
            f"writes ahead are {ahead.dtype} of shape {ahead.shape}, must be uint64 of shape (n, 2)"
        )
    bits = sum(read_fields(config).values())
    if len(ahead) and int(ahead[:, 1].max()) >> bits:
        raise UserError(
            f"a write ahead is addressed to {int(ahead[:, 1].max())}, there are {bits} bits"
        )
    return ahead
