"""Loops over an LSTMCell: those that are rolled up again, and those that are something else."""

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compile.calibrate import sequence_samples
from sw.compile.capture import capture
from tests.sw.compile.networks import export, set_weights
from tests.sw.compile.test_lstm import check, run_layers, summary

pytestmark = pytest.mark.unit


class Loop(nn.Module):
    """An LSTMCell and a Linear, around a function of these and the input."""

    def __init__(self, forward, **options) -> None:
        super().__init__()
        self.function = forward
        self.cell, self.fc = nn.LSTMCell(5, 6, **options), nn.Linear(6, 3)
        self.other = nn.LSTMCell(5, 6)
        self.more = nn.LSTM(6, 6, batch_first=True)

    def forward(self, x):
        return self.function(self, x)


def run(m, steps, states=None):
    """All h of a loop, and the last states."""
    outputs = []
    for x in steps:
        states = m.cell(x, states)
        outputs.append(states[0])
    return outputs, states


def numbered(x):
    return [x[:, step] for step in range(x.shape[1])]


FORMS = {
    "last h": (lambda m, x: m.fc(run(m, numbered(x))[0][-1]), "last"),
    "zeros": (lambda m, x: m.fc(run(m, numbered(x), 2 * [torch.zeros(4, 6).to(x)])[0][-1]), "last"),
    "zeros of a kind": (lambda m, x: run(m, numbered(x), 2 * [x.new_zeros(4, 6)])[0][-1], "last"),
    "unbind": (lambda m, x: m.fc(run(m, x.unbind(1))[0][-1]), "last"),
    "every h": (lambda m, x: m.fc(torch.stack(run(m, numbered(x))[0], 1)).relu(), "sequence"),
    "every h, then the last": (lambda m, x: torch.stack(run(m, x.unbind(1))[0], 1)[:, -1], "last"),
    "both states": (lambda m, x: run(m, numbered(x))[1], "last"),
    "an LSTM behind": (lambda m, x: m.more(torch.stack(run(m, x.unbind(1))[0], 1))[0], "sequence"),
}


@pytest.mark.parametrize("form", FORMS)
def test_loops_that_are_rolled_up(form, rng):
    forward, returns = FORMS[form]
    samples = rng.normal(size=(4, 5, 5))
    network = check(Loop(forward), rng, samples)
    assert summary(network)[0] == ("cell", returns)
    assert (network.batch_first, network.steps) == (True, None)
    exported = check(Loop(forward, bias=False), rng, samples, lambda m: export(m, 4, 5, 5))
    assert summary(exported) == summary(network)
    assert exported.steps == 5


@pytest.mark.parametrize("every", [False, True])
def test_steps_first(every, rng):
    def forward(m, x):
        outputs, _ = run(m, x)
        return m.fc(torch.stack(outputs) if every else outputs[-1])

    network = check(Loop(forward), rng, rng.normal(size=(5, 4, 5)))
    assert not network.batch_first
    assert summary(network)[0] == ("cell", "sequence" if every else "last")


def test_a_program_with_a_free_batch(rng):
    def free(module):
        return export(module, 2, 5, 5, dynamic_shapes=({0: torch.export.Dim("batch")},))

    check(Loop(FORMS["last h"][0]), rng, rng.normal(size=(7, 5, 5)), free)


def test_a_cell_of_one_step(rng):
    for forward in (lambda m, x: m.fc(m.cell(x)[0]), lambda m, x: m.cell(x)):
        network = check(Loop(forward), rng, rng.normal(size=(4, 5)))
        assert (summary(network)[0], network.steps) == (("cell", "last"), 1)
    network = check(nn.LSTMCell(5, 6), rng, rng.normal(size=(4, 5)), lambda m: export(m, 2, 5))
    assert summary(network) == [("lstm", "last")]
    with pytest.raises(
        UserError, match="samples have 3 steps each, the network was exported for 1"
    ):
        sequence_samples(np.ones((4, 3, 5)), network)


@pytest.mark.parametrize("bias", [False, True])
def test_a_cell_by_itself_takes_sequences(bias, rng):
    cell, samples = set_weights(nn.LSTMCell(5, 6, bias=bias), rng), rng.normal(size=(4, 9, 5))
    network = capture(cell, samples)
    assert summary(network) == [("lstm", "sequence")]
    assert "is run over the steps" in network.notes[0]
    loop = Loop(None)
    loop.cell = cell.double()
    outputs, _ = run(loop, torch.from_numpy(samples).unbind(1))
    wanted = torch.stack(outputs, 1).detach().numpy()
    np.testing.assert_allclose(run_layers(network, samples), wanted, atol=1e-9)
    np.testing.assert_allclose(network.run(samples), wanted, atol=1e-5)
    cell.weight_ih.data[1, 2] = torch.inf
    with pytest.raises(UserError, match=r"weight_ih: 1 of 120 values .*first is inf at \[1, 2\]"):
        capture(cell, samples)


def two_cells(m, x):
    h = c = u = d = torch.zeros(4, 6)
    for step in numbered(x):
        h, c = m.cell(step, (h, c))
        u, d = m.other(h[:, :5], (u, d))
    return u


def without_c(m, x):
    states = None
    for step in numbered(x):
        h, c = m.cell(step, states)
        states = h, torch.zeros_like(c)
    return h


def swapped(m, x):
    states = torch.zeros(4, 6), torch.zeros(4, 6)
    for step in numbered(x):
        states = m.cell(step, states)[::-1]
    return states[1]


def in_turn(m, x):
    states = torch.zeros(4, 6), torch.zeros(4, 6)
    for number, step in enumerate(numbered(x)):
        states = (m.cell, m.other)[number % 2](step, states)
    return states[0]


UNKNOWN = {
    "states change places": swapped,
    "cells take turns": in_turn,
    "only the first steps": lambda m, x: run(m, [x[:, 0], x[:, 1]])[0][-1],
    "backwards": lambda m, x: run(m, numbered(x)[::-1])[0][-1],
    "not all steps": lambda m, x: run(m, numbered(x)[:-1])[0][-1],
    "a step twice": lambda m, x: run(m, [*numbered(x), x[:, 0]])[0][-1],
    "something in front": lambda m, x: run(m, [m.cell.bias_ih[:5] + s for s in numbered(x)])[0][-1],
    "an inner h": lambda m, x: run(m, numbered(x))[0][1],
    "two h": lambda m, x: (lambda h: m.fc(h[1]) + m.fc(h[-1]))(run(m, numbered(x))[0]),
    "some h": lambda m, x: torch.stack(run(m, numbered(x))[0][1:], 1),
    "h in another order": lambda m, x: torch.stack(run(m, numbered(x))[0][::-1], 1),
    "h along another dimension": lambda m, x: torch.stack(run(m, numbered(x))[0], 2),
    "c is not handed on": without_c,
    "two cells": two_cells,
    "along the inputs": lambda m, x: run(m, x.unbind(2))[0][-1],
    "the input again": lambda m, x: run(m, numbered(x))[0][-1] + x.sum(),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_loops_that_are_something_else(case):
    with pytest.raises(UserError, match=r"layer \w+: a loop over an LSTMCell must take all ste"):
        capture(Loop(UNKNOWN[case]).eval(), np.ones((4, 5, 5)))


def test_a_state_that_is_given():
    def forward(m, x):
        return run(m, numbered(x), (torch.zeros(4, 6), torch.ones(4, 6)))[0][-1]

    with pytest.raises(UserError, match="layer cell: starts from a state c that is given or learn"):
        capture(Loop(forward).eval(), np.ones((4, 5, 5)))


def test_a_cell_behind_an_lstm():
    def forward(m, x):
        return m.cell(m.more(x)[0][:, -1, :5])[0]

    module = Loop(forward)
    module.more = nn.LSTM(5, 6, batch_first=True)
    with pytest.raises(UserError, match="layer cell: a loop over an LSTMCell must"):
        capture(module.eval(), np.ones((4, 5, 5)))


def test_steps_along_different_dimensions():
    def forward(m, x):
        return m.more(torch.stack(run(m, x)[0], 0))[0]

    with pytest.raises(UserError, match="layer cell: an LSTM must count steps along one dimension"):
        capture(Loop(forward).eval(), np.ones((5, 5, 5)))
