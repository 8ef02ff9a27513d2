"""Capture: a module, a saved exported program or a file of weights becomes a :class:`Network`."""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.export import ExportedProgram

from spec.errors import UserError
from sw.compile.graph import layers_of
from sw.compile.loop import cell_network
from sw.compile.lstm import is_recurrent, sequence_network
from sw.compile.network import Network
from sw.compile.original import dtype_of, evaluating, first_line, quiet, run_exported, run_module
from sw.compile.state_dict import from_state_dict
from sw.compile.tensors import SEMI_STRUCTURED, densified, sample_values


def capture(
    model: nn.Module | ExportedProgram | Mapping[str, torch.Tensor] | str | Path,
    samples: np.ndarray | torch.Tensor | None = None,
    *,
    activation: str = "relu",
) -> Network:
    """Capture a network.

    Parameters
    ----------
    model : nn.Module, ExportedProgram, state dict, or path
        A path ends in ``.pt2`` (exported program), ``.pt`` or ``.pth`` (state dict), or
        ``.safetensors``. A module is exported in evaluation mode and left as it was.
    samples : shape (samples, ...)
        Inputs as the network takes them; needed to export a module. An LSTM takes sequences,
        (samples, steps, inputs) or, without ``batch_first``, (steps, samples, inputs).
    activation : "relu" or "none"
        For state dicts: what stands between layers. Nothing ever follows the last one.

    Raises
    ------
    UserError
        For anything that cannot be taken, by the layer's name.
    """
    if isinstance(model, str | Path):
        model, hint = _load(Path(model))
    else:
        hint = ""
    if isinstance(model, nn.Module):
        return _from_module(model, None if samples is None else sample_values(samples))
    if isinstance(model, ExportedProgram):
        network = _from_program(model)
        return replace(network, run=run_exported(model, network))
    return from_state_dict(model, activation, hint)


def _from_module(module: nn.Module, samples: np.ndarray | None) -> Network:
    """Export a module with a few samples, in evaluation mode."""
    if samples is None:
        raise UserError("a module needs sample inputs to be exported with")
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_meta:
            raise UserError(f"{name}: is on device 'meta', it must hold values (on the CPU)")
    if isinstance(module, nn.LSTMCell) and samples.ndim > 2:
        return cell_network(module)
    # Two are enough, but what counts the samples of sequences is not known yet.
    recurrent = any(isinstance(p, nn.RNNBase | nn.RNNCellBase) for p in module.modules())
    some = np.asarray(samples if recurrent else samples[:2], np.float64)
    example = torch.from_numpy(some).to(dtype_of(module))
    with evaluating(module), densified(module), quiet():
        try:
            program = torch.export.export(module, (example,))
        except Exception as error:  # whatever the network's own code raises, too
            raise UserError(
                f"torch.export cannot trace the network on inputs of shape {tuple(example.shape)}: "
                f"{first_line(error)}"
            ) from error
    network = _from_program(program)
    steps = None if samples.ndim > 2 else network.steps
    return replace(network, run=run_module(module, network, samples.shape), steps=steps)


def _from_program(program: ExportedProgram) -> Network:
    """Without its ``run``."""
    if is_recurrent(program):
        return sequence_network(program)
    return Network(layers=layers_of(program))


def _load(path: Path) -> tuple[ExportedProgram | Mapping[str, torch.Tensor], str]:
    """Read a model file by its ending; and a hint for sizes that do not chain."""
    loaders = {".pt2": _load_exported, ".pt": _load_weights, ".pth": _load_weights}
    loaders[".safetensors"] = _load_safetensors
    if path.suffix not in loaders:
        raise UserError(f"{path}: the name must end in {', '.join(loaders)} to say what it is")
    if not path.is_file():
        raise UserError(f"cannot read {path}: no such file")
    hint = ""
    if path.suffix == ".safetensors":
        hint = (
            "; a .safetensors file keeps no order, so layers are taken in order of their names: "
            "if that is not the network's, save it as .pt or with torch.export (.pt2)"
        )
    try:
        return loaders[path.suffix](path), hint
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


def _load_exported(path: Path) -> ExportedProgram:
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: not a program saved by torch.export.save, or a truncated one")
    with quiet():
        try:
            return torch.export.load(path)
        except Exception as error:  # torch raises whatever the damaged part happened to cause
            raise UserError(
                f"{path}: torch.export cannot load it: a zip file without a program of "
                "torch.export.save, a damaged one, or one of another version of torch"
            ) from error


def _load_weights(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        with torch.serialization.safe_globals(SEMI_STRUCTURED):
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (PermissionError, FileNotFoundError):
        raise
    except Exception as error:  # an OSError, too, is how torch meets a truncated file
        raise UserError(
            f"{path}: truncated or no PyTorch file, or not a state dict "
            "(torch.save(network.state_dict(), ...)); files that hold Python objects are not loaded"
        ) from error
    if not isinstance(tensors, Mapping):
        raise UserError(f"{path}: holds {type(tensors).__name__}, must be a state dict")
    return tensors


def _load_safetensors(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        tensors = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file: {first_line(error)}") from None
    # The file sorts names as text; put layer 10 behind layer 2.
    return {name: tensors[name] for name in sorted(tensors, key=_natural)}


def _natural(name: str) -> list[tuple[str, int]]:
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]
