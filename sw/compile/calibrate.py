"""Calibration: how far activations reach on sample inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spec.errors import UserError
from sw.compile.network import FloatLayer, sample_values

HEADROOM = 0.25
"""Part by which activations may exceed what calibration saw before they saturate."""


@dataclass(frozen=True)
class Ranges:
    """Largest magnitude, head-room included, of the network's input and of every layer's output."""

    input: float
    outputs: tuple[float, ...]


def check_samples(samples: np.ndarray | torch.Tensor) -> np.ndarray:
    """Refuse samples of a wrong kind; their values are taken as they are, uint8 as 0...255."""
    samples = sample_values(samples)
    if not (np.issubdtype(samples.dtype, np.floating) or samples.dtype == np.uint8):
        raise UserError(f"calibration samples are {samples.dtype}, must be floats or uint8")
    if samples.ndim < 2 or samples.size == 0:
        raise UserError(
            f"calibration samples have shape {samples.shape}, must be (samples, ...), not empty"
        )
    if not np.isfinite(samples).all():
        at = int(np.argmin(np.isfinite(samples).reshape(len(samples), -1).all(axis=1)))
        raise UserError(f"calibration sample {at} holds a value that is not finite")
    if not samples.any():
        raise UserError("calibration samples are all zero: no range can be measured on them")
    return samples


def flatten_samples(samples: np.ndarray, inputs: int) -> np.ndarray:
    """Samples as float64 of shape (samples, inputs)."""
    flat = samples.reshape(len(samples), -1)
    if flat.shape[1] != inputs:
        raise UserError(
            f"calibration samples have {flat.shape[1]} values each (shape {samples.shape}), "
            f"the network takes {inputs}"
        )
    return flat.astype(np.float64)


def measure(
    layers: Sequence[FloatLayer], batch: np.ndarray, headroom: float = HEADROOM
) -> tuple[Ranges, np.ndarray]:
    """Run a batch through the layers in float64; returns ranges and the outputs.

    A layer that is never active on the batch gets the largest range that its input allows.
    """
    if not 0 <= headroom <= 100:
        raise UserError(f"headroom {headroom!r}, must be from 0 to 100")
    first = reach = float(np.abs(batch).max())
    outputs = []
    for layer in layers:
        with np.errstate(over="ignore", invalid="ignore"):
            batch = layer(batch)
            largest = float(np.abs(batch).max())
            if largest == 0:
                sums = np.abs(layer.weight).sum(axis=1) * reach + np.abs(layer.bias)
                largest = float(sums.max()) or reach
        if not np.isfinite(largest):
            raise UserError(f"layer {layer.name}: its outputs exceed what a float holds")
        outputs.append(largest * (1 + headroom))
        reach = largest
    return Ranges(first * (1 + headroom), tuple(outputs)), batch
