"""A device for networks on both engines: a device for every array, and what goes between them."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from spec.errors import UserError
from spec.mixed import Mixed, Stage, hand_over
from sw.host.device import BaseDevice, Device, Tick, check_config, quiet


class MixedDevice(BaseDevice[Mixed, list[Any]]):
    """Runs the stages of a program one after another, each with all images of a batch.

    A stage runs on the device that has its configuration, and is loaded into it if something else
    is there. Loading a program forgets what is in any device.

    Parameters
    ----------
    devices : sequence of Device
        Each of another configuration, which are together this one's ``config``.
    name : str
        What users and reports call the device.
    """

    def __init__(self, devices: Sequence[Device], name: str) -> None:
        tools: dict[str, str] = {}
        for device in devices:
            tools |= device.tools
        configs = tuple(device.config for device in devices)
        super().__init__(configs, name, tools, paced=all(device.paced for device in devices))
        self.devices = {device.config.digest: device for device in devices}
        self._there: dict[str, Stage] = {}
        """The stage that is loaded into the device of each configuration."""

    def close(self) -> None:
        """Close all devices, even if one cannot be closed."""
        with ExitStack() as stack:
            for device in self.devices.values():
                stack.callback(device.close)

    def _check_config(self, image: Any) -> None:
        if not isinstance(image, Mixed):
            raise UserError(f"the device {self.name} is for images of several stages")
        for number, stage in enumerate(image.stages):
            if stage.config.digest not in self.devices:
                self._refuse(number, stage)

    def _refuse(self, number: int, stage: Stage) -> None:
        """Say how a stage's configuration differs from that of its engine's device."""
        alike = [one for one in self.config if type(one) is type(stage.config)]
        try:
            check_config(self.name, [*alike, *self.config][0], stage.config)
        except UserError as error:
            raise UserError(f"stage {number}: {error}") from None

    def _take(self, image: Mixed) -> None:
        self._there.clear()

    def _execute(
        self, image: Mixed, batch: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, list[list[Any]]]:
        counts, before = [], None
        for stage in image.stages:
            if before is not None:
                batch = hand_over(before, stage, batch)
            device = self._device(stage)
            batch = device.run(batch, tick if stage is image.stages[-1] else quiet)
            counts.append(device.counters())
            before = stage
        return batch, counts

    def _device(self, stage: Stage) -> Device:
        """The device of a stage, with the stage in it."""
        digest = stage.config.digest
        device = self.devices[digest]
        if self._there.get(digest) is not stage:
            device.load(stage)
            self._there[digest] = stage
        return device
