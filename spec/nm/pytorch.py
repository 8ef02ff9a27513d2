"""PyTorch's semi-structured tensors: our 2:4 form as its compressed matrix and metadata, and back.

A group's metadata is four bits, ``place0 | place1 << 2``. Metadata elements hold 8 groups (int32,
for int8 weights) or 4 (int16, for 16-bit floats), first group lowest, and are then moved around as
CUTLASS wants them: rows of a slab interleaved, 2 x 2 blocks transposed, columns in pairs. Equal to
``torch.sparse._semi_structured_conversions``, in plain NumPy.
"""

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode
from spec.nm.groups import Groups

TWO_FOUR = Mode(2, 4)


def nibbles(places: np.ndarray) -> np.ndarray:
    """Metadata of groups; places (..., 2) to uint8 (...)."""
    return (places[..., 0] | places[..., 1] << 2).astype(np.uint8)


def from_nibbles(metadata: np.ndarray) -> np.ndarray:
    """The inverse of :func:`nibbles`; int64, shape (..., 2)."""
    metadata = metadata.astype(np.int64)
    return np.stack([metadata & 3, metadata >> 2 & 3], axis=-1)


def to_pytorch(groups: Groups, weight_bytes: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's pair of a 2:4 matrix.

    Parameters
    ----------
    groups : Groups
        In the mode 2:4.
    weight_bytes : int
        1 for int8 weights, 2 for 16-bit ones: how metadata is laid out.

    Returns
    -------
    compressed : int64, shape (rows, inputs / 2)
    metadata : int32 or int16, shape (rows, inputs / 32) or (rows, inputs / 16)

    Raises
    ------
    UserError
        Another mode, or a shape that PyTorch does not take.
    """
    if groups.mode != TWO_FOUR:
        raise UserError(f"PyTorch's semi-structured tensors are 2:4, these rows are {groups.mode}")
    rows, count, _ = groups.values.shape
    per_element = _groups_per_element(weight_bytes)
    slab = _slab(weight_bytes)
    if rows % slab or count % (2 * per_element):
        raise UserError(
            f"a matrix of {rows} x {count * 4}: PyTorch wants multiples of "
            f"{slab} x {8 * per_element}"
        )
    parts = nibbles(groups.places).reshape(rows, -1, per_element).astype(np.int64)
    elements = np.bitwise_or.reduce(parts << _shifts(weight_bytes), axis=2)
    moved = np.empty_like(elements).ravel()
    moved[_destinations(elements.shape, weight_bytes)] = elements.ravel()
    kind = np.int32 if weight_bytes == 1 else np.int16
    return groups.values.reshape(rows, -1), moved.astype(kind).reshape(elements.shape)


def from_pytorch(compressed: np.ndarray, metadata: np.ndarray) -> Groups:
    """The inverse of :func:`to_pytorch`; the type of ``metadata`` says how it is laid out."""
    rows, kept = compressed.shape
    weight_bytes = {4: 1, 2: 2}.get(metadata.dtype.itemsize, 0)
    if not weight_bytes or metadata.shape[0] != rows:
        raise UserError(
            f"metadata is {metadata.dtype} of shape {metadata.shape}, "
            f"must be int16 or int32 of {rows} rows"
        )
    per_element = _groups_per_element(weight_bytes)
    if metadata.shape[1] * per_element * 2 != kept:
        raise UserError(
            f"metadata of {metadata.shape[1]} elements a row is not for {kept} kept weights"
        )
    elements = metadata.astype(np.int64).ravel()[_destinations(metadata.shape, weight_bytes)]
    parts = (elements[:, None] >> _shifts(weight_bytes) & 15).reshape(rows, -1)
    values = compressed.astype(np.int64).reshape(rows, -1, 2)
    return Groups(TWO_FOUR, values, from_nibbles(parts))


def _groups_per_element(weight_bytes: int) -> int:
    return 8 // weight_bytes


def _shifts(weight_bytes: int) -> np.ndarray:
    """Where the bits of each group stand in a metadata element."""
    return 4 * np.arange(_groups_per_element(weight_bytes), dtype=np.int64)


def _slab(weight_bytes: int) -> int:
    """Rows that are interleaved with each other."""
    return 16 * weight_bytes


def _destinations(shape: tuple[int, ...], weight_bytes: int) -> np.ndarray:
    """Where each metadata element goes, row by row."""
    slab = _slab(weight_bytes)
    interleaved = slab // 8
    rows, columns = shape
    row, column = np.divmod(np.arange(rows * columns), columns)
    row = row // slab * slab + row % 8 * interleaved + row % slab // 8
    # Transpose every 2 x 2 block.
    move = (row % 2 == 0).astype(int) * (column % 2 == 1) - (row % 2 == 1) * (column % 2 == 0)
    row, column = row + move, column - move
    return column // 2 * rows * 2 + row * 2 + column % 2
