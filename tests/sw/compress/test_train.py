import copy

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.models import lenet_300_100
from sw.compress.prune import magnitude
from sw.compress.share import SharedWeights, share
from sw.compress.train import TEMPERATURE, Training, accuracy, distillation, fit
from tests.sw.compress.networks import classes, tensor, two_layers

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_learns(rng, optimizer):
    model, (points, labels) = two_layers(rng), classes(rng)
    losses = fit(model, points, labels, Training(60, 0.02, optimizer=optimizer), seed=1)
    assert len(losses) == 60
    assert sum(losses[-10:]) < sum(losses[:10]) / 2
    assert accuracy(model, points, labels) > 0.8
    assert not model.training


@pytest.mark.parametrize("keep", [None, "masks", "shared"])
def test_the_same_seed_gives_the_same_bits_and_another_one_others(rng, keep):
    start = nn.Sequential(*list(two_layers(rng))[:2], nn.Dropout(0.5), nn.Linear(30, 5))
    images, labels = classes(rng)

    def trained(seed):
        model = copy.deepcopy(start)
        form = {
            None: lambda: None,
            "masks": lambda: magnitude(model, 0.3),
            "shared": lambda: SharedWeights(share(model)),
        }[keep]()
        fit(model, images, labels, Training(15, 0.01, batch=32), seed=seed, keep=form)
        return torch.cat([value.flatten() for value in model.state_dict().values()])

    first = trained(1)
    torch.rand(3)
    assert torch.equal(first, trained(1))
    assert not torch.equal(first, trained(2))


def test_the_callers_random_numbers_are_not_disturbed(rng):
    model, data = two_layers(rng), classes(rng)
    state = torch.get_rng_state()
    fit(model, *data, Training(3), seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_masks_hold_in_the_end(rng):
    model = two_layers(rng)
    masks = magnitude(model, {"0": 0.1})
    fit(model, *classes(rng), Training(10, 0.01), seed=1, keep=masks)
    assert torch.equal(model[0].weight != 0, masks["0"])
    assert model[2].weight.all()


def test_shared_values_hold_in_the_end(rng):
    model = two_layers(rng)
    shared = SharedWeights(share(model, bits=2))
    fit(model, *classes(rng), Training(10, 0.01), seed=1, keep=shared)
    assert len(model[0].weight.unique()) <= 3
    assert torch.equal(model[0].weight, shared.codebooks["0"].expand())


def test_each_picture_is_seen_once_per_shuffle(rng):
    seen = []

    def note(batch, generator):
        seen.append(batch[:, 0])
        return batch

    points, labels = classes(rng, 50)
    points[:, 0] = torch.arange(50)
    fit(two_layers(rng), points, labels, Training(8, batch=15), seed=3, augment=note)
    assert [len(batch) for batch in seen] == [15, 15, 15, 5] * 2
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert torch.equal(first.sort().values, torch.arange(50.0))
    assert torch.equal(second.sort().values, torch.arange(50.0))
    assert not torch.equal(first, second)


def test_the_rate_falls_by_half_a_cosine():
    rates = [Training(5, 0.2, 0.1).rate_at(step) for step in range(5)]
    assert rates == pytest.approx([0.2, 0.15 + 0.05 * 0.5**0.5, 0.15, 0.15 - 0.05 * 0.5**0.5, 0.1])
    assert Training(9, 0.1).rate_at(8) == pytest.approx(0.001)
    assert Training(1, 0.1).rate_at(0) == 0.1


def test_accuracy_counts_every_picture_once():
    labels = torch.arange(10).repeat(7)
    scores = nn.functional.one_hot(labels, 10).float()
    scores[:7] = scores[:7].roll(1, 1)
    assert accuracy(nn.Identity(), scores, labels, batch=11) == 63 / 70


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps = 0 was asked for"),
        ({"steps": 1, "batch": 0}, "batch = 0 was asked for"),
        ({"steps": 1, "rate": -1.0}, "rate = -1.0 was asked for"),
        ({"steps": 1, "rate": float("nan")}, "rate = nan was asked for"),
        ({"steps": 1, "optimizer": "lion"}, "no optimizer 'lion'; there are adam, sgd"),
    ],
)
def test_refuses_useless_settings(given, message):
    with pytest.raises(UserError, match=message):
        Training(**given)


def test_refuses_data_that_does_not_fit_together(rng):
    points, labels = classes(rng)
    for some in (points[:0], points[:50]):
        with pytest.raises(UserError, match=f"tune: {len(some)} pictures and "):
            fit(two_layers(rng), some, labels[: len(some) // 2], Training(1), seed=1, title="tune")


def test_refuses_to_go_on_when_the_loss_is_lost(rng):
    points, labels = classes(rng)
    points[7, 7] = torch.nan
    with pytest.raises(UserError, match="train: the loss is nan at step 0"):
        fit(two_layers(rng), points, labels, Training(5, batch=200), seed=1)


def test_lenet_has_the_layers_of_the_literature(rng):
    model = lenet_300_100()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes == {
        "fc1.weight": (300, 784),
        "fc1.bias": (300,),
        "fc2.weight": (100, 300),
        "fc2.bias": (100,),
        "fc3.weight": (10, 100),
        "fc3.bias": (10,),
    }
    assert model(tensor(rng, 3, 1, 28, 28)).shape == (3, 10)
    assert sum(isinstance(layer, nn.ReLU) for layer in model) == 2


def test_distillation_is_the_divergence_of_softened_outputs(rng):
    outputs, wanted = tensor(rng, 7, 4), tensor(rng, 7, 4)
    p, q = (np.exp(one.double().numpy() / TEMPERATURE) for one in (wanted, outputs))
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    expected = TEMPERATURE**2 * (p * np.log(p / q)).sum() / 7
    assert float(distillation(outputs, wanted)) == pytest.approx(expected, rel=1e-5)
    assert float(distillation(wanted, wanted)) == pytest.approx(0, abs=1e-6)


def test_a_teacher_is_learned_from_as_much_as_classes_and_stays_as_it_is(rng):
    points, labels = classes(rng)
    teacher = two_layers(rng).train()
    fit(teacher, points, (labels + 1) % 5, Training(60, 0.02), seed=1)
    teacher.train()
    before = copy.deepcopy(teacher.state_dict())
    said = teacher(points).detach()
    start = two_layers(rng)

    def far(teacher):
        model = copy.deepcopy(start)
        losses = fit(model, points, labels, Training(60, 0.02, batch=200), seed=1, teacher=teacher)
        with torch.no_grad():
            return losses[0], float(distillation(model(points), said))

    (of_classes, without), (of_both, taught) = far(None), far(teacher)
    of_teacher = distillation(start(points), said).item()
    assert of_both == pytest.approx((of_classes + of_teacher) / 2, rel=1e-5)
    assert taught < without / 2
    assert teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_network_can_be_taught_by_what_it_was(rng):
    model, (points, labels) = two_layers(rng), classes(rng)
    other = copy.deepcopy(model)
    fit(model, points, labels, Training(8, 0.02), seed=1, teacher=model)
    fit(other, points, labels, Training(8, 0.02), seed=1, teacher=copy.deepcopy(other))
    assert torch.equal(model[0].weight, other[0].weight)


def test_a_teacher_is_asked_in_eval_mode(rng):
    points, labels = classes(rng)
    teacher = nn.Sequential(
        nn.Linear(20, 30), nn.BatchNorm1d(30), nn.Dropout(0.5), nn.Linear(30, 5)
    )
    teacher(3 + points)  # running means that are not those of the points
    said = copy.deepcopy(teacher).eval()(points).detach()
    before = copy.deepcopy(teacher.state_dict())
    model = two_layers(rng)
    outputs = model(points)
    expected = (nn.functional.cross_entropy(outputs, labels) + distillation(outputs, said)) / 2
    (loss,) = fit(model, points, labels, Training(1, batch=200), seed=1, teacher=teacher)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_teacher_of_other_classes_is_told(rng):
    points, labels = classes(rng)
    with pytest.raises(UserError, match=r"teacher gives outputs of shape \(64, 1\), the network"):
        fit(two_layers(rng), points, labels, Training(1), seed=1, teacher=nn.Linear(20, 1))
