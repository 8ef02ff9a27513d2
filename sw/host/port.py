"""What all ports share: the bus of an array, as executors offer it to drivers."""

import numpy as np

from spec.errors import Failure, UserError

Words = np.ndarray | int
"""Integers: one, or an array that broadcasts against the others of the call."""


class PortError(Failure):
    """An executor died, or the array did not answer in time."""


class StillBusyError(PortError):
    """The array is busy after the cycles that a run was given. The run goes on: see :class:`Port`.

    Attributes
    ----------
    cycles : int
        Cycles that the run was watched for.
    """

    def __init__(self, cycles: int) -> None:
        super().__init__(f"the array is still busy after {cycles} cycles")
        self.cycles = cycles


def check_cycles(max_cycles: int) -> None:
    """Refuse a bound that no run can meet."""
    if isinstance(max_cycles, bool) or not isinstance(max_cycles, int | np.integer):
        raise UserError(f"max_cycles must be an integer, not {type(max_cycles).__name__}")
    if max_cycles < 1:
        raise UserError(f"max_cycles = {max_cycles}, must be at least 1")
