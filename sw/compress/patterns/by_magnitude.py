"""Masks of one weight by magnitude, each in a call: what stays is true, nothing is changed."""

from torch import Tensor

from sw.compress.patterns.element import NM
from sw.compress.patterns.groups import Block, Unstructured
from sw.compress.patterns.tiles import Tile, TileVector


def nm_mask(weight: Tensor, n: int, m: int) -> Tensor:
    """Keep the ``n`` largest of each ``m`` neighbouring inputs of an output."""
    return NM(n, m).mask(weight.abs())


def unstructured_mask(weight: Tensor, density: float) -> Tensor:
    """Keep the largest weights, wherever they are."""
    return Unstructured().mask(weight.abs(), density)


def block_mask(weight: Tensor, rows: int, inputs: int, density: float) -> Tensor:
    """Keep the blocks of ``rows`` outputs by ``inputs`` inputs with the largest mean square."""
    return Block(rows, inputs).mask(weight.double().square(), density)


def tile_mask(weight: Tensor, rows: int, density: float, banks: int = 1) -> Tensor:
    """Every ``rows`` outputs keep the inputs with the largest L2 norms: :class:`Tile`."""
    return Tile(rows, banks).mask(weight.double().square(), density)


def tile_vector_mask(
    weight: Tensor, rows: int, density: float, n: int, m: int, banks: int = 1
) -> Tensor:
    """And of the inputs that a tile keeps ``n`` in ``m``: :class:`TileVector`."""
    return TileVector(rows, n, m, banks).mask(weight.double().square(), density)
