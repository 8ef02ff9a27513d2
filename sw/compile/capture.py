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
from sw.compile.network import FloatLayer, Network, check_chain, sample_values, tensor_values
from sw.compile.original import dtype_of, evaluating, first_line, quiet, run_exported, run_module

ACTIVATIONS = ("relu", "none")
"""What may stand between the layers of a state dict, which does not say so itself."""


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


def from_state_dict(
    tensors: Mapping[str, torch.Tensor], activation: str = "relu", hint: str = ""
) -> Network:
    """Layers ``NAME.weight`` and ``NAME.bias`` in the order given, ``activation`` between them.

    A single layer may do without a name: ``weight`` and ``bias``, as a Linear itself has them.
    """
    if activation not in ACTIVATIONS:
        raise UserError(f"activation {activation!r} is unknown, there are {', '.join(ACTIVATIONS)}")
    if not isinstance(tensors, Mapping) or not tensors:
        raise UserError("the state dict is empty, or is none")
    _refuse_wrapped(tensors)
    if getattr(tensors.get("weight"), "ndim", 0) == 2 and set(tensors) <= {"weight", "bias"}:
        tensors = {f"layer.{key}": value for key, value in tensors.items()}
    names = [str(key).removesuffix(".weight") for key in tensors if _is_matrix(str(key), tensors)]
    known = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    for key, value in tensors.items():
        if key not in known:
            raise UserError(
                f"{key}, of shape {tuple(getattr(value, 'shape', ()))}: a state dict may hold "
                "NAME.weight of shape (outputs, inputs) and NAME.bias only; "
                "for any other layer save the network with torch.export (.pt2)"
            )
    layers = []
    for name in names:
        weight = tensor_values(tensors[f"{name}.weight"], f"{name}.weight")
        bias = np.zeros(len(weight))
        if f"{name}.bias" in tensors:
            bias = tensor_values(tensors[f"{name}.bias"], f"{name}.bias")
        relu = activation == "relu" and name != names[-1]
        layers.append(FloatLayer(name=name, weight=weight, bias=bias, relu=relu))
    between = {"relu": "a ReLU", "none": "nothing"}[activation]
    note = f"a state dict does not say what is between its layers: took {between} (--activation)"
    return Network(layers=check_chain(layers, hint), notes=(note,))


def _refuse_wrapped(tensors: Mapping) -> None:
    """Refuse what holds the weights in a form that one more call or look-up would undo."""
    for key, value in tensors.items():
        if isinstance(value, Mapping):
            raise UserError(
                f"{key}: holds a dict, a state dict holds tensors; "
                f"if this is the state dict, pass the inner dict: model[{key!r}]"
            )
        if str(key).endswith(("_orig", "_mask")):
            raise UserError(
                f"{key}: belongs to a parameter pruned by torch.nn.utils.prune; make the pruning "
                "final with torch.nn.utils.prune.remove(layer, 'weight') before taking the "
                "state dict"
            )


def _is_matrix(key: str, tensors: Mapping[str, torch.Tensor]) -> bool:
    return key.endswith(".weight") and getattr(tensors[key], "ndim", 0) == 2


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
    with evaluating(module), quiet():
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
