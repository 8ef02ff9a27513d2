"""The element-wise part of an LSTM: its table against exact functions, its steps, in fractions."""

import hashlib
import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from spec.eie.lstm import ENTRY_BITS, TABLE, LstmCell, sigmoid, step, tanh
from spec.errors import UserError
from spec.numbers import signed_bounds

pytestmark = pytest.mark.unit

CELL = LstmCell(hidden=5, act_bits=16, gate_fraction_bits=12, cell_fraction_bits=13)


def test_the_table_is_the_same_everywhere():
    """Its digest, and that no platform's last bit of tanh could change it."""
    digest = hashlib.sha256(TABLE.astype("<i8").tobytes()).hexdigest()
    assert digest.startswith("4ce753dbfa89c2ff")
    exact = [math.ldexp(math.tanh(k / 128), ENTRY_BITS) for k in range(len(TABLE))]
    assert min(abs(entry - math.floor(entry) - 0.5) for entry in exact) > 1e-4


@pytest.mark.parametrize("act_bits", [8, 11, 16])
def test_every_input_is_within_seven_tenths_of_a_step(act_bits):
    low, high = signed_bounds(act_bits)
    one_bits = act_bits - 1
    values = np.arange(low, high + 1)
    for fraction_bits in range(act_bits):
        real = values / 2**fraction_bits
        s, t = sigmoid(values, fraction_bits, one_bits), tanh(values, fraction_bits, one_bits)
        assert np.abs(s - 2**one_bits * (0.5 + 0.5 * np.tanh(real / 2))).max() < 0.7
        assert np.abs(t - 2**one_bits * np.tanh(real)).max() < 0.7
        assert (np.diff(s) >= 0).all()
        assert (np.diff(t) >= 0).all()
        assert s.min() >= 0
        assert max(s.max(), t.max()) <= 2**one_bits
        np.testing.assert_array_equal(t[1:], -t[1:][::-1])


def slow_tanh(value: Fraction) -> Fraction:
    """A straight line between entries, in fractions."""
    size = min(abs(value), Fraction(8))
    at = min(math.floor(size * 128), 8 * 128 - 1)
    left, right = (round(math.tanh(k / 128) * 2**22) for k in (at, at + 1))
    wide = (left + (size * 128 - at) * (right - left)) / 2**22
    return wide if value >= 0 else -wide


def slow_round(value: Fraction, fraction_bits: int) -> Fraction:
    """Half to even, as Python itself does."""
    return Fraction(round(value * 2**fraction_bits), 2**fraction_bits)


def slow_step(cell: LstmCell, gates: list[int], c: int) -> tuple[int, int]:
    """One element of one image."""
    bits, one = cell.act_bits, cell.act_bits - 1
    i, f, g, o = (Fraction(gate, 2**cell.gate_fraction_bits) for gate in gates)
    i, f, o = (slow_round((1 + slow_tanh(gate / 2)) / 2, one) for gate in (i, f, o))
    state = f * Fraction(c, 2**cell.cell_fraction_bits) + i * slow_round(slow_tanh(g), one)
    low, high = signed_bounds(bits)
    new_c = min(max(round(state * 2**cell.cell_fraction_bits), low), high)
    squashed = slow_round(slow_tanh(Fraction(new_c, 2**cell.cell_fraction_bits)), one)
    return min(max(round(o * squashed * 2**one), low), high), new_c


@pytest.mark.parametrize("act_bits", [8, 13, 16])
def test_steps_are_those_of_fractions(act_bits, rng):
    low, high = signed_bounds(act_bits)
    for _ in range(20):
        gate_bits, cell_bits = (int(bits) for bits in rng.integers(0, act_bits, 2))
        cell = LstmCell(
            hidden=3, act_bits=act_bits, gate_fraction_bits=gate_bits, cell_fraction_bits=cell_bits
        )
        gates = rng.integers(low, high, (4, 12), endpoint=True) >> int(rng.integers(0, 6))
        c = rng.integers(low, high, (4, 3), endpoint=True)
        c[0, :2] = low, high
        gates[0] = rng.choice([low, high], 12)
        new_h, new_c = step(cell, gates, c)
        for image in range(4):
            for at in range(3):
                own = [int(gate) for gate in gates[image, at::3]]
                wanted = slow_step(cell, own, int(c[image, at]))
                assert (new_h[image, at], new_c[image, at]) == wanted


def test_open_gates_keep_a_state_and_shut_ones_clear_it():
    """Sigmoid reaches 1 and 0 exactly, so that what an LSTM remembers does not leak."""
    low, high = signed_bounds(16)
    cell = replace(CELL, gate_fraction_bits=11)
    c = np.array([[low, -1, 0, 1, high]])
    for forget, wanted in ((high, c), (low, 0 * c)):
        gates = np.repeat([low, forget, high, high], 5)[None]
        np.testing.assert_array_equal(step(cell, gates, c)[1], wanted)


def test_states_saturate():
    high = signed_bounds(16)[1]
    cell = replace(CELL, cell_fraction_bits=15, gate_fraction_bits=11)
    h, c = step(cell, np.full((1, 20), high), np.full((1, 5), high))
    assert (c == high).all()
    assert (h == round(math.tanh(high / 2**15) * 2**15)).all()
    wide = replace(cell, cell_fraction_bits=0)
    assert (step(wide, np.full((1, 20), high), np.full((1, 5), high))[0] == high).all()


def test_scales():
    assert (CELL.gate_scale, CELL.cell_scale, CELL.hidden_scale) == (2**-12, 2**-13, 2**-15)
    assert CELL.gates == 20


def test_json_there_and_back():
    assert LstmCell.from_json(json.loads(json.dumps(CELL.to_json()))) == CELL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, r"hidden = 0, must be an integer from 1 to 1048576"),
        ({"hidden": True}, "hidden = True"),
        ({"act_bits": 7}, "act_bits = 7, must be an integer from 8 to 16"),
        ({"act_bits": 17}, "act_bits = 17"),
        ({"gate_fraction_bits": 16}, "gate_fraction_bits = 16, must be an integer from 0 to 15"),
        ({"cell_fraction_bits": -1}, "cell_fraction_bits = -1"),
        ({"cell_fraction_bits": 2.0}, r"cell_fraction_bits = 2\.0"),
        ({"odd": 1}, "holds act_bits, cell_fraction_bits, gate_fraction_bits, hidden, odd; must"),
    ],
)
def test_json_that_is_refused(changes, message):
    with pytest.raises(UserError, match=f"LSTM cell: {message}"):
        LstmCell.from_json(CELL.to_json() | changes)


@pytest.mark.parametrize("values", [{}, [1], None, {"hidden": 5}])
def test_json_of_another_form(values):
    with pytest.raises(UserError, match="LSTM cell: holds .*; must hold act_bits, cell_fraction"):
        LstmCell.from_json(values)


@pytest.mark.parametrize(("gates", "c"), [((2, 19), (2, 5)), ((2, 20), (3, 5)), ((20,), (5,))])
def test_shapes_that_do_not_fit(gates, c):
    with pytest.raises(UserError, match=r"must be \(images, 20\) and \(images, 5\)"):
        step(CELL, np.zeros(gates, int), np.zeros(c, int))
