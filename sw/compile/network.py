"""What the compiler works on between torch and integers: a chain of layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from spec.errors import UserError
from spec.nm.unfold import MaxPool, Unfold

MOST_VALUES = 1 << 24
"""Values of windows and their results that are in memory at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLayer:
    """A fully connected layer or a convolution, and the ReLU and the pooling behind it if there are
    any.

    A convolution is a fully connected layer of every window: its images are vectors, channel by
    channel, row by row, as ``torch.flatten`` has them.

    Attributes
    ----------
    name : str
        Path of the module, or name of the parameter.
    weight : float64, shape (outputs, inputs)
        A convolution's inputs are those of a window, channel by channel, row by row; zeros outside
        an output's channel group.
    bias : float64, shape (outputs,)
        Zeros if the layer has none.
    relu : bool
    folded : tuple of str
        Names of the BatchNorms that weight and bias have absorbed.
    windows : Unfold or None
        Those of a convolution.
    pool : MaxPool or None
        Of a convolution's images. A ReLU may stand in front of it or behind it: the result is one.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    relu: bool
    folded: tuple[str, ...] = ()
    windows: Unfold | None = None
    pool: MaxPool | None = None

    @property
    def inputs(self) -> int:
        """Columns of its matrix."""
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        """Rows of its matrix."""
        return self.weight.shape[0]

    @property
    def takes(self) -> int:
        """Values of a sample."""
        return self.windows.image_size if self.windows else self.inputs

    @property
    def gives(self) -> int:
        """Values that it makes of a sample."""
        last = self.pool or self.windows
        return self.outputs * (last.tokens if last else 1)

    def __call__(self, acts: np.ndarray) -> np.ndarray:
        """Float64, (samples, takes) to (samples, gives); of a sequence, of every step."""
        return self.apply(acts, lambda tokens: self._activate(tokens @ self.weight.T + self.bias))

    def _activate(self, sums: np.ndarray) -> np.ndarray:
        return np.maximum(sums, 0) if self.relu else sums

    def apply(self, acts: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What the layer gives, where ``compute`` makes outputs of inputs: windows of images, if it
        is a convolution, a few images at a time."""
        windows = self.windows
        if windows is None:
            return compute(acts)
        count = max(1, MOST_VALUES // (windows.tokens * (windows.inputs + self.outputs)))
        parts = []
        for first in range(0, len(acts), count):
            images = windows.fold(compute(windows.unfold(acts[first : first + count])))
            parts.append(self.pool(images) if self.pool else images)
        return np.concatenate(parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLstm:
    """One layer of an LSTM, from zero states. Its gates are one fully connected layer of the input
    and the state h; they stand in torch's order: input, forget, cell, output.

    Attributes
    ----------
    name : str
    weight_ih : float64, shape (4 * hidden, inputs)
    weight_hh : float64, shape (4 * hidden, hidden)
    bias : float64, shape (4 * hidden,)
        The sum of torch's two; zeros if the layer has none.
    returns : "sequence" or "last"
        Whether h goes on after every step, or once, after the last.
    folded : tuple of str
        Names of the BatchNorms that weight_ih and bias have absorbed.
    """

    name: str
    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias: np.ndarray
    returns: Literal["sequence", "last"]
    folded: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        return self.weight_ih.shape[1]

    @property
    def hidden(self) -> int:
        return self.weight_hh.shape[1]

    @property
    def outputs(self) -> int:
        return self.hidden

    @property
    def takes(self) -> int:
        """Values of a step."""
        return self.inputs

    @property
    def gives(self) -> int:
        """Values that it makes of a step."""
        return self.hidden

    def __call__(self, acts: np.ndarray) -> np.ndarray:
        """Float64, (samples, steps, inputs) to (samples, steps, hidden), or (samples, hidden) if
        only the last step goes on."""
        return self.run(acts)[0]

    def run(self, acts: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Outputs as above, and the largest magnitudes of any gate in front of its sigmoid or tanh
        and of the state c."""
        samples, steps, _ = acts.shape
        h = c = np.zeros((samples, self.hidden))
        outputs, reach = [], np.zeros(2)
        for step in range(steps):
            gates = acts[:, step] @ self.weight_ih.T + h @ self.weight_hh.T + self.bias
            i, f, g, o = np.split(gates, 4, axis=1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
            outputs.append(h)
            reach = np.maximum(reach, [np.abs(gates).max(), np.abs(c).max()])
        result = h if self.returns == "last" else np.stack(outputs, axis=1)
        return result, float(reach[0]), float(reach[1])


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * values)  # unlike exp, tanh never overflows


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A captured network.

    With an LSTM among its layers it takes sequences. Inside the compiler these are always
    (samples, steps, inputs), whatever ``batch_first`` says of the user's; ``run`` takes them so,
    too.

    Attributes
    ----------
    layers : tuple of FloatLayer and FloatLstm
        In order; their sizes chain and their names differ.
    run : callable or None
        The original in torch, (samples, inputs) to (samples, outputs). None if only its weights
        were given. Of sequences it gives (samples, steps, outputs), or the last step's.
    notes : tuple of str
        What was assumed on the way.
    batch_first : bool
        Whether users give sequences as (samples, steps, inputs), or as (steps, samples, inputs).
    steps : int or None
        Steps that ``run`` takes; None if any number.
    """

    layers: tuple[FloatLayer | FloatLstm, ...]
    run: Callable[[np.ndarray], np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    batch_first: bool = True
    steps: int | None = None

    @property
    def inputs(self) -> int:
        """Values of a sample, or of a step."""
        return self.layers[0].takes

    @property
    def recurrent(self) -> bool:
        """Whether there is an LSTM."""
        return any(isinstance(layer, FloatLstm) for layer in self.layers)


def check_chain(
    layers: Sequence[FloatLayer | FloatLstm], hint: str = ""
) -> tuple[FloatLayer | FloatLstm, ...]:
    """Refuse sizes that do not fit each other; ``hint`` ends that message."""
    for layer in layers:
        if isinstance(layer, FloatLstm):
            _check_lstm(layer)
        elif layer.bias.shape != (layer.outputs,) or 0 in layer.weight.shape:
            raise UserError(
                f"layer {layer.name}: weight of shape {layer.weight.shape} and bias of shape "
                f"{layer.bias.shape}, must be (outputs, inputs) and (outputs,), none of them empty"
            )
    for before, layer in pairwise(layers):
        if before.gives != layer.takes:
            raise UserError(
                f"layer {layer.name} takes {layer.takes} inputs, but layer {before.name} "
                f"in front of it has {before.gives} outputs{hint}"
            )
    return tuple(layers)


def _check_lstm(layer: FloatLstm) -> None:
    shapes = [layer.weight_ih.shape, layer.weight_hh.shape, layer.bias.shape]
    gates = 4 * layer.hidden
    if shapes != [(gates, layer.inputs), (gates, layer.hidden), (gates,)] or 0 in shapes[0]:
        raise UserError(
            f"layer {layer.name}: weights and bias of shapes {shapes[0]}, {shapes[1]} and "
            f"{shapes[2]}, must be (4 * hidden, inputs), (4 * hidden, hidden) and (4 * hidden,), "
            "none of them empty"
        )
