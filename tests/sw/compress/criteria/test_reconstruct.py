"""Least squares within masks, against other ways to say the same."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import Tensor

from spec.errors import UserError
from sw.compress.criteria.reconstruct import Rows, iterate, moments_of, reconstruct, refit
from sw.compress.criteria.search import by_counts, by_groups, columns, descend
from tests.sw.compress.networks import tensor

pytestmark = pytest.mark.unit


def problem(rng: np.random.Generator, rows: int, inputs: int) -> tuple[Tensor, Tensor]:
    """A weight, and inputs (inputs, samples) that depend on each other."""
    mixed = tensor(rng, inputs, inputs) @ tensor(rng, inputs, 5 * inputs)
    return tensor(rng, rows, inputs).double(), mixed.double()


def test_equals_a_regression_on_the_data_themselves(rng):
    weight, data = problem(rng, 6, 13)
    mask = torch.from_numpy(rng.random((6, 13)) < 0.5)
    mask[2] = False
    mask[3] = True
    found = reconstruct(weight.float(), mask, data @ data.T, damping=1e-12)
    assert found.dtype == torch.float32
    assert not found[~mask].any()
    for row in range(6):
        kept = mask[row].numpy()
        expected = np.zeros(13)
        wanted = data.numpy().T @ weight[row].numpy()
        expected[kept] = np.linalg.lstsq(data.numpy()[kept].T, wanted)[0]
        np.testing.assert_allclose(found[row].numpy(), expected, atol=1e-5)


def test_error_is_that_of_the_outputs(rng):
    weight, data = problem(rng, 4, 9)
    other = tensor(rng, 4, 9).double()
    rows = moments_of(weight, data @ data.T)
    assert rows.error(other) == pytest.approx(float(((weight - other) @ data).square().sum()))
    wanted = tensor(rng, 4, data.shape[1]).double()
    rows = Rows(weight, data @ data.T, wanted @ data.T, float(wanted.square().sum()))
    assert rows.error(other) == pytest.approx(float((wanted - other @ data).square().sum()))


def test_saliency_is_what_one_removal_costs_after_a_refit(rng):
    """Also where other outputs are wanted than the weight gives."""
    weight, data = problem(rng, 3, 7)
    wanted = weight @ data + 5 * tensor(rng, 3, data.shape[1])
    rows = Rows(weight, data @ data.T, wanted @ data.T, float(wanted.square().sum()), 1e-12)
    saliency, least = rows.saliency(), rows.error(rows.best)
    for row, at in product(range(3), range(7)):
        mask = torch.ones(3, 7, dtype=torch.bool)
        mask[row, at] = False
        error = rows.error(refit(rows, mask)) - least
        assert float(saliency[row, at]) == pytest.approx(error, rel=1e-5)


def test_iteration_comes_to_the_exact_solution_and_is_never_worse(rng):
    weight, data = problem(rng, 5, 12)
    rows = moments_of(weight, data @ data.T, damping=0.1)
    mask = torch.from_numpy(rng.random((5, 12)) < 0.5)
    exact, start = refit(rows, mask), torch.where(mask, weight, 0.0)
    assert torch.allclose(iterate(rows, start, mask, steps=100), exact, atol=1e-8)

    def damped(one: Tensor) -> float:
        return float(((one @ rows.hessian - 2 * rows.wanted) * one).sum())

    course = [damped(iterate(rows, start, mask, steps)) for steps in range(10)]
    assert course == sorted(course, reverse=True)


def test_large_layers_are_solved_by_iteration(rng, monkeypatch):
    weight, data = problem(rng, 5, 12)
    mask = torch.from_numpy(rng.random((5, 12)) < 0.5)
    rows = moments_of(weight, data @ data.T, damping=0.1)
    exact = refit(rows, mask)
    monkeypatch.setattr("sw.compress.criteria.reconstruct.EXACT_FLOPS", 0)
    for start in (None, exact + 0.1):
        found = refit(rows, mask, start)
        assert not torch.equal(found, exact)
        assert torch.allclose(found, exact, atol=1e-6)


def test_columns_equal_brain_surgery_one_weight_at_a_time(rng):
    """The published update, written as a loop over an inverse that shrinks column by column."""
    weight, data = problem(rng, 4, 8)
    rows = moments_of(weight, data @ data.T)
    mask, found = columns(rows, by_groups(2, 4), 4)
    left = weight.clone().numpy()
    for start in (0, 4):
        inverse = np.linalg.inv(rows.hessian.numpy()[start:, start:])
        # Cost of a column once those before it are fixed: the diagonal of what is eliminated.
        costs = np.empty((4, 4))
        shrunk = inverse.copy()
        for at in range(4):
            costs[:, at] = left[:, start + at] ** 2 / shrunk[0, 0]
            shrunk = (shrunk - np.outer(shrunk[:, 0], shrunk[0]) / shrunk[0, 0])[1:, 1:]
        kept = np.argsort(-costs, 1)[:, :2]
        for at in range(4):
            column = start + at
            inverse = np.linalg.inv(rows.hessian.numpy()[column:, column:])
            for row in range(4):
                assert bool(mask[row, column]) == (at in kept[row])
                if at not in kept[row]:
                    left[row, column:] -= left[row, column] / inverse[0, 0] * inverse[0]
                    left[row, column] = 0
    np.testing.assert_allclose(found.numpy(), left, atol=1e-9)


def test_columns_keep_the_counts_of_each_part(rng):
    weight, data = problem(rng, 6, 300)
    rows = moments_of(weight, data @ data.T)
    budget = torch.from_numpy(rng.random((6, 300)) < 0.3)
    parts = [torch.tensor([0, 2, 4]), torch.tensor([1, 3, 5])]
    mask, _ = columns(rows, by_counts(budget, parts), 128)
    for part in parts:
        for span in (slice(0, 128), slice(128, 256), slice(256, 300)):
            assert mask[part, span].sum() == budget[part, span].sum()


@pytest.mark.parametrize(("n", "m", "inputs"), [(2, 4, 4), (1, 3, 5), (2, 4, 7)])
def test_descent_ends_where_no_group_has_a_better_mask(rng, n, m, inputs):
    weight, data = problem(rng, 3, inputs)
    rows = moments_of(weight, data @ data.T, damping=1e-9)
    start = refit(rows, columns(rows, by_groups(n, m), m)[0])
    found = start
    for _ in range(100):  # each ends as soon as no mask changes; weights come to rest later
        found = descend(rows, found, n, m)
    for row in range(3):
        one = moments_of(weight[row : row + 1], data @ data.T, damping=1e-9)
        assert one.error(found[row : row + 1]) <= one.error(start[row : row + 1]) * (1 + 1e-9)
        for low in range(0, inputs, m):
            span = range(low, min(low + m, inputs))
            assert (found[row, span] != 0).sum() <= n
            for kept in combinations(span, min(n, len(span))):
                mask = torch.zeros(1, inputs, dtype=torch.bool)
                mask[0, list(kept)] = True
                # The other groups stay as they are: what is theirs is taken off the target.
                rest = found[row].clone()
                rest[list(span)] = 0
                aim = weight[row] - rest
                other = refit(moments_of(aim[None], data @ data.T, damping=1e-12), mask)
                assert one.error(found[row : row + 1]) <= one.error(other + rest) * (1 + 1e-5)


def test_inputs_that_are_never_there_leave_the_weight_to_decide(rng):
    weight, data = problem(rng, 4, 8)
    data[[1, 6]] = 0
    rows = moments_of(weight, data @ data.T)
    mask = torch.ones(4, 8, dtype=torch.bool)
    assert torch.allclose(refit(rows, mask), weight)
    nothing = moments_of(weight, torch.zeros(8, 8))
    assert torch.allclose(nothing.saliency(), weight.square())
    assert nothing.error(weight) == 0


def test_refuses_moments_that_are_none():
    rows = moments_of(torch.ones(1, 2), torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(UserError, match="a damping of 0.01 leaves .* singular"):
        rows.saliency()
