"""What all ports share: the bus of an array, as executors offer it to drivers."""

import numpy as np

from spec.errors import ErrorCode, Failure, UserError

Words = np.ndarray | int
"""Integers: one, or an array that broadcasts against the others of the call."""

RAGGED_CYCLES = 1000
"""Cycles for gaps of ragged traffic in front of a word."""


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


def stopped_with(codes: type[ErrorCode], code: int) -> str:
    """What to say of a run that ended with an error code."""
    known = [error for error in codes if error == code]
    text = f"{known[0].name}: {known[0].meaning}" if known else "which the driver does not know"
    return f"stopped with error {code}, {text}"


def check_cycles(max_cycles: int) -> None:
    """Refuse a bound that no run can meet."""
    if isinstance(max_cycles, bool) or not isinstance(max_cycles, int | np.integer):
        raise UserError(f"max_cycles must be an integer, not {type(max_cycles).__name__}")
    if max_cycles < 1:
        raise UserError(f"max_cycles = {max_cycles}, must be at least 1")


def check_integers(**given: Words) -> None:
    """Refuse other numbers, under their names."""
    for name, values in given.items():
        kind = np.asarray(values).dtype
        if kind.kind not in "iu":
            raise UserError(f"{name} must be integers, not {kind}")


def check_below(name: str, given: Words, limit: int) -> None:
    """Refuse what is not from 0 to ``limit - 1``."""
    values = np.asarray(given).ravel()
    odd = values[(values < 0) | (values >= limit)]
    if odd.size:
        raise UserError(f"{name} {odd[0]} does not exist, must be from 0 to {limit - 1}")
