"""What the compiler works on between torch and integers: a chain of layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch

from spec.errors import UserError


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLayer:
    """A fully connected layer, and the ReLU behind it if there is one.

    Attributes
    ----------
    name : str
        Path of the module, or name of the parameter.
    weight : float64, shape (outputs, inputs)
    bias : float64, shape (outputs,)
        Zeros if the layer has none.
    relu : bool
    folded : tuple of str
        Names of the BatchNorms that weight and bias have absorbed.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    relu: bool
    folded: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        return self.weight.shape[0]

    def __call__(self, acts: np.ndarray) -> np.ndarray:
        """Outputs in float64, shape (samples, outputs); of a sequence, those of every step."""
        sums = acts @ self.weight.T + self.bias
        return np.maximum(sums, 0) if self.relu else sums


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
        return self.layers[0].inputs

    @property
    def recurrent(self) -> bool:
        """Whether there is an LSTM."""
        return any(isinstance(layer, FloatLstm) for layer in self.layers)


def tensor_values(tensor: torch.Tensor, name: str) -> np.ndarray:
    """A parameter as float64; refuses other than finite floating-point numbers by name."""
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        kind = getattr(tensor, "dtype", type(tensor).__name__)
        raise UserError(f"{name}: holds {kind}, a parameter must be a floating-point tensor")
    if tensor.is_meta:
        raise UserError(f"{name}: is on device 'meta', a parameter must hold values (on the CPU)")
    values = tensor.detach().cpu().to_dense().to(torch.float64).numpy()
    finite = np.isfinite(values)
    if not finite.all():
        at = np.unravel_index(int(np.argmin(finite)), values.shape)
        raise UserError(
            f"{name}: {int((~finite).sum())} of {values.size} values are not finite, "
            f"the first is {values[at]} at {[int(i) for i in at]}"
        )
    return values


def sample_values(samples: np.ndarray | torch.Tensor) -> np.ndarray:
    """Samples as an array; those of a tensor without its gradient, from whatever device."""
    if not isinstance(samples, torch.Tensor):
        return np.asarray(samples)
    if samples.is_meta:
        raise UserError("the samples are on device 'meta', they must hold values (on the CPU)")
    samples = samples.detach().cpu()
    return (samples.float() if samples.dtype == torch.bfloat16 else samples).numpy()


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
        if before.outputs != layer.inputs:
            raise UserError(
                f"layer {layer.name} takes {layer.inputs} inputs, but layer {before.name} "
                f"in front of it has {before.outputs} outputs{hint}"
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
