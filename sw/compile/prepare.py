"""What comes first for every engine: a network is captured, and run on samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from tqdm import tqdm

from spec.errors import UserError
from sw.compile.calibrate import (
    HEADROOM,
    Ranges,
    check_samples,
    flatten_samples,
    measure,
    sequence_samples,
)
from sw.compile.capture import capture
from sw.compile.network import Network
from sw.compile.steps import Log

Model = Network | nn.Module | ExportedProgram | Mapping[str, torch.Tensor] | str | Path
"""What a network may be given as; see :func:`sw.compile.capture.capture`."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network, and what samples make of it.

    Attributes
    ----------
    batch : float64, shape (samples, inputs), or (samples, steps, inputs) of sequences
    ranges : Ranges
        How far activations reach, head-room included.
    log : Log
        Has the network as given and as captured.
    """

    network: Network
    batch: np.ndarray
    ranges: Ranges
    log: Log


def prepare(
    model: Model,
    calibration: np.ndarray,
    bar: tqdm,
    *,
    activation: str = "relu",
    headroom: float = HEADROOM,
) -> Prepared:
    """Capture a network and measure it; parameters and refusals are those of the drivers."""
    samples = check_samples(calibration)
    bar.set_description_str("capture")
    if isinstance(model, Network):
        network = model
    else:
        network = capture(model, samples, activation=activation)
    if network.recurrent:
        batch = sequence_samples(samples, network)
    else:
        batch = flatten_samples(samples, network.inputs)

    bar.set_description_str("calibrate")
    ranges, folded = measure(network.layers, batch, headroom)
    original = folded if network.run is None else network.run(batch)
    if not np.isfinite(original).all():
        raise UserError("the network's own outputs on the calibration samples are not finite")
    log = Log()
    log.add("network", original)
    log.add("folded", folded, _notes_of_folding(network))
    return Prepared(network, batch, ranges, log)


def check_count_of(count: int) -> None:
    """Refuse to run no samples on the packed image."""
    if count < 1:
        raise UserError(f"check samples = {count}, must be at least 1")


def _notes_of_folding(network: Network) -> list[str]:
    return [
        f"{layer.name}: absorbed {', '.join(layer.folded)}"
        for layer in network.layers
        if layer.folded
    ]
