import copy

import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.data import shifted
from sw.compress.models import lenet_300_100
from sw.compress.prune import magnitude
from sw.compress.share import SharedWeights, share
from sw.compress.train import Training, accuracy, fit
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


def test_shifts_move_whole_pictures_and_fill_with_zeros(rng):
    pictures = tensor(rng, 300, 1, 6, 5).abs() + 0.1
    moved = shifted(pictures, torch.Generator().manual_seed(4), pixels=1)
    padded = nn.functional.pad(pictures, [1, 1, 1, 1])
    found = set()
    for picture, wide in zip(moved, padded, strict=True):
        places = [(y, x) for y in range(3) for x in range(3)]
        fitting = [p for p in places if torch.equal(picture, wide[:, p[0] :, p[1] :][:, :6, :5])]
        assert len(fitting) == 1
        found.update(fitting)
    assert len(found) == 9
