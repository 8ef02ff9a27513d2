"""The Device protocol: whatever runs an image, model, simulation or board, is used the same way."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import Failure, UserError
from spec.image import engine_of
from spec.nm.config import NmConfig

Config = EieConfig | NmConfig
Program = TypeVar("Program")
Counts = TypeVar("Counts")

Tick = Callable[[int], object]
"""Told the number of images done since it was last called."""


_NAMES = {EieConfig: "an EIE array", NmConfig: "an N:M array"}


class DeviceError(Failure):
    """A device reported an error, hung, or contradicted itself."""


def quiet(images: int) -> None:
    """The tick that tells nobody."""


class Device(Protocol):
    """What runs an image.

    Attributes
    ----------
    config : EieConfig or NmConfig
        What the device was built for.
    name : str
        What users and reports call it.
    tools : dict
        Name and version of every tool that takes part.
    paced : bool
        Counters that depend on the host's pace are exact.
    """

    config: Any
    name: str
    tools: dict[str, str]
    paced: bool

    def load(self, image: Any) -> None:
        """Take a program; one for another configuration raises :class:`UserError`."""
        ...

    def run(self, batch: np.ndarray, tick: Tick = quiet) -> np.ndarray:
        """Run integers of shape (images, inputs), or (images, steps, inputs) of sequences; gives
        int64 of shape (images, outputs), or (images, steps, outputs)."""
        ...

    def counters(self) -> list[Any]:
        """Counters of the last run, in order of execution: one item per pass of an EIE array, where
        ``config.lanes`` images have one time together; one per layer of an N:M array."""
        ...

    def close(self) -> None:
        """Let go of simulators, processes and ports."""
        ...


class BaseDevice(ABC, Generic[Program, Counts]):
    """What all devices share: refusing what they cannot run, and keeping the last counts.

    What the last run left in the memories is not loaded again by the next one. Loading an image,
    even the same once more, and an error within a run forget it.

    Parameters
    ----------
    config : EieConfig or NmConfig
    name : str
    tools : dict
    paced : bool
    """

    def __init__(
        self, config: Any, name: str, tools: dict[str, str], *, paced: bool = True
    ) -> None:
        self.config = config
        self.name = name
        self.tools = tools
        self.paced = paced
        self._program: Program | None = None
        self._counts: list[Counts] | None = None

    def load(self, image: Program) -> None:
        """Take an image, forget the one before and its counts."""
        self._check_config(image)
        engine_of(image).check_fits(image)
        self._program, self._counts = None, None
        self._take(image)
        self._program = image

    def run(self, batch: np.ndarray, tick: Tick = quiet) -> np.ndarray:
        """Run a batch on the loaded image."""
        program = self._begin()
        batch = engine_of(program).check_batch(program, batch)
        outputs, self._counts = self._execute(program, batch, tick)
        return outputs

    def counters(self) -> list[Counts]:
        """Counters of the last run."""
        if self._counts is None:
            raise UserError(f"{self.name}: nothing has run since the image was loaded")
        return self._counts

    def close(self) -> None:
        """Nothing to let go of, unless a device says otherwise."""

    def _begin(self) -> Program:
        """The loaded image, to run it; the last run's counts are forgotten."""
        if self._program is None:
            raise UserError(f"{self.name}: no image is loaded; load one before running")
        self._counts = None
        return self._program

    def _check_config(self, image: Any) -> None:
        """Refuse an image that is not for this device."""
        check_config(self.name, self.config, getattr(image, "config", None))

    @abstractmethod
    def _take(self, image: Program) -> None:
        """Prepare for an image that fits."""

    @abstractmethod
    def _execute(
        self, image: Program, batch: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, list[Counts]]:
        """Run a checked batch: outputs, and the counts of every pass or layer."""


def check_config(device: str, own: Config, other: Config | None) -> None:
    """Refuse an image for another configuration or engine, and say what is different."""
    if type(own) is not type(other) or other is None:
        raise UserError(
            f"the device {device} is {_NAMES[type(own)]}, "
            f"the image is for {_NAMES.get(type(other), 'several arrays')}"
        )
    if own.digest == other.digest:
        return
    ours, theirs = own.to_json(), other.to_json()
    odd = [f"{name} {theirs[name]} / {ours[name]}" for name in ours if theirs[name] != ours[name]]
    raise UserError(
        f"the image is for configuration {other.digest}, the device {device} has {own.digest}; "
        f"they differ in (image / device): {', '.join(odd)}"
    )
