"""Which weights stay in a pattern that hardware likes, by magnitude: N:M, blocks, tiles, and both.

Every mask is a bool tensor of the weight's shape, true where a weight stays; nothing is changed.
A weight is a matrix (outputs, inputs), or a convolution's kernel (outputs, channels, ...). Inputs
of a kernel stand place by place, all channels of a place together (``channels_last`` of
:mod:`spec.nm.unfold`): neighbours are channels. Sizes may be any. What does not fill a group, a
block or a tile is a smaller one.

A density is the share of the weights that stay. Counts are those of
:func:`sw.compress.prune.kept_count`; among equals the first stay, but for N:M.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from spec.errors import UserError
from spec.nm.tiles import place
from sw.compress.prune import kept_count, largest

NOTHING = -1.0
"""Score of what is not there: below that of any weight."""


def nm_mask(weight: Tensor, n: int, m: int) -> Tensor:
    """Keep the ``n`` largest of each ``m`` neighbouring inputs of an output.

    Equals PyTorch's ``WeightNormSparsifier``, also in which of equals stay: ``torch.topk`` chooses.
    """
    _check_pattern(n, m)
    return _by_matrix(weight, lambda matrix: _largest_of_groups(matrix.abs(), n, m))


def unstructured_mask(weight: Tensor, density: float) -> Tensor:
    """Keep the largest weights, wherever they are."""
    _check_weight(weight)
    return largest(weight.detach().abs(), kept_count(weight.numel(), density, "weight"))


def block_mask(weight: Tensor, rows: int, inputs: int, density: float) -> Tensor:
    """Keep the blocks of ``rows`` outputs by ``inputs`` inputs with the largest mean square."""
    _check_sizes(rows=rows, inputs=inputs)

    def choose(matrix: Tensor) -> Tensor:
        outputs, width = matrix.shape
        sums = _sum_blocks(matrix.double().square(), rows, inputs)
        means = sums / _sum_blocks(torch.ones_like(matrix, dtype=torch.double), rows, inputs)
        kept = largest(means, kept_count(means.numel(), density, "blocks"))
        return kept.repeat_interleave(rows, 0).repeat_interleave(inputs, 1)[:outputs, :width]

    return _by_matrix(weight, choose)


def tile_mask(weight: Tensor, rows: int, density: float, banks: int = 1) -> Tensor:
    """Tile-wise: every ``rows`` outputs keep the inputs with the largest L2 norms, and no others.

    Parameters
    ----------
    banks : int
        No more inputs of one residue modulo ``banks`` are kept than it takes for all residues to
        keep as many: a gather stage that reads so many inputs at a time, one of each residue,
        never waits (``line_inputs`` of :class:`spec.nm.config.NmConfig`).
    """
    _check_sizes(rows=rows, banks=banks)

    def choose(matrix: Tensor) -> Tensor:
        kept = _inputs_of_tiles(matrix, rows, density, banks)
        return kept.repeat_interleave(rows, 0)[: len(matrix)]

    return _by_matrix(weight, choose)


def tile_vector_mask(
    weight: Tensor, rows: int, density: float, n: int, m: int, banks: int = 1
) -> Tensor:
    """Tile-vector-wise: :func:`tile_mask`, and of the inputs that a tile keeps ``n`` in ``m``.

    Groups are of the inputs as the array moves them together (:func:`spec.nm.tiles.place`). Every
    input that a tile keeps has a weight other than zero there, so that whoever sees no more than
    the weights finds the same inputs, and the same groups: where N:M would leave none, one stays in
    place of another. A tile of fewer than ``m / n`` outputs keeps fewer inputs for it.

    Parameters
    ----------
    density : float
        Of both together: tiles keep ``density * m / n`` of their inputs.
    """
    _check_pattern(n, m)
    _check_sizes(rows=rows, banks=banks)
    if not 0 <= density <= n / m:
        raise UserError(f"a density of {density} was given, the pattern {n}:{m} allows 0...{n / m}")
    inputs_density = min(1.0, density * m / n)

    def choose(matrix: Tensor) -> Tensor:
        tiles = _inputs_of_tiles(matrix, rows, inputs_density, banks)
        parts = matrix.abs().split(rows)
        return torch.cat(
            [_vectors(part, kept, n, m, banks) for part, kept in zip(parts, tiles, strict=True)]
        )

    return _by_matrix(weight, choose)


def _by_matrix(weight: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    """What is chosen of the weight as a matrix (outputs, inputs), in the weight's shape."""
    _check_weight(weight)
    last = weight.detach().movedim(1, -1)
    return choose(last.flatten(1)).reshape(last.shape).movedim(-1, 1)


def _check_weight(weight: Tensor) -> None:
    if weight.ndim < 2 or 0 in weight.shape:
        raise UserError(
            f"a weight of shape {tuple(weight.shape)} was given, it must be (outputs, inputs) "
            "or (outputs, channels, ...), not empty"
        )
    if not weight.is_floating_point() or not torch.isfinite(weight).all():
        raise UserError("a weight must be of floating-point numbers that are neither NaN nor inf")


def _check_pattern(n: int, m: int) -> None:
    if not 1 <= n <= m:
        raise UserError(f"the pattern {n}:{m} was given, allowed is N:M with N from 1 to M")


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name} = {size} was given, must be at least 1")


def _largest_of_groups(scores: Tensor, n: int, m: int) -> Tensor:
    """Where the ``n`` largest of each ``m`` neighbours in a row are. Bool, shape of ``scores``."""
    rows, width = scores.shape
    groups = pad(scores, (0, -width % m), value=NOTHING).reshape(rows, -(-width // m), m)
    dropped = groups.topk(m - n, dim=2, largest=False).indices
    kept = torch.ones_like(groups, dtype=torch.bool).scatter_(2, dropped, False)
    return kept.flatten(1)[:, :width]


def _vectors(scores: Tensor, kept: Tensor, n: int, m: int, banks: int) -> Tensor:
    """What stays of a tile that keeps these inputs, or fewer. Bool, shape of ``scores``."""
    kept = kept.clone()
    while True:
        inputs = torch.from_numpy(place(kept.numpy(), banks))
        there = inputs >= 0
        placed = torch.where(there, scores[:, inputs], NOTHING)
        chosen = _largest_of_groups(placed, n, m) & (placed > 0)
        empty = (there & ~chosen.any(0)).nonzero().flatten().tolist()
        lost = next((at for at in empty if not _revive(placed, chosen, at, m)), None)
        if lost is None:
            break
        kept[inputs[lost]] = False
    mask = torch.zeros_like(scores, dtype=torch.bool)
    mask[:, inputs[there]] = chosen[:, there]
    return mask


def _revive(placed: Tensor, chosen: Tensor, at: int, m: int) -> bool:
    """Let one weight of an input stay, in the place of a weight whose input has others: where that
    costs least. False if there is no such place."""
    span = slice(at // m * m, at // m * m + m)
    spare = chosen[:, span] & (chosen[:, span].sum(0) > 1)
    weakest = torch.where(spare, placed[:, span], torch.inf).min(1)
    gain = torch.where(placed[:, at] > 0, placed[:, at] - weakest.values, -torch.inf)
    row = int(gain.argmax())
    if gain[row] == -torch.inf:
        return False
    chosen[row, at // m * m + weakest.indices[row]] = False
    chosen[row, at] = True
    return True


def _sum_blocks(values: Tensor, rows: int, inputs: int) -> Tensor:
    """Sums of blocks; shape (blocks of outputs, blocks of inputs)."""
    outputs, width = values.shape
    padded = pad(values, (0, -width % inputs, 0, -outputs % rows))
    across = padded.shape[1] // inputs
    return padded.reshape(-1, rows, across, inputs).sum((1, 3))


def _inputs_of_tiles(matrix: Tensor, rows: int, density: float, banks: int) -> Tensor:
    """Which inputs each tile keeps. Bool, shape (tiles, inputs)."""
    norms = _sum_blocks(matrix.double().square(), rows, 1)
    tiles, inputs = norms.shape
    count = kept_count(inputs, density, "inputs of a tile")
    in_banks = pad(norms, (0, -inputs % banks), value=NOTHING).reshape(tiles, -1, banks)
    allowed = _first_best(in_banks, math.ceil(count / banks), 1).reshape(tiles, -1)[:, :inputs]
    return _first_best(torch.where(allowed, norms, NOTHING), count, 1)


def _first_best(scores: Tensor, count: int, dim: int) -> Tensor:
    """Where the ``count`` largest scores along a dimension are, among equals the first. Bool."""
    order = scores.sort(dim=dim, descending=True, stable=True).indices
    chosen = order.narrow(dim, 0, min(count, scores.shape[dim]))
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(dim, chosen, True)
