"""One tensor with zeros as bits: where its weights are, and what they are, both Huffman-coded.

A tensor is a matrix here, of its first dimension and all others. In order:

======== =======================================================================================
1 bit    walked through column by column rather than row by row
1 bit    and a bit per row, if rows without a weight are left out
1 bit    and a bit per column, if columns without a weight are left out
3 bits   ``fine`` of the classes, :mod:`sw.compress.runs`
count    of the weights
gaps     the classes' table, the classes, the rest of each
1 bit    whether equal weights are written once: never more than 255 distinct ones
values   so, their number and the distinct ones, ascending; else all: 2 bits for the type first
codes    if so: the table, and each weight's place among the values
======== =======================================================================================

The form is the one with the fewest bits of all that this leaves open. Nothing is rounded: values
have the narrowest type that holds each of them exactly.
"""

import numpy as np
import torch
from torch import Tensor

from spec.errors import UserError
from sw.compress.bits import Reader, Writer
from sw.compress.huffman import Code
from sw.compress.layout import LAYOUTS, Layout, Places
from sw.compress.runs import Gaps, join, rest_bits, split

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TYPE_BITS = 2

FINE_BITS = 3

MOST_SHARED = 255


def encode(weight: Tensor, layout: Layout | None = None) -> bytes:
    """The bits of a floating-point tensor. Its zeros become positive ones.

    Parameters
    ----------
    layout : one of :data:`sw.compress.layout.LAYOUTS`
        If it is not to be the one with the fewest bits.

    Raises
    ------
    UserError
        A weight is NaN or infinite.
    """
    matrix = as_matrix(weight.detach())
    if not torch.isfinite(matrix).all():
        raise UserError("weights that are NaN or infinite cannot be coded")
    rows, columns = (one.numpy() for one in matrix.nonzero(as_tuple=True))
    places = Places(rows, columns, *matrix.shape)
    if layout is None:
        layout = min(LAYOUTS, key=places.bits)
    writer = Writer()
    writer.field(layout.by_columns, 1)
    for leave_out, used, count in (
        (layout.no_empty_rows, rows, len(matrix)),
        (layout.no_empty_columns, columns, matrix.shape[1]),
    ):
        writer.field(leave_out, 1)
        if leave_out:
            writer.put((np.bincount(used, minlength=count) > 0).astype(np.uint8))
    writer.field(layout.fine, FINE_BITS)
    writer.count(len(rows))
    order, gaps = places.order(layout.by_columns), places.gaps(layout)
    _write_gaps(writer, gaps, layout.fine)
    _write_values(writer, matrix[rows[order], columns[order]])
    return writer.tobytes()


def decode(data: bytes, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The tensor of some :func:`encode`.

    Raises
    ------
    UserError
        The data is truncated, or no tensor of this shape.
    """
    reader = Reader(data)
    matrix = as_matrix(torch.zeros(shape, dtype=dtype))
    by_columns = reader.field(1)
    rows, columns = (_read_used(reader, count) for count in matrix.shape)
    fine, count = reader.field(FINE_BITS), reader.count()
    gaps = Gaps(_read_gaps(reader, count, fine), len(rows) * len(columns))
    width = len(rows) if by_columns else len(columns)
    outer, inner = np.divmod(gaps.places(), max(width, 1))
    row, column = (inner, outer) if by_columns else (outer, inner)
    values = _read_values(reader, count).to(dtype)
    matrix[torch.from_numpy(rows[row]), torch.from_numpy(columns[column])] = values
    return matrix.reshape(shape)


def as_matrix(weight: Tensor) -> Tensor:
    """Its first dimension, and all others as one; a vector is one row."""
    return weight.reshape(len(weight) if weight.ndim > 1 else 1, -1)


def _write_gaps(writer: Writer, gaps: Gaps, fine: int) -> None:
    classes, rest, bits = split(gaps.values, fine)
    _write_symbols(writer, classes)
    writer.varying(rest, bits)


def _write_symbols(writer: Writer, symbols: np.ndarray) -> None:
    code = Code.of(np.bincount(symbols))
    code.write(writer)
    writer.put(code.encode(symbols))


def _write_values(writer: Writer, values: Tensor) -> None:
    plain, shared = Writer(), Writer()
    plain.field(0, 1)
    write_exact(plain, values)
    distinct, codes = torch.unique(values, return_inverse=True)
    if len(distinct) <= MOST_SHARED:
        shared.field(1, 1)
        shared.count(len(distinct))
        write_exact(shared, distinct)
        _write_symbols(shared, codes.numpy())
    writer.append(shared if 0 < shared.length < plain.length else plain)


def write_exact(writer: Writer, values: Tensor) -> None:
    """Values in the narrowest type that holds each of them, behind its number."""
    number = narrowest(values)
    writer.field(number, TYPE_BITS)
    writer.raw(exact_bytes(values, number))


def narrowest(values: Tensor) -> int:
    """Number of the narrowest type that holds each value exactly; of NaN, its own type."""
    return next(
        number
        for number, dtype in enumerate(TYPES)
        if dtype == values.dtype or torch.equal(values.to(dtype).to(values.dtype), values)
    )


def exact_bytes(values: Tensor, number: int) -> bytes:
    """Values in a type, one by one."""
    return values.to(TYPES[number]).contiguous().view(torch.uint8).numpy().tobytes()


def read_exact(reader: Reader, count: int) -> Tensor:
    """What :func:`write_exact` wrote."""
    dtype = TYPES[reader.field(TYPE_BITS)]
    return from_exact_bytes(reader.raw(count * dtype.itemsize), dtype)


def from_exact_bytes(data: bytes, dtype: torch.dtype) -> Tensor:
    """What :func:`exact_bytes` made."""
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.zeros(0, dtype=dtype)


def _read_used(reader: Reader, count: int) -> np.ndarray:
    """Indices of the rows or columns that are there."""
    return np.flatnonzero(reader.take(count)) if reader.field(1) else np.arange(count)


def _read_gaps(reader: Reader, count: int, fine: int) -> np.ndarray:
    classes = Code.read(reader).decode(reader, count)
    return join(classes, reader.varying(rest_bits(classes, fine)), fine)


def _read_values(reader: Reader, count: int) -> Tensor:
    if not reader.field(1):
        return read_exact(reader, count)
    distinct = read_exact(reader, reader.count())
    codes = Code.read(reader).decode(reader, count)
    if len(codes) and int(codes.max()) >= len(distinct):
        raise UserError(f"a weight has value {codes.max()} of {len(distinct)}")
    return distinct[torch.from_numpy(codes)]
