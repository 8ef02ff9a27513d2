"""What the devices of the N:M engine share: chains of layers, and layers one by one."""

from abc import abstractmethod
from functools import partial

import numpy as np

from spec.nm.cycles import RunCounts
from spec.nm.golden import run_chain
from spec.nm.program import Program
from sw.host.device import BaseDevice, Tick


class NmDevice(BaseDevice[Program, RunCounts]):
    """Runs a chain with all images of a batch at once, layer by layer; or any layer by itself.

    Nothing is left in the array that a later run could use: images need not be loaded again.
    """

    def run_layer(self, number: int, acts: np.ndarray) -> np.ndarray:
        """Run one layer, of a chain or not; :meth:`counters` then has one item.

        Parameters
        ----------
        number : int
            Of the layer; :meth:`spec.nm.program.Program.number` knows it by name.
        acts : integers, shape (tokens, inputs)
            Of a convolution, see :meth:`spec.nm.program.Layer.tokens_of`.

        Returns
        -------
        int64, shape (tokens, outputs)
        """
        outputs, counts = self._run_layer(self._begin(), number, acts)
        self._counts = [counts]
        return outputs

    def _execute(
        self, image: Program, batch: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, list[RunCounts]]:
        outputs, counts = run_chain(image, batch, partial(self._run_layer, image))
        tick(len(batch))
        return outputs, counts

    @abstractmethod
    def _run_layer(
        self, image: Program, number: int, acts: np.ndarray
    ) -> tuple[np.ndarray, RunCounts]:
        """One run of the array, once number and activations are found to be right
        (:func:`spec.nm.golden.check_acts`)."""
