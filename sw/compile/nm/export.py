"""Layers of an image back in PyTorch's semi-structured form: compressed matrix and metadata."""

import argparse
import json
from collections.abc import Iterator, Sequence

import numpy as np
import safetensors.torch
import torch

from spec import image
from spec.errors import UserError, cli
from spec.files import write_file
from spec.mixed import Mixed
from spec.nm.golden import Decoded
from spec.nm.groups import Groups, encode
from spec.nm.program import Program
from spec.nm.pytorch import TWO_FOUR, to_pytorch
from sw.compile.tensors import CONTAINERS

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in CONTAINERS}
"""Types that PyTorch has 2:4 tensors of, by name."""


def compress(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``torch.sparse._semi_structured_conversions`` makes of a dense 2:4 matrix; but one that
    breaks the pattern is refused.

    Parameters
    ----------
    weight : int8, float16 or bfloat16, shape (outputs, inputs)

    Returns
    -------
    compressed : of the same type, shape (outputs, inputs / 2)
    metadata : int32 of int8 weights, else int16

    Raises
    ------
    UserError
        Another type, a shape that PyTorch does not take, or the row and group that break 2:4.
    """
    if weight.dtype not in CONTAINERS or weight.ndim != 2:
        raise UserError(
            f"a weight of shape {tuple(weight.shape)} and type {weight.dtype}, must be a matrix of "
            f"{', '.join(DTYPES)}"
        )
    # Weights are moved around bit by bit, whatever they mean.
    container = CONTAINERS[weight.dtype]
    weight = weight.detach().cpu().contiguous()
    places = encode((weight != 0).numpy(), TWO_FOUR).places
    bits = weight.view(container).numpy().reshape(len(weight), -1, TWO_FOUR.m)
    groups = Groups(TWO_FOUR, np.take_along_axis(bits, places, axis=2), places)
    values, metadata = to_pytorch(groups, weight.element_size())
    compressed = torch.from_numpy(values.astype(bits.dtype)).view(weight.dtype)
    return compressed, torch.from_numpy(metadata)


def export_layer(
    program: Program, number: int, dtype: torch.dtype = torch.int8
) -> dict[str, torch.Tensor]:
    """A layer's ``compressed`` and ``metadata``, and what its numbers mean.

    Of int8 weights a sum of products with integer inputs is, times the output's ``scales``, the
    real one; an input is an integer times its ``input_scales``. Weights of other types are real
    numbers. ``bias`` is real, too. A convolution is the matrix of its windows, and ``columns`` says
    which column of ``weight.flatten(1)`` each of its inputs is: groups may be of channels.

    Raises
    ------
    UserError
        By the layer's name: PyTorch takes no such matrix, or a weight is too large for the type.
    """
    layer, weights = program.layers[number], program.weights[number]
    decoded = Decoded(program, number)
    dense = program.in_place(number, decoded.dense[: layer.outputs].T).T
    bias = program.in_place(number, decoded.bias[: layer.outputs])
    if dtype.is_floating_point:
        dense = dense * weights.scales[:, None] / _of_inputs(program, number)
    weight = torch.from_numpy(dense).to(dtype)
    if dtype.is_floating_point and not torch.isfinite(weight).all():
        row = int((~torch.isfinite(weight)).any(dim=1).nonzero()[0, 0])
        raise UserError(
            f"layer {layer.name}: row {row} has weights of up to {np.abs(dense[row]).max():.3g}, "
            f"which {str(dtype).removeprefix('torch.')} does not hold; bfloat16 and int8 do"
        )
    try:
        compressed, metadata = compress(weight)
    except UserError as error:
        raise UserError(f"layer {layer.name}: {error}") from None
    columns = {"columns": torch.from_numpy(layer.unfold.columns)} if layer.unfold else {}
    return columns | {
        "compressed": compressed,
        "metadata": metadata,
        "bias": torch.from_numpy(bias * weights.scales),
        "scales": torch.from_numpy(weights.scales),
        "input_scales": torch.from_numpy(weights.input_scales),
    }


def _of_inputs(program: Program, number: int) -> np.ndarray:
    """Scale of every column of a layer's matrix."""
    layer, scales = program.layers[number], program.weights[number].input_scales
    each = layer.inputs // layer.features
    last = layer.unfold is not None and layer.unfold.channels_last
    return np.tile(scales, each) if last else np.repeat(scales, each)


def layers_of(program: image.Program) -> Iterator[tuple[Program, int]]:
    """The layers of an image that an N:M array computes, each with the program that it is in."""
    stages = program.stages if isinstance(program, Mixed) else (program,)
    for stage in stages:
        if isinstance(stage, Program):
            yield from ((stage, number) for number in range(len(stage.layers)))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sw.compile.nm.export", description=__doc__)
    add = parser.add_argument
    add("image", help="file written by python -m sw.compile")
    add("-o", "--output", required=True, metavar="FILE", help=".safetensors to write")
    add(
        "--layer",
        action="append",
        metavar="NAME",
        help="may be given several times (default: all that PyTorch takes)",
    )
    add("--dtype", default="int8", help=f"one of {', '.join(DTYPES)} (default: int8)")
    add("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    if arguments.dtype not in DTYPES:
        raise UserError(
            f"--dtype {arguments.dtype}: PyTorch has semi-structured tensors of {', '.join(DTYPES)}"
        )
    program = image.read(arguments.image)
    tensors, skipped = _export(program, arguments.layer, DTYPES[arguments.dtype])
    write_file(arguments.output, safetensors.torch.save(tensors))
    names = sorted({name.rpartition(".")[0] for name in tensors})
    if arguments.json:
        print(json.dumps({"file": arguments.output, "layers": names, "skipped": skipped}, indent=2))
        return
    for reason in skipped:
        print(f"skipped {reason}")
    print(f"{arguments.output}: {', '.join(names)}")


def _export(
    program: image.Program, wanted: Sequence[str] | None, dtype: torch.dtype
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Tensors by name, and why layers were left out that were not asked for."""
    found = {stage.layers[number].name: (stage, number) for stage, number in layers_of(program)}
    for name in wanted or ():
        if name not in found:
            raise UserError(
                f"the image has no layer {name!r} of an N:M array; it has "
                f"{', '.join(found) or 'none'}"
            )
    tensors: dict[str, torch.Tensor] = {}
    skipped: list[str] = []
    for name in wanted or found:
        try:
            own = export_layer(*found[name], dtype)
        except UserError as error:
            if wanted:
                raise
            skipped.append(str(error))
            continue
        tensors |= {f"{name}.{part}": tensor for part, tensor in own.items()}
    if not tensors:
        raise UserError(
            "the image has no layer that PyTorch takes" + "".join(f"; {one}" for one in skipped)
        )
    return tensors, skipped


if __name__ == "__main__":
    cli(main)
