"""The image file: a compiled network as it crosses from the compiler to a device.

A safetensors file: one tensor per memory and segment, and one JSON document as metadata.
``docs/image.md`` describes it field by field. ``python -m spec.image FILE`` prints what is inside.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
import safetensors
import safetensors.numpy

from spec.eie.checks import check_fits
from spec.eie.config import EieConfig
from spec.eie.csc import decode
from spec.eie.descriptor import Descriptor
from spec.eie.golden import decode_pass
from spec.eie.lstm import LstmCell
from spec.eie.program import (
    MEMORIES,
    Layer,
    Pass,
    Program,
    Run,
    Segment,
    Slice,
    matrix_of,
    run_bits,
)
from spec.errors import UserError, cli
from spec.files import read_file, write_file

FORMAT_VERSION = 2


def to_bytes(program: Program) -> bytes:
    """The file's contents; equal programs give equal bytes."""
    tensors = {
        f"segment{number}.{memory}": np.ascontiguousarray(getattr(segment, memory).astype(kind))
        for number, segment in enumerate(program.segments)
        for memory, kind in MEMORIES.items()
    }
    tensors |= {
        f"layer{number}.order": np.ascontiguousarray(order.astype(np.uint32))
        for number, order in enumerate(program.orders)
    }
    document = {
        "format_version": FORMAT_VERSION,
        "engine": "eie",
        "config": program.config.to_json(),
        "config_digest": program.config.digest,
        "layers": [asdict(layer) for layer in program.layers],
        "per_step": program.per_step,
        "every_step": program.every_step,
        "segments": [
            {"top": segment.top, "runs": [asdict(run) for run in segment.runs]}
            for segment in program.segments
        ],
    }
    text = json.dumps(document, sort_keys=True)
    metadata = {"skipstone": text, "sha256": _checksum(text, tensors)}
    return _sort_header(safetensors.numpy.save(tensors, metadata))


def _sort_header(data: bytes) -> bytes:
    """The same file with the keys of its header in order: safetensors writes metadata in any
    order."""
    end = 8 + int.from_bytes(data[:8], "little")
    text = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def write(program: Program, path: Path | str) -> Path:
    """Write an image file, whole or not at all."""
    return write_file(path, to_bytes(program))


def read(path: Path | str) -> Program:
    """Read an image file.

    Raises
    ------
    UserError
        If it cannot be read, is no image, is truncated or altered, or has another format version.
    """
    return from_bytes(read_file(path), str(path))


def from_bytes(data: bytes, name: str = "image") -> Program:
    """The program in a file's contents; ``name`` is what error messages call it."""
    try:
        program = _decode(*_open(data))
        check_fits(program)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    return program


def _open(data: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """Metadata and tensors, once it is certain that they are whole and unaltered."""
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header["__metadata__"]
        text, checksum = metadata["skipstone"], metadata["sha256"]
        document = json.loads(text)
    except (safetensors.SafetensorError, ValueError, KeyError, RecursionError):
        raise UserError("not a Skipstone image, or a truncated one") from None
    if not isinstance(document, dict):
        raise UserError("not a Skipstone image: its metadata is no object")
    if _checksum(text, tensors) != checksum:
        raise UserError("altered since it was written (its checksum differs)")
    version, engine = document.get("format_version"), document.get("engine")
    if version != FORMAT_VERSION:
        raise UserError(f"format version {version}, this reader takes {FORMAT_VERSION}")
    if engine != "eie":
        raise UserError(f"made for the engine {engine!r}, this reader takes 'eie'")
    return document, tensors


def _decode(document: dict, tensors: dict[str, np.ndarray]) -> Program:
    """The program that metadata and tensors describe."""
    try:
        config = EieConfig.from_json(document["config"])
        if config.digest != document["config_digest"]:
            raise UserError("its configuration does not have the digest that it states")
        segments = tuple(
            Segment(
                runs=tuple(_run(run) for run in entry["runs"]),
                top=_flag(entry, "top"),
                **{memory: tensors[f"segment{number}.{memory}"] for memory in MEMORIES},
            )
            for number, entry in enumerate(document["segments"])
        )
        layers = tuple(_layer(layer) for layer in document["layers"])
        names = [f"layer{number}.order" for number in range(len(layers))]
        orders = tuple(_order(tensors[name]) for name in names if name in tensors)
        per_step, every_step = _count(document, "per_step"), _flag(document, "every_step")
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the image's metadata is incomplete or wrong ({error})") from None
    return Program(
        config=config,
        layers=layers,
        segments=segments,
        orders=orders,
        per_step=per_step,
        every_step=every_step,
    )


def _layer(values: dict) -> Layer:
    cell = None if values["cell"] is None else LstmCell.from_json(values["cell"])
    return _build(Layer, values | {"cell": cell})


def _run(values: dict) -> Run:
    return Run(
        passes=tuple(_pass(step) for step in values["passes"]),
        feed=None if values["feed"] is None else _build(Slice, values["feed"]),
        fetch=None if values["fetch"] is None else _build(Slice, values["fetch"]),
    )


def _flag(values: dict, name: str) -> bool:
    if not isinstance(values[name], bool):
        raise TypeError(f"{name} is {values[name]!r}")
    return values[name]


def _count(values: dict, name: str) -> int:
    if type(values[name]) is not int:
        raise TypeError(f"{name} is {values[name]!r}")
    return values[name]


def _order(tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype != np.uint32:
        raise TypeError(f"an order is {tensor.dtype}")
    return tensor.astype(np.int64)


def _pass(values: dict) -> Pass:
    return _build(Pass, values | {"descriptor": _build(Descriptor, values["descriptor"])})


Item = TypeVar("Item", Layer, Slice, Pass, Descriptor)


def _build(kind: type[Item], values: dict) -> Item:
    """An object of JSON values; a :class:`TypeError` names a field of another type."""
    for field in fields(kind):
        value = values[field.name]
        kinds = (*get_args(field.type), field.type)
        fits = type(value) in kinds or (field.type is float and type(value) is int)
        if not fits:
            raise TypeError(f"{kind.__name__}.{field.name} is {value!r}")
    return kind(**values)


def _checksum(text: str, tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 over the metadata and every tensor; ``docs/image.md`` says of which bytes."""
    digest = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        shape = "x".join(map(str, tensor.shape))
        digest.update(f"{key} {tensor.dtype.name} {shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def unpack(program: Program) -> dict[str, np.ndarray]:
    """Dense integer weights of every layer, from the memory words. int64, shape (outputs, inputs),
    or (outputs, inputs + hidden) of an LSTM's gates.

    Rows and columns are in the network's order, whatever the array's is. Multiply by the layer's
    ``weight_scale`` for real weights.
    """
    dense = {
        layer.name: np.zeros((layer.outputs, layer.columns(program.config)), np.int64)
        for layer in program.layers
    }
    for _, segment, step in program.passes():
        codes = decode(matrix_of(program.config, segment, step))
        book = step.descriptor.codebook - segment.bases(program.config).codebooks
        rows = program.order(step.layer)[step.first_output : step.first_output + step.outputs]
        columns = _input_order(program, step.layer)
        columns = columns[step.first_input : step.first_input + step.inputs]
        values = segment.codebooks[book].astype(np.int64)
        dense[program.layers[step.layer].name][np.ix_(rows, columns)] = values[codes]
    for layer in program.layers:
        if layer.cell:
            behind_x = np.arange(layer.inputs, dense[layer.name].shape[1] - layer.cell.hidden)
            dense[layer.name] = np.delete(dense[layer.name], behind_x, axis=1)
    return dense


def _input_order(program: Program, number: int) -> np.ndarray:
    """Which column of the network's layer each column of the array's is."""
    layer = program.layers[number]
    columns = np.arange(layer.columns(program.config))
    if number and program.layers[number - 1].cell is None:
        columns[: layer.inputs] = program.order(number - 1)
    return columns


def _columns(layer: Layer) -> int:
    """Inputs, and the state of an LSTM."""
    return layer.inputs + (layer.cell.hidden if layer.cell else 0)


def inspect(program: Program) -> dict:
    """A summary as a JSON-ready dictionary.

    Each layer tells the bits per weight that its entries and its pointers take: entries grow with
    the weights, pointers with columns and PEs, so on small layers these outweigh the rest.
    """
    config = program.config
    layers = []
    for index, layer in enumerate(program.layers):
        passes = [(segment, step) for _, segment, step in program.passes() if step.layer == index]
        entries = pads = entry_bits = pointers = 0
        for segment, step in passes:
            matrix = decode_pass(config, segment, step)
            entries += matrix.entries
            pads += matrix.entries - len(matrix.row)
            entry_bits += matrix.entries * (config.code_bits + run_bits(config, step.descriptor))
            pointers += matrix.work.weights.size + config.pes
        weights = max(1, layer.weights)
        layers.append(
            asdict(layer)
            | {
                "density": layer.weights / (layer.outputs * _columns(layer)),
                "entries": entries,
                "pads": pads,
                "passes": len(passes),
                "run_bits": sorted({run_bits(config, step.descriptor) for _, step in passes}),
                "clusters": sorted({1 << step.descriptor.split for _, step in passes}),
                "entry_bits_per_weight": entry_bits / weights,
                "pointer_bits_per_weight": pointers * config.pointer_bits / weights,
            }
        )
    return {
        "engine": "eie",
        "config": config.to_json(),
        "config_digest": config.digest,
        "layers": layers,
        "segments": [
            {"passes": len(segment.passes), "runs": len(segment.runs)}
            | {memory: list(getattr(segment, memory).shape) for memory in MEMORIES}
            for segment in program.segments
        ],
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m spec.image", description="Look into an image file."
    )
    parser.add_argument("image", help="file written by python -m sw.compile")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--unpack", metavar="FILE", help="write the dense integer weights as .safetensors"
    )
    arguments = parser.parse_args(argv)
    program = read(arguments.image)
    if arguments.unpack:
        write_file(arguments.unpack, safetensors.numpy.save(unpack(program)))
    summary = inspect(program)
    print(json.dumps(summary, indent=2) if arguments.json else _table(summary))


def _table(summary: dict) -> str:
    config = summary["config"]
    lines = [
        f"engine eie, {config['pes']} PEs, configuration {summary['config_digest']}, "
        f"{len(summary['segments'])} segment(s)",
        f"{'layer':<16}{'size':>14}{'density':>9}{'weights':>10}{'pads':>9}{'passes':>8}"
        f"{'bits/weight':>13}{'+ pointers':>12}",
    ]
    for layer in summary["layers"]:
        size = f"{layer['inputs']}x{layer['outputs']}"
        lines.append(
            f"{layer['name']:<16}{size:>14}{layer['density']:>9.3f}{layer['weights']:>10}"
            f"{layer['pads']:>9}{layer['passes']:>8}{layer['entry_bits_per_weight']:>13.1f}"
            f"{layer['pointer_bits_per_weight']:>12.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    cli(main)
