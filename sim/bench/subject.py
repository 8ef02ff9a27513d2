"""A network that designs are compared on, and what each makes of it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sim.bench.designs import Design, plain_layers
from sim.devices import open_device
from spec.errors import UserError
from sw.compile.calibrate import check_samples, flatten_samples
from sw.compile.network import Network
from sw.host.compare import run_on
from sw.host.quantities import dequantize_output, quantize_input
from sw.host.report import make_report


@dataclass(frozen=True, eq=False)
class Measured:
    """What a design made of a subject.

    Attributes
    ----------
    pruned, outputs : float64
        Outputs of the pruned network in floating point, and of the array.
    density : float
        Share of the weights that stayed.
    figures : dict
        Of :meth:`sim.bench.designs.Design.figures`.
    """

    pruned: np.ndarray
    outputs: np.ndarray
    density: float
    figures: dict


class Subject(ABC):
    """What designs are compared on.

    Attributes
    ----------
    name : str
    about : dict
        What reports tell of it.
    positions : int
        Its weights, zeros among them included.
    """

    name: str
    about: dict
    positions: int

    @abstractmethod
    def dense(self) -> np.ndarray:
        """What it gives as it is, in floating point."""

    @abstractmethod
    def measure(self, design: Design) -> Measured:
        """Prune, compile and run it; what a design does not take raises :class:`UserError`."""

    @abstractmethod
    def right(self, outputs: np.ndarray) -> float | None:
        """Share of the samples that come out right, where that is known."""


@dataclass(frozen=True, eq=False)
class Chain(Subject):
    """Linear layers and convolutions, one behind the other.

    Attributes
    ----------
    calibration, batch : float64, shape (samples, inputs)
        What ranges are measured on, and what runs.
    labels : int64, shape (samples,), or None
        The right class of each sample of the batch.
    """

    name: str
    about: dict
    network: Network
    calibration: np.ndarray
    batch: np.ndarray
    labels: np.ndarray | None = None

    @property
    def positions(self) -> int:
        return sum(one.weight.size for one in plain_layers(self.network))

    def dense(self) -> np.ndarray:
        return run_float(self.network, self.batch)

    def measure(self, design: Design) -> Measured:
        pruned = design.prune(self.network)
        program = design.compile(pruned, self.calibration, len(self.batch))
        device = open_device("golden", program.config)
        found = run_on(device, program, quantize_input(program, self.batch))
        report = make_report(device, program, found.outputs, found.counts)
        kept = sum(np.count_nonzero(one.weight) for one in plain_layers(pruned))
        return Measured(
            run_float(pruned, self.batch),
            dequantize_output(program, found.outputs),
            kept / self.positions,
            design.figures(program, report),
        )

    def right(self, outputs: np.ndarray) -> float | None:
        if self.labels is None:
            return None
        return float((outputs.argmax(axis=1) == self.labels).mean())


def run_float(network: Network, batch: np.ndarray) -> np.ndarray:
    """Outputs of a network's layers, one behind the other."""
    if network.run:
        return network.run(batch)
    for layer in network.layers:
        batch = layer(batch)
    return batch


def of_network(
    name: str,
    network: Network,
    calibration: np.ndarray,
    batch: np.ndarray,
    labels: np.ndarray | None,
    source: str,
) -> Chain:
    """A captured network.

    Raises
    ------
    UserError
        It has an LSTM, samples do not fit, or labels are no class of each sample.
    """
    if network.recurrent:
        raise UserError(f"{name}: has an LSTM, which the N:M array does not take")
    calibration, batch = (
        flatten_samples(check_samples(samples, what), network.inputs, what)
        for what, samples in (("calibration", calibration), ("input", batch))
    )
    if labels is not None:
        _check_labels(name, labels, len(batch), plain_layers(network)[-1].gives)
    about = {"samples": len(batch), "weights": source}
    if labels is not None:
        about["right"] = "a sample is right if the output of its class is the largest"
    return Chain(name, about, network, calibration, batch, labels)


def _check_labels(name: str, labels: np.ndarray, samples: int, classes: int) -> None:
    """Refuse what does not tell the class of each sample."""
    if labels.shape != (samples,) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{name}: labels are {labels.dtype} of shape {labels.shape}, there must be an integer "
            f"for each of the {samples} samples"
        )
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise UserError(
            f"{name}: labels hold {wrong[0]}, the network's {classes} outputs are the classes 0 to "
            f"{classes - 1}"
        )
