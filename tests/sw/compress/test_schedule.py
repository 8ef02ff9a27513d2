import pytest
import torch

from spec.errors import UserError
from sw.compress.layers import density
from sw.compress.schedule import Gradual
from tests.sw.compress.networks import classes, two_layers

pytestmark = pytest.mark.unit


def train(model, gradual, steps, rng):
    """Density of layer 0 after each step."""
    inputs, labels = classes(rng)
    optimizer = torch.optim.Adam(gradual.parameters(model), lr=0.05)
    seen = []
    with gradual.keep(model, optimizer):
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            seen.append(density(model, ["0"]))
    return seen


def test_prunes_in_equal_distances_down_to_the_density_and_keeps_it(rng):
    model = two_layers(rng)
    gradual = Gradual({"0": 0.1, "2": 0.2}, steps=12, rounds=4)
    seen = train(model, gradual, 20, rng)
    expected = [0.1 + 0.9 * (1 - n / 4) ** 3 for n in range(5)]
    assert seen == pytest.approx([expected[min((n + 1) // 3, 4)] for n in range(20)], abs=1 / 600)
    assert density(model, ["0"]) == 0.1
    assert density(model, ["2"]) == 0.2
    assert gradual.masks.kept == 60 + 30


def test_what_was_pruned_stays_pruned(rng):
    model = two_layers(rng)
    gradual = Gradual({"0": 0.1}, steps=4, rounds=4)
    train(model, gradual, 2, rng)
    before = gradual.masks["0"]
    train(model, gradual, 4, rng)
    assert not (gradual.masks["0"] & ~before).any()


@pytest.mark.parametrize(("steps", "rounds"), [(4, 5), (4, 0), (0, 1)])
def test_refuses_prunings_that_do_not_fit(steps, rounds):
    with pytest.raises(UserError, match=f"{rounds} prunings within {steps} steps"):
        Gradual({"0": 0.1}, steps, rounds)


def test_refuses_densities_and_layers_before_training_begins(rng):
    with pytest.raises(UserError, match="fc1: a density of 8"):
        Gradual({"fc1": 8}, 100)
    with pytest.raises(UserError, match="no layer 'fc1'"):
        train(two_layers(rng), Gradual({"fc1": 0.08}, 100), 1, rng)
