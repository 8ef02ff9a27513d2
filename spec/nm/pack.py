"""From integer weights to the words of a layer's strips. Nothing is ever pruned here."""

from dataclasses import dataclass

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.nm.descriptor import plan
from spec.nm.groups import encode
from spec.nm.parts import Block, count_parts, cut
from spec.nm.program import Layer, Weights
from spec.nm.strips import Strip, pack_strip
from spec.nm.tiles import Kept, keep, kept_by
from spec.nm.unfold import MaxPool, Unfold


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """Integer weights of a layer and what is done to their sums, in the network's order.

    Attributes
    ----------
    dense : integers, shape (outputs, inputs)
    bias, multiplier, shift : integers, shape (outputs,)
    """

    dense: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray


def pack_layer(
    config: NmConfig,
    name: str,
    matrix: Matrix,
    mode: Mode,
    *,
    kept: np.ndarray | None = None,
    gather: bool = False,
    relu: bool = False,
    order: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    input_scales: np.ndarray | None = None,
    output_scales: np.ndarray | None = None,
    unfold: Unfold | None = None,
    pool: MaxPool | None = None,
) -> tuple[Layer, Weights]:
    """One layer of a :class:`spec.nm.program.Program`.

    Parameters
    ----------
    kept : bool, shape (strips, inputs), optional
        Inputs that each strip keeps, in the array's order of outputs; makes the layer a gathered
        one. With ``gather`` alone each strip keeps those that have a weight which is not zero.
    order : integers, shape (outputs,), optional
        Output that the array computes as its k-th.
    scales, input_scales, output_scales : float64, optional
        Real values of the units of sums, inputs and results, see :mod:`spec.nm.program`; 1 if not
        given.

    Raises
    ------
    UserError
        Names the layer, and what of it the array cannot take: a pattern that it has not, a row and
        group that break the pattern, a weight of a dropped input, too many inputs.
    """
    outputs, inputs = matrix.dense.shape
    order = np.zeros(0, np.int64) if order is None else np.asarray(order, np.int64)
    names = order if len(order) else np.arange(outputs)
    try:
        number = config.mode_number(mode)
        if gather and kept is None:
            kept = kept_by(config, matrix.dense[names])
        gathered = kept is not None
        blocks, slots = _blocks(config, mode, matrix.dense, names, kept)
        parts = count_parts(config, mode, gathered, max(block.steps for block in blocks))
        sizes = {"outputs": outputs, "inputs": inputs, "tokens": 1, "parts": parts}
        plan(config, mode=number, gather=gathered, relu=relu, **sizes)  # refuses too many inputs
        strips = _pack_strips(config, mode, blocks, parts, _parameters(config, matrix, names))
    except UserError as error:
        raise UserError(f"layer {name}: {error}") from None
    layer = Layer(
        name=name,
        inputs=inputs,
        outputs=outputs,
        mode=str(mode),
        gather=gathered,
        relu=relu,
        weights=int(np.count_nonzero(matrix.dense)),
        slots=slots,
        parts=parts,
        unfold=unfold,
        pool=pool,
    )
    weights = Weights(
        strips=strips,
        scales=_scales(scales, outputs),
        input_scales=_scales(input_scales, layer.features),
        output_scales=_scales(output_scales, outputs),
        order=order,
    )
    return layer, weights


def _scales(given: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones(count) if given is None else np.asarray(given, np.float64)


def _blocks(
    config: NmConfig, mode: Mode, dense: np.ndarray, names: np.ndarray, kept: np.ndarray | None
) -> tuple[list[Block], int]:
    """The weights of each strip; and how many the pattern keeps in all."""
    padded = _pad(config, dense[names])
    if kept is None:
        return _plain(config, mode, padded, names), len(dense) * _slots(mode, dense.shape[1])
    _check_kept(config, padded, kept, names)
    blocks, slots = [], 0
    for number, one in enumerate(kept):
        places = keep(config, one)
        blocks.append(_gathered(config, mode, padded, names, number, places))
        rows = min(config.rows, len(dense) - number * config.rows)
        slots += rows * places.slots(mode)
    return blocks, slots


def _slots(mode: Mode, inputs: int) -> int:
    """Weights that a row keeps of so many inputs."""
    groups, rest = divmod(inputs, mode.m)
    return groups * mode.n + min(mode.n, rest)


def _parameters(config: NmConfig, matrix: Matrix, names: np.ndarray) -> list[np.ndarray]:
    """Bias, multiplier and shift of every row, each of shape (strips, rows)."""
    return [
        _pad(config, np.asarray(one)[names][:, None]).reshape(-1, config.rows)
        for one in (matrix.bias, matrix.multiplier, matrix.shift)
    ]


def _pack_strips(
    config: NmConfig, mode: Mode, blocks: list[Block], parts: int, parameters: list[np.ndarray]
) -> np.ndarray:
    """The words of all strips, part by part."""
    words = []
    for block, bias, multiplier, shift in zip(blocks, *parameters, strict=True):
        for part in cut(config, mode, block, parts):
            strip = Strip(bias, multiplier, shift, part.values, part.places, part.offsets)
            words.append(pack_strip(config, mode, len(part.offsets) > 0, strip))
    return np.concatenate(words)


def _pad(config: NmConfig, rows: np.ndarray) -> np.ndarray:
    """Rows of zeros behind the last, up to whole strips."""
    return np.pad(np.asarray(rows, np.int64), ((0, -len(rows) % config.rows), (0, 0)))


def _plain(config: NmConfig, mode: Mode, padded: np.ndarray, names: np.ndarray) -> list[Block]:
    """Strips that keep every input."""
    none = np.zeros((0, config.line_inputs), np.int64)
    return [
        Block(*_steps(config, mode, padded[first : first + config.rows], names[first:]), none)
        for first in range(0, len(padded), config.rows)
    ]


def _gathered(
    config: NmConfig, mode: Mode, padded: np.ndarray, names: np.ndarray, number: int, kept: Kept
) -> Block:
    """A strip of the inputs at their positions."""
    first = number * config.rows
    rows = kept.compact(padded[first : first + config.rows])
    steps = kept.steps(config, mode)
    rows = rows[:, : steps * config.step_inputs(mode)]
    lines = -(-steps // config.phases(mode))
    return Block(*_steps(config, mode, rows, names[first:]), kept.offsets(config)[:lines])


def _steps(
    config: NmConfig, mode: Mode, rows: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values and places of a strip's rows, step by step."""
    inputs = config.step_inputs(mode)
    whole = np.pad(rows, ((0, 0), (0, -rows.shape[1] % inputs)))
    groups = encode(whole, mode, names)
    shape = (config.rows, whole.shape[1] // inputs, config.multipliers)
    values, places = (one.reshape(shape).swapaxes(0, 1) for one in (groups.values, groups.places))
    return values, places


def _check_kept(config: NmConfig, padded: np.ndarray, kept: np.ndarray, names: np.ndarray) -> None:
    strips = len(padded) // config.rows
    if kept.shape != (strips, padded.shape[1]) or kept.dtype != bool:
        raise UserError(
            f"kept inputs are {kept.dtype} of shape {kept.shape}, "
            f"must be bool of shape {(strips, padded.shape[1])}"
        )
    lost = (padded != 0) & ~np.repeat(kept, config.rows, axis=0)
    if lost.any():
        row, column = (int(index[0]) for index in np.nonzero(lost))
        raise UserError(f"row {names[row]}: input {column} is dropped, but its weight is not zero")
