"""The patterns that the benchmarks of the N:M engine compare, and layers packed in them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sim.bench.gemms import Gemm
from spec.nm.config import DENSE, Mode, NmConfig
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import Program
from spec.numbers import choose_multiplier, signed_bounds
from sw.compress.patterns import block_mask, nm_mask, tile_mask, tile_vector_mask

Choose = Callable[[Tensor, NmConfig], Tensor]
"""From a weight to its mask."""


@dataclass(frozen=True)
class Pattern:
    """Where zeros are, and how the array takes it.

    Attributes
    ----------
    title : str
        For people.
    density : float
        Share of the weights that stay, if sizes divide.
    mode : Mode
    gather : bool
        Strips drop inputs.
    choose : callable
    """

    title: str
    density: float
    mode: Mode
    gather: bool
    choose: Choose


def in_groups(mode: Mode) -> Pattern:
    """A mode of the array on all inputs; dense is one."""

    def choose(weight: Tensor, config: NmConfig) -> Tensor:
        return nm_mask(weight, mode.n, mode.m)

    title = "dense" if mode == DENSE else str(mode)
    return Pattern(title, mode.n / mode.m, mode, False, choose)


def _tile_vectors(density: float) -> Pattern:
    def choose(weight: Tensor, config: NmConfig) -> Tensor:
        return tile_vector_mask(weight, config.rows, density, 2, 4, config.line_inputs)

    return Pattern(f"TVW {zeros(density)}", density, Mode(2, 4), True, choose)


def _tiles(density: float) -> Pattern:
    def choose(weight: Tensor, config: NmConfig) -> Tensor:
        return tile_mask(weight, config.rows, density, config.line_inputs)

    return Pattern(f"tile-wise {zeros(density)}", density, DENSE, True, choose)


def _blocks(density: float) -> Pattern:
    def choose(weight: Tensor, config: NmConfig) -> Tensor:
        return block_mask(weight, config.rows, config.line_inputs, density)

    return Pattern(f"block-sparse {zeros(density)}", density, DENSE, True, choose)


def zeros(density: float) -> str:
    """What is not dense, for people."""
    return f"{100 * (1 - density):g} %"


PATTERNS = {
    "dense": in_groups(DENSE),
    "2:4": in_groups(Mode(2, 4)),
    "1:4": in_groups(Mode(1, 4)),
    "tvw-75": _tile_vectors(0.25),
    "tvw-87.5": _tile_vectors(0.125),
    "tile-75": _tiles(0.25),
    "block-75": _blocks(0.25),
}
"""Names end in the percentage of zeros. TVW is tile-wise sparsity with 2:4 inside; tiles are a
strip of the array, blocks a strip by a line."""


def random_program(layer: Gemm, pattern: Pattern, config: NmConfig) -> Program:
    """A layer with random weights, as integers; its results are of the size of its activations."""
    weight = torch.from_numpy(layer.weight())
    kept = torch.where(pattern.choose(weight, config), weight, 0).numpy()
    _, high = signed_bounds(config.weight_bits)
    # Of a small matrix, a pattern may leave nothing.
    dense = np.rint(kept * (high / (np.abs(kept).max() or 1))).astype(np.int64)
    # Sums of random products: they grow with the root of the weights' squares.
    reach = np.sqrt((dense**2).sum(axis=1).max() or 1)
    multiplier, shift = choose_multiplier(
        1 / reach, multiplier_bits=config.multiplier_bits, shift_max=config.shift_max
    )
    matrix = Matrix(
        dense=dense,
        bias=np.arange(layer.outputs) - layer.outputs // 2,
        multiplier=np.full(layer.outputs, multiplier),
        shift=np.full(layer.outputs, shift),
    )
    packed, weights = pack_layer(config, layer.name, matrix, pattern.mode, gather=pattern.gather)
    return Program(config=config, layers=(packed,), weights=(weights,))
