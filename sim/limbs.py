"""Payloads of streams as rows of 64-bit limbs, the lowest first, and as Python's integers."""

from collections.abc import Iterable

import numpy as np

LIMB_BITS = 64


def limbs_for(bits: int) -> int:
    """Limbs of a payload."""
    return -(-bits // LIMB_BITS)


def join(rows: np.ndarray) -> list[int]:
    """Integers from rows of limbs; uint64, shape (payloads, limbs) or (payloads,)."""
    width = 8 * (rows.shape[1] if rows.ndim > 1 else 1)
    data = rows.astype("<u8").tobytes()
    return [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]


def split(payloads: Iterable[int], limbs: int) -> np.ndarray:
    """The inverse of :func:`join`; uint64, shape (payloads, limbs)."""
    data = b"".join(payload.to_bytes(8 * limbs, "little") for payload in payloads)
    return np.frombuffer(data, "<u8").astype(np.uint64).reshape(-1, limbs)
