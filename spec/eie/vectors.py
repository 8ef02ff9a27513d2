"""What the host keeps and computes between runs: the vectors of every layer, and states of LSTMs.

A network begins with ``program.per_step`` layers that run at every step of a sequence (none, for a
feed-forward network); the others run once, behind the last step. The gate layer of an LSTM takes
the input x, zeros up to the next row of activations, and the state h; behind it
:func:`spec.eie.lstm.step` makes the new states.
"""

import numpy as np

from spec.eie.lstm import step
from spec.eie.program import Program, Run, Segment, Slice


def order_of_runs(program: Program, steps: int) -> list[tuple[Segment, Run]]:
    """All runs that one group of images takes, with ``steps`` steps if it is a sequence."""
    runs = list(program.runs())
    each = [(segment, run) for segment, run in runs if run.passes[0].layer < program.per_step]
    return each * steps + runs[len(each) :]


class Vectors:
    """One image per lane, on its way through a network.

    Parameters
    ----------
    program : Program
    images : int64, shape (images, inputs), or (images, steps, inputs) of a sequence
        At most ``config.lanes``; the lanes that are left compute on zeros.

    Attributes
    ----------
    inputs : list of int64 arrays, shape (lanes, columns of the layer)
        Of each layer, as far as they are known; in the array's order.
    """

    def __init__(self, program: Program, images: np.ndarray) -> None:
        config, layers = program.config, program.layers
        self.program = program
        self._images: np.ndarray = np.zeros((config.lanes, *images.shape[1:]), np.int64)
        self._images[: len(images)] = images
        self._count = len(images)
        self._step = 0

        def zeros(size: int) -> np.ndarray:
            return np.zeros((config.lanes, size), np.int64)

        self.inputs = [zeros(layer.columns(config)) for layer in layers]
        self._found = [zeros(layer.outputs) for layer in layers]
        self._states = [zeros(layer.cell.hidden if layer.cell else 0) for layer in layers]
        self._results: list[np.ndarray] = []
        self._hand_over(0, self._images[:, 0] if program.per_step else self._images)

    @property
    def outputs(self) -> np.ndarray:
        """Of the network, in its order: (images, outputs), or (images, steps, outputs) if those of
        every step are wanted."""
        if self.program.every_step:
            return np.stack(self._results, axis=1)[: self._count]
        return self._results[-1][: self._count]

    def fetch(self, fetch: Slice, found: np.ndarray) -> None:
        """Take outputs of a layer from the array; (lanes, count)."""
        layer = self._found[fetch.layer]
        layer[:, fetch.first : fetch.first + fetch.count] = found
        if fetch.first + fetch.count == layer.shape[1]:
            self._complete(fetch.layer)

    def _complete(self, number: int) -> None:
        """All outputs of a layer are there: hand them over, or begin the next step."""
        program = self.program
        outputs = self._compute(number)
        if number + 1 == program.per_step:
            self._step += 1
        last_step = not program.per_step or self._step == self._images.shape[1]
        if number + 1 == len(program.layers):
            placed = outputs if program.layers[number].cell else program.in_place(number, outputs)
            self._results.append(placed)
        elif number + 1 != program.per_step or last_step:
            self._hand_over(number + 1, outputs)
        if number + 1 == program.per_step and not last_step:
            self._hand_over(0, self._images[:, self._step])

    def _compute(self, number: int) -> np.ndarray:
        """What the host makes of a layer's outputs: the state h, behind the gates of an LSTM."""
        cell, found = self.program.layers[number].cell, self._found[number]
        if cell is None:
            return found.copy()
        gates = self.program.in_place(number, found)
        h, self._states[number] = step(cell, gates, self._states[number])
        self.inputs[number][:, -cell.hidden :] = h
        return h

    def _hand_over(self, number: int, values: np.ndarray) -> None:
        """Set a layer's inputs, or the x of an LSTM."""
        self.inputs[number][:, : values.shape[1]] = values


def steps_of(program: Program, batch: np.ndarray) -> int:
    """Steps of a batch's sequences; 1 if the network takes none."""
    return batch.shape[1] if program.per_step else 1


def empty_outputs(program: Program, steps: int) -> np.ndarray:
    """Outputs of no image."""
    inner = (steps,) if program.every_step else ()
    return np.zeros((0, *inner, program.outputs), np.int64)
