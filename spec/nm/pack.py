"""From integer weights to the words of a layer's strips. Nothing is ever pruned here."""

from dataclasses import dataclass

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.nm.groups import encode
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
    try:
        config.mode_number(mode)
        outputs = len(matrix.dense)
        order = np.zeros(0, np.int64) if order is None else np.asarray(order, np.int64)
        names = order if len(order) else np.arange(outputs)
        strips = -(-outputs // config.rows)
        padded = _pad(config, matrix.dense[names])
        if gather and kept is None:
            kept = kept_by(config, matrix.dense[names])
        if kept is None:
            blocks = _plain(config, mode, padded, names)
            slots = outputs * -(-padded.shape[1] // mode.m) * mode.n
        else:
            _check_kept(config, padded, kept, names)
            places = [keep(config, one) for one in kept]
            blocks = [_gathered(config, mode, padded, names, s, places[s]) for s in range(strips)]
            slots = sum(
                -(-one.count * mode.n // mode.m) * min(config.rows, outputs - s * config.rows)
                for s, one in enumerate(places)
            )
        parameters = [
            _pad(config, np.asarray(one, np.int64)[names][:, None])[:, 0]
            for one in (matrix.bias, matrix.multiplier, matrix.shift)
        ]
        words = []
        for number, (values, found, offsets) in enumerate(blocks):
            if len(values) > config.weight_steps:
                raise UserError(
                    f"{matrix.dense.shape[1]} inputs take {len(values)} steps of {mode}, the "
                    f"weight buffer holds {config.weight_steps}: use a sparser pattern, or build "
                    "it with more weight_steps"
                )
            span = slice(number * config.rows, (number + 1) * config.rows)
            bias, multiplier, shift = (one[span] for one in parameters)
            strip = Strip(bias, multiplier, shift, values, found, offsets)
            words.append(pack_strip(config, mode, kept is not None, strip))
    except UserError as error:
        raise UserError(f"layer {name}: {error}") from None
    layer = Layer(
        name=name,
        inputs=matrix.dense.shape[1],
        outputs=outputs,
        mode=str(mode),
        gather=kept is not None,
        relu=relu,
        weights=int(np.count_nonzero(matrix.dense)),
        slots=int(slots),
        unfold=unfold,
        pool=pool,
    )
    weights = Weights(
        strips=np.concatenate(words),
        scales=_scales(scales, outputs),
        input_scales=_scales(input_scales, layer.features),
        output_scales=_scales(output_scales, outputs),
        order=order,
    )
    return layer, weights


def _scales(given: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones(count) if given is None else np.asarray(given, np.float64)


Block = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values, places and offsets of a strip."""


def _pad(config: NmConfig, rows: np.ndarray) -> np.ndarray:
    """Rows of zeros behind the last, up to whole strips."""
    return np.pad(np.asarray(rows, np.int64), ((0, -len(rows) % config.rows), (0, 0)))


def _plain(config: NmConfig, mode: Mode, padded: np.ndarray, names: np.ndarray) -> list[Block]:
    """Strips that keep every input."""
    return [
        (*_steps(config, mode, padded[first : first + config.rows], names[first:]), _no_offsets())
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
    return (*_steps(config, mode, rows, names[first:]), kept.offsets(config)[:lines])


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


def _no_offsets() -> np.ndarray:
    return np.zeros((0, 1), np.int64)


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
