"""What a command line names: networks, and pictures; and where networks go."""

import argparse
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from spec.errors import UserError
from sw.compress.cli import exported
from sw.compress.cli.state import Layers, unmasked
from sw.compress.data import Dataset, digits, idx_folder
from sw.compress.fetch import SOURCES, dataset_folder
from sw.compress.interop import plain
from sw.compress.saving import SUFFIXES, check_suffix, give, load, save

PT2 = ".pt2"


@dataclass(frozen=True, eq=False)
class Given:
    """A network.

    Attributes
    ----------
    model : nn.Module
    program : ExportedProgram or None
        That it comes from.
    """

    model: nn.Module
    program: ExportedProgram | None = None

    def save(self, model: nn.Module, path: Path, data: Dataset | None) -> Path:
        """Write what became of the network, in one step."""
        if path.suffix != PT2:
            return save(model, path)
        if self.program is not None:
            return exported.write_same(self.program, model, path)
        if data is None:
            raise UserError(
                f"{path}: exporting takes a picture that the network takes: give --data"
            )
        # Two, as torch.export takes a single one for a fixed number.
        return exported.write_new(model, data.train_images[:2], path)


def network(arguments: argparse.Namespace) -> Given:
    """The network of a command line, without the masks of other libraries.

    Raises
    ------
    UserError
        If there is none, or it cannot be made or read.
    """
    text = arguments.model
    is_file = Path(text).suffix in (*SUFFIXES, PT2)
    if arguments.state is not None and is_file:
        raise UserError(f"--state is for package.module:function; {text} has parameters itself")
    if Path(text).suffix == PT2:
        program = exported.read(Path(text))
        return Given(exported.network(program), program)
    if is_file:
        return Given(Layers(unmasked(load(text)), arguments.activation))
    model = _made(text, arguments.seed)
    if arguments.state is not None:
        give(model, unmasked(load(arguments.state)), arguments.state)
    return Given(plain(model)[0])


def check_output(path: Path | None, endings: tuple[str, ...] = (*SUFFIXES, PT2)) -> None:
    """Refuse at once what could not be written in the end."""
    if path is None:
        return
    check_suffix(path, endings)
    if not path.absolute().parent.is_dir():
        raise UserError(f"cannot write {path}: there is no folder {path.parent}")


def pictures(arguments: argparse.Namespace, given: Given) -> Dataset | None:
    """The data set of a command line, as the network takes it; None if there is none."""
    name = arguments.data
    if name is None:
        return None
    if name == "digits":
        data = digits()
    else:
        data = idx_folder(dataset_folder(name) if name in SOURCES else name)
    if given.program is not None:
        shape = exported.input_shape(given.program)
        if shape != data.train_images.shape[1:] and torch.Size(shape).numel() == data.pixels:
            data = replace(
                data,
                train_images=data.train_images.reshape(-1, *shape),
                test_images=data.test_images.reshape(-1, *shape),
            )
    _check_runs(given.model, data)
    return data


def calibration(
    arguments: argparse.Namespace, data: Dataset | None
) -> list[tuple[Tensor, Tensor]] | None:
    """Some pictures to train on, in batches."""
    for option in ("calibration", "batch"):
        if getattr(arguments, option) < 1:
            raise UserError(f"--{option} {getattr(arguments, option)}: must be at least 1")
    if data is None:
        return None
    generator = torch.Generator().manual_seed(arguments.seed)
    picked = torch.randperm(len(data.train_images), generator=generator)[: arguments.calibration]
    return [
        (data.train_images[part], data.train_labels[part]) for part in picked.split(arguments.batch)
    ]


def _made(text: str, seed: int) -> nn.Module:
    """What ``package.module:function`` makes."""
    if ":" not in text:
        raise UserError(
            f"{text}: the name must end in {', '.join((PT2, *SUFFIXES))}, or be "
            "package.module:function"
        )
    try:
        make: Callable[[], nn.Module] = pkgutil.resolve_name(text)
        torch.manual_seed(seed)
        model = make if isinstance(make, nn.Module) else make()
    except Exception as error:  # whatever the user's own module raises
        raise UserError(f"{text}: {_first_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise UserError(f"{text}: made {type(model).__name__}, must be a torch.nn.Module")
    return model


def _check_runs(model: nn.Module, data: Dataset) -> None:
    """Refuse a network that does not take the pictures, or does not tell their classes."""
    some = data.train_images[:3]
    model.eval()
    try:
        with torch.no_grad():
            outputs = model(some)
    except UserError:
        raise
    except Exception as error:  # whatever the network's own code raises
        raise UserError(
            f"the network does not run on {len(some)} pictures of shape {tuple(some.shape[1:])} "
            f"of {data.name}: {_first_line(error)}"
        ) from error
    shape = tuple(getattr(outputs, "shape", ()))
    if len(shape) != 2 or shape[0] != len(some) or shape[1] < data.classes:
        raise UserError(
            f"of {len(some)} pictures the network makes {shape or type(outputs).__name__}; for the "
            f"{data.classes} classes of {data.name} it must be ({len(some)}, {data.classes})"
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")
