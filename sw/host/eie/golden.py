"""The golden model as a device."""

import platform

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.cycles import PassCounts
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from sw.host.device import BaseDevice, Tick


class GoldenDevice(BaseDevice[Program, PassCounts]):
    """Predicts every output bit and every counter. An image is decoded once, when it is loaded."""

    def __init__(self, config: EieConfig) -> None:
        tools = {"python": platform.python_version(), "numpy": np.__version__}
        super().__init__(config, "golden", tools)
        self._model: GoldenModel | None = None

    def _take(self, image: Program) -> None:
        if self._model is None or self._model.program is not image:
            model = GoldenModel(image)
            _ = model.decoded  # refuses here, not in the first run, what no array could run
            self._model = model
        self._model.resident = None

    def _execute(
        self, image: Program, batch: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, list[PassCounts]]:
        model = self._model or GoldenModel(image)
        try:
            return model.run(batch, tick)
        except BaseException:
            model.resident = None
            raise
