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
from typing import TypeVar

import numpy as np
import safetensors
import safetensors.numpy

from spec.eie.checks import check_fits
from spec.eie.config import EieConfig
from spec.eie.csc import decode
from spec.eie.descriptor import Descriptor
from spec.eie.golden import decode_pass
from spec.eie.program import MEMORIES, Layer, Pass, Program, Segment, Slice, matrix_of
from spec.errors import UserError, cli
from spec.files import read_file, write_file

FORMAT_VERSION = 1


def to_bytes(program: Program) -> bytes:
    """The file's contents; equal programs give equal bytes."""
    tensors = {
        f"segment{number}.{memory}": np.ascontiguousarray(getattr(segment, memory).astype(kind))
        for number, segment in enumerate(program.segments)
        for memory, kind in MEMORIES.items()
    }
    document = {
        "format_version": FORMAT_VERSION,
        "engine": "eie",
        "config": program.config.to_json(),
        "config_digest": program.config.digest,
        "layers": [asdict(layer) for layer in program.layers],
        "segments": [
            {
                "passes": [asdict(step) for step in segment.passes],
                "feed": asdict(segment.feed) if segment.feed else None,
                "fetch": asdict(segment.fetch) if segment.fetch else None,
            }
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
                passes=tuple(_pass(step) for step in entry["passes"]),
                feed=_build(Slice, entry["feed"]) if entry["feed"] else None,
                fetch=_build(Slice, entry["fetch"]) if entry["fetch"] else None,
                **{memory: tensors[f"segment{number}.{memory}"] for memory in MEMORIES},
            )
            for number, entry in enumerate(document["segments"])
        )
        layers = tuple(_build(Layer, layer) for layer in document["layers"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the image's metadata is incomplete or wrong ({error})") from None
    return Program(config=config, layers=layers, segments=segments)


def _pass(values: dict) -> Pass:
    return _build(Pass, values | {"descriptor": _build(Descriptor, values["descriptor"])})


Item = TypeVar("Item", Layer, Slice, Pass, Descriptor)


def _build(kind: type[Item], values: dict) -> Item:
    """An object of JSON values; a :class:`TypeError` names a field of another type."""
    for field in fields(kind):
        value = values[field.name]
        fits = type(value) is field.type or (field.type is float and type(value) is int)
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
    """Dense integer weights of every layer, from the memory words. int64, shape (outputs, inputs).

    Multiply by the layer's ``weight_scale`` for real weights.
    """
    dense = {
        layer.name: np.zeros((layer.outputs, layer.inputs), np.int64) for layer in program.layers
    }
    for _, segment, step in program.passes():
        codes = decode(matrix_of(program.config, segment, step))
        values = segment.codebooks[step.descriptor.codebook].astype(np.int64)
        dense[program.layers[step.layer].name][
            step.first_output : step.first_output + step.outputs,
            step.first_input : step.first_input + step.inputs,
        ] = values[codes]
    return dense


def inspect(program: Program) -> dict:
    """A summary as a JSON-ready dictionary.

    Each layer tells the bits per weight that its entries and its pointers take: entries grow with
    the weights, pointers with columns and PEs, so on small layers these outweigh the rest.
    """
    config = program.config
    layers = []
    for index, layer in enumerate(program.layers):
        passes = [(segment, step) for _, segment, step in program.passes() if step.layer == index]
        decoded = [decode_pass(config, segment, step) for segment, step in passes]
        entries = sum(int(matrix.entries.sum()) for matrix in decoded)
        pads = sum(int(matrix.pads.sum()) for matrix in decoded)
        pointers = sum((step.inputs + 1) * config.pes for _, step in passes)
        weights = max(1, layer.weights)
        layers.append(
            asdict(layer)
            | {
                "density": layer.weights / (layer.inputs * layer.outputs),
                "entries": entries,
                "pads": pads,
                "passes": len(passes),
                "entry_bits_per_weight": entries * config.entry_bits / weights,
                "pointer_bits_per_weight": pointers * config.pointer_bits / weights,
            }
        )
    return {
        "engine": "eie",
        "config": config.to_json(),
        "config_digest": config.digest,
        "layers": layers,
        "segments": [
            {"passes": len(segment.passes)}
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
            f"{layer['name']:<16}{size:>14}{layer['density']:>9.3f}{layer['weights']:>10}{layer['pads']:>9}"
            f"{layer['passes']:>8}{layer['entry_bits_per_weight']:>13.1f}"
            f"{layer['pointer_bits_per_weight']:>12.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    cli(main)
