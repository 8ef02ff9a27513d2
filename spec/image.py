"""The image file: a compiled network as it crosses from the compiler to a device.

A safetensors file: one tensor per memory, and one JSON document as metadata. ``docs/image.md``
describes it field by field. ``python -m spec.image FILE`` prints what is inside.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from spec.eie.program import Program as EieProgram
from spec.engine import Engine
from spec.errors import UserError, cli
from spec.files import read_file, write_file
from spec.mixed import ENGINES as OF_STAGES
from spec.mixed import MIXED, Mixed
from spec.nm.program import Program as NmProgram

FORMAT_VERSION = 2

ENGINES = {**OF_STAGES, MIXED.name: MIXED}
"""Every kind of program that an image may hold."""

Program = EieProgram | NmProgram | Mixed


def engine_of(program: Any) -> Engine:
    """What handles a program."""
    return next(engine for engine in ENGINES.values() if isinstance(program, engine.program))


def to_bytes(program: Program) -> bytes:
    """The file's contents; equal programs give equal bytes."""
    engine = engine_of(program)
    document, tensors = engine.to_document(program)
    document = {"format_version": FORMAT_VERSION, "engine": engine.name} | document
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


def read(path: Path | str) -> Any:
    """Read an image file: one of :data:`Program`, as the file says.

    Raises
    ------
    UserError
        If it cannot be read, is no image, is truncated or altered, or has another format version.
    """
    return from_bytes(read_file(path), str(path))


def from_bytes(data: bytes, name: str = "image") -> Any:
    """The program in a file's contents; ``name`` is what error messages call it."""
    try:
        document, tensors = _open(data)
        engine = ENGINES[document["engine"]]
        program = engine.from_document(document, tensors)
        engine.check_fits(program)
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
    if engine not in tuple(ENGINES):  # which needs no hash of what may be anything
        raise UserError(f"made for the engine {engine!r}, this reader takes {', '.join(ENGINES)}")
    return document, tensors


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
    or (outputs, inputs + hidden) of an LSTM's gates. Rows and columns are in the network's order,
    whatever the array's is."""
    return engine_of(program).unpack(program)


def inspect(program: Program) -> dict:
    """A summary as a JSON-ready dictionary."""
    engine = engine_of(program)
    return {"engine": engine.name} | engine.inspect(program)


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
    print(json.dumps(summary, indent=2) if arguments.json else engine_of(program).table(summary))


if __name__ == "__main__":
    cli(main)
