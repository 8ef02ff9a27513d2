"""The network as it was given, run in torch: what every step of the compiler is held against."""

import logging
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from spec.errors import UserError
from sw.compile.network import Network
from sw.compile.tensors import densified

Run = Callable[[np.ndarray], np.ndarray]


def run_module(module: nn.Module, network: Network, shape: tuple[int, ...]) -> Run:
    """Run a module on any number of samples.

    Parameters
    ----------
    shape : tuple of int
        Of samples as the module takes them.
    """
    kind = dtype_of(module)
    sequences = network.recurrent and len(shape) > 2

    def run(batch: np.ndarray) -> np.ndarray:
        if sequences:
            batch = _swap(batch.reshape(*batch.shape[:2], *shape[2:]), network)
        else:
            batch = batch.reshape(-1, *shape[1:])
        with evaluating(module), densified(module), torch.no_grad():
            return _outputs(module(torch.from_numpy(batch).to(kind)), network)

    return run


def run_exported(program: ExportedProgram, network: Network) -> Run:
    """Run an exported program on any number of samples, in the batches that it was exported for."""
    (node,) = (n for n in program.graph.nodes if n.name in program.graph_signature.user_inputs)
    example = node.meta["val"]
    sizes = list(example.shape)
    size = sizes.pop(0 if network.batch_first else 1)
    if not all(isinstance(others, int) for others in sizes):
        raise UserError(
            f"input {node.name}: was exported with shape {tuple(example.shape)}, "
            "only the number of samples may be a torch.export.Dim"
        )
    fewest = most = size
    if not isinstance(size, int):
        allowed = program.range_constraints.get(size.node.expr)
        fewest, most = (allowed.lower, allowed.upper) if allowed else (1, np.inf)

    def run(batch: np.ndarray) -> np.ndarray:
        with quiet():
            module, step = program.module(), int(max(fewest, min(len(batch), most)))
        results = []
        for first in range(0, len(batch), step):
            part = batch[first : first + step]
            padded = np.zeros((step, *sizes))
            padded[: len(part)] = part.reshape(-1, *sizes)
            try:
                with torch.no_grad():
                    result = module(torch.from_numpy(_swap(padded, network)).to(example.dtype))
            except Exception as error:  # guards of the export, and whatever the program raises
                raise UserError(
                    f"the exported program does not run on {step} samples at once: "
                    f"{first_line(error)}; export it for a fixed number, or any"
                ) from error
            results.append(_outputs(result, network)[: len(part)])
        return np.concatenate(results)

    return run


def dtype_of(module: nn.Module) -> torch.dtype:
    """The kind of number that a module computes with."""
    kinds = [parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()]
    return kinds[0] if kinds else torch.float32


def _swap(values: np.ndarray, network: Network) -> np.ndarray:
    """Between (samples, steps, ...) and the order of steps and samples that the user has."""
    return values if network.batch_first else values.swapaxes(0, 1)


def _outputs(result: Any, network: Network) -> np.ndarray:
    """Float64, samples first; of what an LSTM by itself returns, its output. Images are vectors."""
    while isinstance(result, tuple):
        result = result[0]
    values = result.to(torch.float64).numpy()
    if not network.recurrent:
        return values.reshape(len(values), -1)
    return _swap(values, network) if values.ndim > 2 else values


@contextmanager
def evaluating(module: nn.Module):
    """Put all parts of a module in evaluation mode, and back."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def quiet():
    """Keep torch's own warnings and stack traces off the terminal; what matters is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
