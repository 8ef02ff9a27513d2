"""State dicts as files, ``.pt`` and ``.safetensors``: whole ones, or none."""

import io
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from spec.errors import UserError
from spec.files import read_file, write_file

SUFFIXES = (".pt", ".pth", ".safetensors")


def save(model: nn.Module | Mapping[str, Tensor], path: Path | str) -> Path:
    """Write a network's state dict in one step: the old file stays, or the whole new one is there.

    Parameters
    ----------
    model : nn.Module or state dict
    path : path
        Its ending says the form: ``.pt`` or ``.pth`` (``torch.save``), or ``.safetensors``.
    """
    check_suffix(path, SUFFIXES)
    state = model.state_dict() if isinstance(model, nn.Module) else model
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise UserError(f"{name}: holds {type(value).__name__}, a file of weights has tensors")
    return write_file(path, _bytes(state, Path(path).suffix))


def load(path: Path | str) -> dict[str, Tensor]:
    """A state dict from a file; no Python object in it is loaded.

    Raises
    ------
    UserError
        If the file cannot be read, or is none.
    """
    check_suffix(path, SUFFIXES)
    data = read_file(path)
    try:
        if Path(path).suffix == ".safetensors":
            return safetensors.torch.load(data)
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the damaged part happens to cause in either library
        raise UserError(
            f"{path}: truncated, or no file of weights (torch.save(network.state_dict(), ...), or "
            "safetensors); files that hold Python objects are not loaded"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path}: holds something else than a state dict of tensors")
    return dict(state)


def load_into(model: nn.Module, path: Path | str) -> None:
    """Give a network the parameters in a file, in place: all of them, or none if they do not fit.

    Raises
    ------
    UserError
        If the file is none, or has not exactly the network's names and shapes.
    """
    give(model, load(path), path)


def give(model: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> None:
    """Give a network the parameters that a file had, in place: all, or none if they do not fit."""
    own = model.state_dict()
    for what, names in (
        ("misses", own.keys() - state.keys()),
        ("has, and the network has not,", state.keys() - own.keys()),
    ):
        if names:
            raise UserError(f"{path} {what} {', '.join(sorted(names))}")
    for name, value in own.items():
        if value.shape != state[name].shape:
            raise UserError(
                f"{path}: {name} has the shape {tuple(state[name].shape)}, "
                f"in the network {tuple(value.shape)}"
            )
    model.load_state_dict(state)


def check_suffix(path: Path | str, allowed: tuple[str, ...]) -> None:
    """Refuse a name that does not say what the file is."""
    if Path(path).suffix not in allowed:
        raise UserError(f"{path}: the name must end in {', '.join(allowed)} to say what it is")


def _bytes(state: Mapping[str, Tensor], suffix: str) -> bytes:
    if suffix == ".safetensors":
        # Of tensors that share memory (tied weights) the format wants a copy each.
        apart = {n: value.detach().cpu().contiguous().clone() for n, value in state.items()}
        return safetensors.torch.save(apart, {"format": "pt"})
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu() for name, value in state.items()}, buffer)
    return buffer.getvalue()
