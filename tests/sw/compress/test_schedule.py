"""Schedules: when how much is pruned, and what happens to the rest."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.criteria.base import Context
from sw.compress.criteria.second_order import SecondOrder
from sw.compress.layers import density, weights
from sw.compress.lifecycle import Compression, prepare
from sw.compress.schedule import Admm, Gradual, Iterative, OneShot, SrSte, parse
from tests.sw.compress.networks import classes, two_layers

pytestmark = pytest.mark.unit

SCHEDULES = [
    OneShot(),
    Iterative(3, 4),
    Gradual(8, 4),
    SrSte(),
    SrSte(every=50, ramp=6, until=8),  # between two choices the ramp ends, and masks stay
    Admm(2, 4, 2, 2),
]


def train(compression: Compression, steps: int, rng, optimizer=torch.optim.Adam) -> list[float]:
    """Density of layer 0 after each step."""
    inputs, labels = classes(rng)
    model = compression.model
    learns = optimizer(compression.parameters(model), lr=0.05)
    seen = []
    with compression.keep(model, learns):
        for _ in range(steps):
            learns.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels) + compression.penalty()
            loss.backward()
            learns.step()
            weight = model.get_submodule("0").weight
            seen.append(int(weight.count_nonzero()) / weight.numel())
    return seen


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("steps", [0, 3, 30])
def test_the_density_is_exact_however_long_it_was_trained(rng, schedule, steps):
    compression = prepare(two_layers(rng), density={"0": 0.1, "2": 0.2}, schedule=schedule)
    train(compression, steps, rng)
    finished = compression.finalize()
    assert density(finished.model, ["0"]) == 0.1
    assert density(finished.model, ["2"]) == 0.2
    assert (finished.masks["0"].sum(), finished.masks["2"].sum()) == (60, 30)
    assert [name for name, _ in finished.model.named_parameters()] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]


def test_gradual_prunes_in_equal_distances_along_a_cubic_curve(rng):
    compression = prepare(two_layers(rng), density={"0": 0.1}, schedule=Gradual(12, 4))
    seen = train(compression, 20, rng)
    expected = [0.1 + 0.9 * (1 - n / 4) ** 3 for n in range(5)]
    assert seen == pytest.approx([expected[min((n + 1) // 3, 4)] for n in range(20)], abs=1 / 600)


def test_iterative_keeps_the_same_share_each_time(rng):
    compression = prepare(two_layers(rng), density={"0": 0.064}, schedule=Iterative(3, 5))
    assert density(compression.model, ["0"]) == pytest.approx(0.4, abs=1 / 600)
    seen = train(compression, 12, rng)
    assert seen == pytest.approx([0.4] * 4 + [0.16] * 5 + [0.064] * 3, abs=1 / 600)


@pytest.mark.parametrize("schedule", [OneShot(), Iterative(3, 4), Gradual(8, 4)], ids=str)
def test_what_was_pruned_stays_pruned(rng, schedule):
    compression = prepare(two_layers(rng), density={"0": 0.1}, schedule=schedule)
    train(compression, 2, rng)
    before = compression.masks["0"] if compression.masks else torch.ones(30, 20).bool()
    train(compression, 10, rng)
    assert not (compression.masks["0"] & ~before).any()


def test_nm_gets_sparser_step_by_step(rng):
    compression = prepare(two_layers(rng), "1:4", layers=["0"], schedule=Gradual(8, 8))
    seen = train(compression, 10, rng)
    assert sorted(set(seen), reverse=True) == [1.0, 0.75, 0.5, 0.25]


def test_sr_ste_adds_the_decay_of_what_is_masked_to_the_gradient(rng):
    """The rule of the paper: gradient at the masked weight, plus decay * (1 - mask) * weight."""
    model, (inputs, labels) = two_layers(rng), classes(rng)
    compression = prepare(model, "2:4", layers=["0"], schedule=SrSte(decay=0.3))
    nn.functional.cross_entropy(compression.model(inputs), labels).backward()
    learned = next(p for p in compression.model.get_submodule("0").parameters() if p.ndim == 2)

    mask = compression.masks["0"].float()
    dense = model[0].weight.detach().clone()
    model[0].weight.data = dense * mask
    nn.functional.cross_entropy(model(inputs), labels).backward()
    assert torch.equal(learned.detach(), dense)
    expected = model.get_parameter("0.weight").grad
    assert expected is not None
    torch.testing.assert_close(learned.grad, expected + 0.3 * (1 - mask) * dense)


def test_sr_ste_lets_weights_come_back_until_it_may_not(rng):
    start = {"density": {"0": 0.1}, "schedule": SrSte(0.0, every=2, until=8)}
    compression = prepare(two_layers(rng), **start)
    seen = []
    for _ in range(12):
        train(compression, 1, rng)
        seen.append(compression.masks["0"].clone())
    changed = [bool((a != b).any()) for a, b in pairwise(seen)]
    assert (any(changed[:7]), any(changed[7:])) == (True, False)
    assert not any(changed[1:7:2])


def test_sr_ste_asks_any_criterion_that_can_judge_masked_weights(rng):
    """Optimal Brain Damage by the gradient at the masked weight, without the decay."""
    data, scores = [classes(rng, 20)], []
    for decay in (0.0, 0.5):
        compression = prepare(
            model := two_layers(np.random.default_rng(1)),
            density=0.5,
            schedule=SrSte(decay, every=5),
            criterion=(judge := SecondOrder()),
            batches=data,
        )
        scores.append(judge.scores(compression._pruning.context, {})["0"])
        plain = copy.deepcopy(model)
        compression.masks.apply(plain)
        masked = judge.fisher(Context(plain, weights(plain), data))["0"]
        expected = masked * model[0].weight.detach().square() / 2
        torch.testing.assert_close(scores[-1], expected)
        train(compression, 6, rng)
        assert compression.finalize().masks.density == 0.5
    assert torch.equal(*scores)
    with pytest.raises(UserError, match="sr-ste does not go with the criterion least-squares"):
        prepare(
            model,
            "row",
            density={"0": 0.5, "2": 1.0},
            schedule="sr-ste",
            criterion="least-squares",
            batches=data,
        )


def test_admm_follows_its_formulas(rng):
    """Z = project(W + U), U = U + W - Z but 0 at first, and rho / 2 * ||W - Z + U||^2; a second
    statement."""
    model = two_layers(rng)
    compression = prepare(model, density={"0": 0.25}, schedule=Admm(1, 6, 1, 2, rho=0.5))
    weight = compression.model.get_parameter("0.weight")
    dual, aim = torch.zeros(30, 20), torch.zeros(30, 20)
    for step in range(6):
        if step % 2 == 0:
            total = (weight.detach() + dual).flatten()
            kept = total.abs().argsort(descending=True)[:150]
            aim = torch.zeros(600).scatter(0, kept, total[kept]).reshape(30, 20)
            dual = dual + (weight.detach() - aim if step else 0)
        expected = 0.25 * (weight - aim + dual).square().sum()
        torch.testing.assert_close(compression.penalty(), expected)
        train(compression, 1, rng)
    assert float(compression.penalty()) == 0
    assert density(compression.model, ["0"]) == 0.25


def test_admm_draws_weights_to_the_pattern(rng):
    lost = []
    for rho in (1e-6, 3.0):
        compression = prepare(
            two_layers(rng), density={"0": 0.25}, schedule=Admm(1, 60, 1, 5, rho), layers=["0"]
        )
        train(compression, 59, rng, torch.optim.SGD)
        weight = compression.model.get_parameter("0.weight").detach()
        smallest = weight.abs().flatten().sort().values[:450]
        lost.append(float(smallest.square().sum() / weight.square().sum()))
    assert lost[1] < lost[0] / 4


def test_a_penalty_that_is_left_out_is_told(rng):
    compression = prepare(two_layers(rng), density={"0": 0.25}, schedule=Admm())
    compression.step()
    with pytest.raises(UserError, match=r"add compression.penalty\(\) to each loss"):
        compression.step()


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_schedule_is_what_its_text_says(schedule):
    assert str(parse(str(schedule))) == str(schedule)
    assert parse(schedule) is schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gradual(4, 5), "5 prunings within 4 steps were asked for, allowed is 1...4"),
        (lambda: Gradual(4, 0), "0 prunings within 4 steps"),
        (lambda: Iterative(0, 5), "prunings = 0 was given, must be at least 1"),
        (lambda: SrSte(-1), "decay = -1 was given, must not be negative"),
        (lambda: SrSte(ramp=5, until=4), "the ramp must end before masks stay"),
        (lambda: parse("gradual:0"), "steps = 0 was given, must be at least 1"),
        (lambda: parse("sr-ste:1e"), "the schedule 'sr-ste:1e' was given; there are one-shot"),
        (lambda: parse(3), "the schedule 3 was given; there are one-shot"),  # type: ignore[arg-type]
        (lambda: Admm(rho=0), "rho = 0 was given, must be more than 0"),
        (lambda: parse("never"), "the schedule 'never' was given; there are one-shot, iterative"),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_recurrent_layers_cannot_be_masked_while_all_weights_learn():
    model = nn.LSTM(4, 4)
    names = list(model.state_dict())
    with pytest.raises(UserError, match="weight_ih_l0: sr-ste cannot mask"):
        prepare(model, "2:4", schedule="sr-ste", inplace=True)
    assert list(model.state_dict()) == names
