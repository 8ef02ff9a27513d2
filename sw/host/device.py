"""The Device protocol: whatever runs an image, model, simulation or board, is used the same way."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np

from spec.eie.checks import check_fits
from spec.eie.config import EieConfig
from spec.eie.cycles import PassCounts
from spec.eie.golden import check_batch
from spec.eie.program import Program
from spec.errors import Failure, UserError

Tick = Callable[[int], object]
"""Told the number of images done since it was last called."""


class DeviceError(Failure):
    """A device reported an error, hung, or contradicted itself."""


def quiet(images: int) -> None:
    """The tick that tells nobody."""


class Device(Protocol):
    """What runs an image.

    Attributes
    ----------
    config : EieConfig
        What the device was built for.
    name : str
        What users and reports call it.
    tools : dict
        Name and version of every tool that takes part.
    paced : bool
        Its counter ``hidden`` is exact, see :attr:`sw.host.port.Port.paced`.
    """

    config: EieConfig
    name: str
    tools: dict[str, str]
    paced: bool

    def load(self, image: Program) -> None:
        """Take an image; one for another configuration raises :class:`UserError`."""
        ...

    def run(self, batch: np.ndarray, tick: Tick = quiet) -> np.ndarray:
        """Run integers of shape (images, inputs), or (images, steps, inputs) of sequences; gives
        int64 of shape (images, outputs), or (images, steps, outputs)."""
        ...

    def counters(self) -> list[PassCounts]:
        """Counters of the last run: one item per pass, in order of execution; ``config.lanes``
        images have one time together."""
        ...

    def close(self) -> None:
        """Let go of simulators, processes and ports."""
        ...


class BaseDevice(ABC):
    """What all devices share: refusing what they cannot run, and keeping the last counts.

    What the last run left in the memories is not loaded again by the next one. Loading an image,
    even the same once more, and an error within a run forget it.

    Parameters
    ----------
    config : EieConfig
    name : str
    tools : dict
    paced : bool
    """

    def __init__(
        self, config: EieConfig, name: str, tools: dict[str, str], *, paced: bool = True
    ) -> None:
        self.config = config
        self.name = name
        self.tools = tools
        self.paced = paced
        self._program: Program | None = None
        self._counts: list[PassCounts] | None = None

    def load(self, image: Program) -> None:
        """Take an image, forget the one before and its counts."""
        check_config(self.name, self.config, image.config)
        check_fits(image)
        self._program, self._counts = None, None
        self._take(image)
        self._program = image

    def run(self, batch: np.ndarray, tick: Tick = quiet) -> np.ndarray:
        """Run a batch on the loaded image."""
        if self._program is None:
            raise UserError(f"{self.name}: no image is loaded; load one before running")
        self._counts = None
        outputs, self._counts = self._execute(
            self._program, check_batch(self._program, batch), tick
        )
        return outputs

    def counters(self) -> list[PassCounts]:
        """Counters of the last run."""
        if self._counts is None:
            raise UserError(f"{self.name}: nothing has run since the image was loaded")
        return self._counts

    def close(self) -> None:  # noqa: B027 -- most devices hold nothing
        """Nothing to let go of, unless a device says otherwise."""

    @abstractmethod
    def _take(self, image: Program) -> None:
        """Prepare for an image that fits."""

    @abstractmethod
    def _execute(
        self, image: Program, batch: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, list[PassCounts]]:
        """Run a checked batch: outputs, and the counts of every pass."""


def check_config(device: str, own: EieConfig, other: EieConfig) -> None:
    """Refuse an image for another configuration, and say what is different."""
    if own.digest == other.digest:
        return
    ours, theirs = own.to_json(), other.to_json()
    odd = [f"{name} {theirs[name]} / {ours[name]}" for name in ours if theirs[name] != ours[name]]
    raise UserError(
        f"the image is for configuration {other.digest}, the device {device} has {own.digest}; "
        f"they differ in (image / device): {', '.join(odd)}"
    )
