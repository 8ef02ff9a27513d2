"""The record of steps."""

import numpy as np
import pytest

from sw.compile.steps import Log, table

pytestmark = pytest.mark.unit


def test_steps_are_held_against_the_one_before_and_the_first():
    log = Log()
    log.add("network", np.array([[1.0, -4.0], [0.0, 2.0]]))
    log.add("next", np.array([[1.0, -4.0], [2.5, 2.0]]), ["a note"])
    log.add("last", np.array([[1.0, -3.0]]))
    first, second, third = log.steps
    assert (first.samples, first.change, first.relative, first.agreement) == (2, 0, 0, 1)
    assert (second.change, second.relative, second.total) == (2.5, 2.5 / 4, 2.5 / 4)
    assert (second.agreement, second.notes) == (0.5, ("a note",))
    assert (third.samples, third.change, third.total, third.agreement) == (1, 1, 0.25, 1)


def test_outputs_that_are_all_zero_divide_nothing():
    log = Log()
    log.add("network", np.zeros((2, 2)))
    log.add("next", np.full((2, 2), 0.5))
    assert log.steps[1].relative == 0.5


def test_the_table_has_a_line_for_every_step_and_note():
    log = Log()
    log.add("network", np.ones((3, 2)))
    log.add("next", np.full((3, 2), 0.75), ["a note", "and another"])
    head, first, second, *notes = table(log.steps)
    assert head.split()[:3] == ["step", "samples", "change"]
    assert first.split() == ["network", "3", "0", "0", "0", "100.0%"]
    assert second.split() == ["next", "3", "0.25", "0.25", "0.25", "100.0%"]
    assert notes == ["  a note", "  and another"]
