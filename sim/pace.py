"""Ragged traffic: in which cycles a side of a stream pauses."""

import random

from sim.protocol import DENSITIES


class Pace:
    """Pauses never, or at random with a density of its own.

    Parameters
    ----------
    numbers : random.Random or None
        Of ragged traffic.
    """

    def __init__(self, numbers: random.Random | None) -> None:
        self._numbers = numbers
        self._eighths = numbers.choice(DENSITIES) if numbers else 0

    def pauses(self) -> bool:
        """Whether it pauses in the next cycle."""
        return self._numbers is not None and self._numbers.randrange(8) < self._eighths
