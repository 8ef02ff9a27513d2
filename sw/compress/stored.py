"""A compressed network as a file: its size is what compression really saved.

Weights with zeros and few distinct values are Huffman-coded (:mod:`sw.compress.coded`), all others
written as they are, in the narrowest floating-point type that holds each of them exactly; a tensor
takes whichever form is smaller. :func:`read` gives the very same values. A file is

========== ==================================================================================
4 bytes    ``skw1``
4 bytes    length of the header, lowest byte first
header     number of tensors; of each its name, type, sizes, form, and length in bytes
payloads   of all tensors
4 bytes    CRC-32 of everything before, lowest byte first
========== ==================================================================================
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spec.errors import UserError
from spec.files import read_file, write_file
from sw.compress import coded
from sw.compress.bits import Reader, Writer

MAGIC = b"skw1"
WORD = 4
DTYPES = (
    *coded.TYPES,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
DTYPE_BITS = 4
DIMENSION_BITS = 4


@dataclass(frozen=True)
class Part:
    """A tensor in a file.

    Attributes
    ----------
    dtype : torch.dtype
    shape : tuple of int
    coded : bool
        Huffman-coded, or as it is.
    data : bytes
        As it is: of floating-point values a byte for their type in front.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    coded: bool
    data: bytes

    @staticmethod
    def of(tensor: Tensor) -> "Part":
        """The smaller form of a tensor."""
        tensor = tensor.detach().cpu()
        dtype, shape, flat = tensor.dtype, tuple(tensor.shape), tensor.reshape(-1)
        if dtype not in coded.TYPES:
            return Part(dtype, shape, False, flat.contiguous().view(torch.uint8).numpy().tobytes())
        number = coded.narrowest(flat)
        if len(flat) and torch.isfinite(flat).all():
            data = coded.encode(tensor)
            if len(data) <= len(flat) * coded.TYPES[number].itemsize:
                return Part(dtype, shape, True, data)
        return Part(dtype, shape, False, bytes([number]) + coded.exact_bytes(flat, number))

    def tensor(self) -> Tensor:
        """The tensor again."""
        if self.coded:
            return coded.decode(self.data, self.shape, self.dtype)
        data, dtype = self.data, self.dtype
        if dtype in coded.TYPES:
            data, dtype = data[1:], coded.TYPES[data[0]]
        count = torch.Size(self.shape).numel()
        if len(data) != count * dtype.itemsize:
            raise UserError(f"{len(data)} bytes are there for {count} values of {dtype}")
        return coded.from_exact_bytes(data, dtype).to(self.dtype).reshape(self.shape)


def parts(network: nn.Module | Mapping[str, Tensor]) -> dict[str, Part]:
    """Every tensor of a network, or of a state dict, in its smaller form.

    Raises
    ------
    UserError
        A tensor is of a type that the file does not know; names it.
    """
    state = network.state_dict() if isinstance(network, nn.Module) else network
    for name, tensor in state.items():
        if tensor.dtype not in DTYPES:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
            raise UserError(f"{name} is {tensor.dtype}; a stored network may have {known}")
    return {name: Part.of(tensor) for name, tensor in state.items()}


def to_bytes(stored: Mapping[str, Part]) -> bytes:
    """The file of some tensors."""
    header = Writer()
    header.count(len(stored))
    for name, part in stored.items():
        text = name.encode()
        header.count(len(text))
        header.raw(text)
        header.field(DTYPES.index(part.dtype), DTYPE_BITS)
        header.field(len(part.shape), DIMENSION_BITS)
        for size in (*part.shape, len(part.data)):
            header.count(size)
        header.field(part.coded, 1)
    head = header.tobytes()
    data = b"".join(
        [MAGIC, len(head).to_bytes(WORD, "little"), head, *(part.data for part in stored.values())]
    )
    return data + zlib.crc32(data).to_bytes(WORD, "little")


def write(network: nn.Module | Mapping[str, Tensor], path: Path | str) -> int:
    """Write a network, or a state dict; its bytes."""
    data = to_bytes(parts(network))
    write_file(path, data)
    return len(data)


def read(path: Path | str) -> dict[str, Tensor]:
    """The state dict in a file, for ``load_state_dict``."""
    data = read_file(path)
    try:
        return from_bytes(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def from_bytes(data: bytes) -> dict[str, Tensor]:
    """The state dict in a file's bytes.

    Raises
    ------
    UserError
        They are of no such file, or not as they were written.
    """
    if data[:WORD] != MAGIC:
        raise UserError(f"begins with {data[:WORD]!r}, a stored network with {MAGIC!r}")
    end = len(data) - WORD
    if end < 2 * WORD or zlib.crc32(data[:end]).to_bytes(WORD, "little") != data[end:]:
        raise UserError("is damaged: its checksum is that of other data")
    at = 2 * WORD + int.from_bytes(data[WORD : 2 * WORD], "little")
    header, state = Reader(data[2 * WORD : at]), {}
    for _ in range(header.count()):
        name = header.raw(header.count()).decode()
        dtype = DTYPES[header.field(DTYPE_BITS)]
        *shape, length = (header.count() for _ in range(header.field(DIMENSION_BITS) + 1))
        part = Part(dtype, tuple(shape), bool(header.field(1)), data[at : at + length])
        state[name] = part.tensor()
        at += length
    return state
