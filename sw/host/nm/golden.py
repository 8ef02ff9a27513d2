"""The golden model of the N:M engine as a device."""

import platform

import numpy as np

from spec.nm.config import NmConfig
from spec.nm.cycles import RunCounts
from spec.nm.golden import GoldenModel
from spec.nm.program import Program
from sw.host.nm.device import NmDevice


class GoldenDevice(NmDevice):
    """Predicts every output bit and every counter. An image is decoded once, when it is loaded."""

    def __init__(self, config: NmConfig) -> None:
        tools = {"python": platform.python_version(), "numpy": np.__version__}
        super().__init__(config, "golden", tools)
        self._model: GoldenModel | None = None

    def _take(self, image: Program) -> None:
        if self._model is None or self._model.program is not image:
            model = GoldenModel(image)
            _ = model.decoded
            self._model = model

    def _run_layer(
        self, image: Program, number: int, acts: np.ndarray
    ) -> tuple[np.ndarray, RunCounts]:
        return (self._model or GoldenModel(image)).run_layer(number, acts)
