"""Calibration: how far activations reach on sample inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from spec.errors import UserError
from sw.compile.network import FloatLayer, FloatLstm, Network
from sw.compile.tensors import sample_values

HEADROOM = 0.25
"""Part by which activations may exceed what calibration saw before they saturate."""


@dataclass(frozen=True)
class LstmRange:
    """Largest magnitude, head-room included, inside an LSTM: of its gates, in front of their
    sigmoid or tanh, and of its state c."""

    gates: float
    cell: float


@dataclass(frozen=True)
class Ranges:
    """Largest magnitude, head-room included, of the network's input and of every layer's output.

    That of an LSTM is 1, without head-room: h cannot exceed it. ``insides`` tells more about those,
    by name.
    """

    input: float
    outputs: tuple[float, ...]
    insides: Mapping[str, LstmRange] = field(default_factory=dict)

    def of_layers(self, first: int, behind: int) -> "Ranges":
        """Those of some neighbouring layers by themselves."""
        before = self.outputs[first - 1] if first else self.input
        return Ranges(before, self.outputs[first:behind], self.insides)


def check_samples(samples: np.ndarray | torch.Tensor, what: str = "calibration") -> np.ndarray:
    """Refuse samples of a wrong kind, which errors call by ``what`` they are for; their values are
    taken as they are, uint8 as 0...255."""
    samples = sample_values(samples)
    if not (np.issubdtype(samples.dtype, np.floating) or samples.dtype == np.uint8):
        raise UserError(f"{what} samples are {samples.dtype}, must be floats or uint8")
    if samples.ndim < 2 or samples.size == 0:
        raise UserError(
            f"{what} samples have shape {samples.shape}, must be (samples, ...), not empty"
        )
    if not np.isfinite(samples).all():
        at = int(np.argmin(np.isfinite(samples).reshape(len(samples), -1).all(axis=1)))
        raise UserError(f"{what} sample {at} holds a value that is not finite")
    if not samples.any():
        raise UserError(f"{what} samples are all zero: no range can be measured on them")
    return samples


def flatten_samples(samples: np.ndarray, inputs: int, what: str = "calibration") -> np.ndarray:
    """Samples as float64 of shape (samples, inputs)."""
    flat = samples.reshape(len(samples), -1)
    if flat.shape[1] != inputs:
        raise UserError(
            f"{what} samples have {flat.shape[1]} values each (shape {samples.shape}), "
            f"the network takes {inputs}"
        )
    return flat.astype(np.float64)


def sequence_samples(samples: np.ndarray, network: Network) -> np.ndarray:
    """Samples of a recurrent network as float64 of shape (samples, steps, inputs).

    A network of one step, an exported LSTMCell, also takes (samples, inputs).
    """
    if samples.ndim == 2 and network.steps == 1:
        samples = samples[:, None]
    if samples.ndim < 3:
        order = "samples, steps" if network.batch_first else "steps, samples"
        raise UserError(
            f"calibration samples have shape {samples.shape}, must be sequences: ({order}, inputs)"
        )
    if not network.batch_first:
        samples = samples.swapaxes(0, 1)
    count, steps = samples.shape[:2]
    if network.steps not in (None, steps):
        raise UserError(
            f"calibration samples have {steps} steps each, the network was exported for "
            f"{network.steps}"
        )
    flat = samples.reshape(count, steps, -1)
    if flat.shape[2] != network.inputs:
        raise UserError(
            f"calibration samples have {flat.shape[2]} values in each step, "
            f"the network takes {network.inputs}"
        )
    return flat.astype(np.float64)


def measure(
    layers: Sequence[FloatLayer | FloatLstm], batch: np.ndarray, headroom: float = HEADROOM
) -> tuple[Ranges, np.ndarray]:
    """Run a batch through the layers in float64; returns ranges and the outputs.

    The batch is (samples, inputs), or with an LSTM among the layers (samples, steps, inputs). A
    layer that is never active on the batch gets the largest range that its input allows.
    """
    if not 0 <= headroom <= 100:
        raise UserError(f"headroom {headroom!r}, must be from 0 to 100")
    first = reach = float(np.abs(batch).max())
    outputs, insides = [], {}
    for layer in layers:
        with np.errstate(over="ignore", invalid="ignore"):
            if isinstance(layer, FloatLstm):
                batch, gates, cell = layer.run(batch)
                insides[layer.name] = LstmRange(gates * (1 + headroom), cell * (1 + headroom))
                inside, reach = gates + cell, 1.0
                outputs.append(reach)
            else:
                batch = layer(batch)
                inside = reach = _reach(layer, batch, reach)
                outputs.append(reach * (1 + headroom))
        if not np.isfinite(inside):
            raise UserError(f"layer {layer.name}: its outputs exceed what a float holds")
    return Ranges(first * (1 + headroom), tuple(outputs), insides), batch


def _reach(layer: FloatLayer, outputs: np.ndarray, reach: float) -> float:
    """Largest output, or the largest possible one if all are zero."""
    largest = float(np.abs(outputs).max())
    if largest == 0:
        sums = np.abs(layer.weight).sum(axis=1) * reach + np.abs(layer.bias)
        return float(sums.max()) or reach
    return largest
