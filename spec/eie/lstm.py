"""The element-wise part of an LSTM in integers: what the host computes between two matrix products.

The engine computes the gates of a time step as one fully connected layer and requantizes them; then

    c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        h' = sigmoid(o) * tanh(c')

All scales are powers of two, so that only shifts stand between them. Sigmoid, tanh, c' and h' are
rounded once each, by :func:`spec.numbers.round_shift`, and the two states saturate. Whoever follows
this file, in whatever language, gets the same bits.
"""

import math
from dataclasses import asdict, dataclass, fields

import numpy as np

from spec.errors import UserError
from spec.numbers import round_shift, signed_bounds

ACT_BITS = (8, 16)
"""Narrowest and widest activations for which the table below is fine enough."""

MOST_GATE_REACH_LOG2 = 4
"""Gates beyond 16 may saturate: sigmoid(16) is nearer to 1 than half a step of 16 bits."""

TABLE_STEP_BITS = 7
"""The table holds tanh(k / 2**7). Between its points a straight line is off by at most
max|tanh''| / 8 / 2**14 = 5.9e-6, a fifth of a step of 16 bits."""

TABLE_REACH = 8
"""Where the table ends: 1 - tanh(8) = 2.3e-7."""

ENTRY_BITS = 22
"""Bits behind the binary point of an entry."""

_POSITION_BITS = 16
"""Bits behind the binary point of the table's input: enough for half a gate of 16 bits."""

_REST_BITS = _POSITION_BITS - TABLE_STEP_BITS
_WIDE_BITS = ENTRY_BITS + _REST_BITS
"""Bits behind the binary point of an interpolated value before it is rounded."""

TABLE = np.array(
    [
        round(math.ldexp(math.tanh(math.ldexp(k, -TABLE_STEP_BITS)), ENTRY_BITS))
        for k in range((TABLE_REACH << TABLE_STEP_BITS) + 1)
    ],
    np.int64,
)
"""No entry lies so near to a tie that the last bit of a platform's ``tanh`` could decide it."""


@dataclass(frozen=True, kw_only=True)
class LstmCell:
    """The integers that define one cell; images carry them.

    Attributes
    ----------
    hidden : int
        Size of each state.
    act_bits : int
        Width of gates and states, 8...16, signed.
    gate_fraction_bits : int
        Bits behind the binary point of a gate, 0...``act_bits - 1``.
    cell_fraction_bits : int
        The same for the state c. The state h always has ``act_bits - 1``: it lies within -1...1.
    """

    hidden: int
    act_bits: int
    gate_fraction_bits: int
    cell_fraction_bits: int

    def __post_init__(self) -> None:
        self._check("hidden", 1, 1 << 20)
        self._check("act_bits", *ACT_BITS)
        self._check("gate_fraction_bits", 0, self.act_bits - 1)
        self._check("cell_fraction_bits", 0, self.act_bits - 1)

    def _check(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UserError(
                f"LSTM cell: {name} = {value!r}, must be an integer from {low} to {high}"
            )

    @property
    def gates(self) -> int:
        """Outputs of the gate layer."""
        return 4 * self.hidden

    @property
    def gate_scale(self) -> float:
        return math.ldexp(1.0, -self.gate_fraction_bits)

    @property
    def cell_scale(self) -> float:
        return math.ldexp(1.0, -self.cell_fraction_bits)

    @property
    def hidden_scale(self) -> float:
        return math.ldexp(1.0, 1 - self.act_bits)

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    @staticmethod
    def from_json(values: dict) -> "LstmCell":
        """Rebuild a cell; unknown or missing fields, and values out of range, raise
        :class:`UserError`."""
        known = {field.name for field in fields(LstmCell)}
        if not isinstance(values, dict) or set(values) != known:
            held = ", ".join(sorted(map(str, values))) if isinstance(values, dict) else values
            raise UserError(
                f"LSTM cell: holds {held or None}; must hold {', '.join(sorted(known))}"
            )
        return LstmCell(**values)


def step(cell: LstmCell, gates: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One time step behind the gate layer.

    Parameters
    ----------
    gates : int64, shape (images, 4 * hidden)
        Of ``act_bits``; input, forget, cell and output gate one behind another, as in torch.
    c : int64, shape (images, hidden)
        Of ``act_bits``; zeros at first.

    Returns
    -------
    h, c : int64, shape (images, hidden)
        The states behind this step.

    Raises
    ------
    UserError
        If a shape does not fit the cell.
    """
    gates, c = np.asarray(gates, np.int64), np.asarray(c, np.int64)
    if c.ndim != 2 or c.shape[1] != cell.hidden or gates.shape != (len(c), cell.gates):
        raise UserError(
            f"LSTM cell: gates of shape {gates.shape} and a state of shape {c.shape}, "
            f"must be (images, {cell.gates}) and (images, {cell.hidden})"
        )
    low, high = signed_bounds(cell.act_bits)
    one_bits, gate_bits = cell.act_bits - 1, cell.gate_fraction_bits
    i, f, g, o = np.split(gates, 4, axis=1)
    kept = sigmoid(f, gate_bits, one_bits) * c
    added = sigmoid(i, gate_bits, one_bits) * tanh(g, gate_bits, one_bits)
    # Both at the scale of ``added``, which is the finer one.
    total = (kept << (one_bits - cell.cell_fraction_bits)) + added
    c = np.clip(round_shift(total, 2 * one_bits - cell.cell_fraction_bits), low, high)
    out = sigmoid(o, gate_bits, one_bits) * tanh(c, cell.cell_fraction_bits, one_bits)
    return np.clip(round_shift(out, one_bits), low, high), c


def sigmoid(value: np.ndarray, fraction_bits: int, one_bits: int) -> np.ndarray:
    """``sigmoid(value / 2**fraction_bits) * 2**one_bits`` as integers, 0...``2**one_bits``.

    Takes sigmoid(x) = (1 + tanh(x / 2)) / 2 from the table of tanh.
    """
    wide = (np.int64(1) << _WIDE_BITS) + _tanh_wide(value, fraction_bits + 1)
    return round_shift(wide, _WIDE_BITS + 1 - one_bits)


def tanh(value: np.ndarray, fraction_bits: int, one_bits: int) -> np.ndarray:
    """``tanh(value / 2**fraction_bits) * 2**one_bits`` as integers, up to ``2**one_bits`` each
    way."""
    return round_shift(_tanh_wide(value, fraction_bits), _WIDE_BITS - one_bits)


def _tanh_wide(value: np.ndarray, fraction_bits: int) -> np.ndarray:
    """Interpolated and not yet rounded, with ``_WIDE_BITS`` behind the binary point."""
    position = np.abs(value) << (_POSITION_BITS - fraction_bits)
    position = np.minimum(position, TABLE_REACH << _POSITION_BITS)
    at = np.minimum(position >> _REST_BITS, len(TABLE) - 2)
    rest = position - (at << _REST_BITS)
    wide = (TABLE[at] << _REST_BITS) + (TABLE[at + 1] - TABLE[at]) * rest
    return np.where(value < 0, -wide, wide)
