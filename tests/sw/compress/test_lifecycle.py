"""Prepare, step, finalize: every pattern by every schedule, and what is refused."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from spec.errors import UserError
from sw.compress.interop import plain
from sw.compress.layers import density, weights
from sw.compress.lifecycle import prepare
from sw.compress.patterns import parse
from sw.compress.train import Training, fit
from tests.sw.compress.networks import classes, tensor, two_layers

pytestmark = pytest.mark.unit

PATTERNS = ["unstructured", "2:4", "balanced:4", "block:4x4", "row", "tile:8", "tile-vector:8:2:4"]
SCHEDULES = ["one-shot", "iterative:2x3", "gradual:6x3", "sr-ste", "admm:2x3+2"]


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def unchanged(model: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    after = model.state_dict()
    return list(after) == list(before) and all(torch.equal(after[n], before[n]) for n in after)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_pattern_by_every_schedule(rng, pattern, schedule):
    """The pattern holds after training, the user's network is as it was, forms are plain."""
    model = two_layers(rng)
    before = state(model)
    share = None if ":4" in pattern and pattern[0] == "2" else 0.25
    compression = prepare(model, pattern, density=share, layers=["0"], schedule=schedule)
    inputs, labels = classes(rng)
    fit(compression.model, inputs, labels, Training(12, batch=50), seed=1, keep=compression)
    finished = compression.finalize()

    weight = finished.model.get_submodule("0").weight
    again = parse(pattern).mask(weight.detach().square(), share)
    assert torch.equal(weight.detach() * again, weight.detach())
    assert torch.equal(weight != 0, finished.masks["0"])
    assert unchanged(model, before)
    assert type(weight) is nn.Parameter
    assert list(finished.model.state_dict()) == list(before)
    assert not finished.model.training


def test_a_loop_of_ones_own_is_the_same_as_fit(rng):
    model, (inputs, labels) = two_layers(rng), classes(rng, 50)
    plan = {"density": 0.2, "scope": "global", "schedule": "gradual:10x5", "penalty": "l1:1e-4"}
    ours, theirs = prepare(model, **plan), prepare(model, **plan)
    training = Training(15, batch=50, rate=0.01, last_rate=0.01)
    fit(ours.model, inputs, labels, training, seed=1, keep=ours)
    optimizer = torch.optim.Adam(theirs.model.parameters(), lr=0.01)
    for _ in range(15):
        loss = nn.functional.cross_entropy(theirs.model(inputs), labels) + theirs.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        theirs.step()
    for one, other in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert ours.masks.kept == theirs.masks.kept == 150


def test_in_place_only_when_asked_for(rng):
    model = two_layers(rng)
    compression = prepare(model, "2:4", inplace=True)
    assert compression.model is model
    assert compression.finalize().model is model
    assert density(model) == pytest.approx(0.5, abs=0.02)


def test_layers_compete_in_the_scope_global(rng):
    model = two_layers(rng)
    finished = prepare(model, density=0.3, scope="global").finalize()
    both = torch.cat([weight.detach().abs().flatten() for weight in weights(model).values()])
    threshold = both.sort(descending=True).values[int(0.3 * len(both)) - 1]
    for name, weight in weights(model).items():
        assert torch.equal(finished.masks[name], weight.detach().abs() >= threshold)


def test_each_layer_may_have_its_own_pattern_and_others_stay(rng):
    model = nn.Sequential(*two_layers(rng), nn.Linear(5, 4))
    finished = prepare(
        model, {"0": "2:4", "2": "block:5x5"}, density={"0": 0.5, "2": 0.5}
    ).finalize()
    assert list(finished.masks) == ["0", "2"]
    assert density(finished.model, ["0"]) == density(finished.model, ["2"]) == 0.5
    assert density(finished.model, ["3"]) == 1


def residual(rng) -> nn.Module:
    """Convolutions with BatchNorm, two of which are added up."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
            self.last = nn.Linear(8, 5)

        def forward(self, images):
            seen = self.first(images)
            return self.last(torch.relu(seen + self.second(seen)).mean((2, 3)))

    return Residual()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_channels_are_removed_and_those_that_are_added_up_together(rng, schedule):
    model = residual(rng)
    images, labels = tensor(rng, 60, 1, 6, 6), torch.from_numpy(rng.integers(5, size=60))
    compression = prepare(model, "channel", density=0.5, schedule=schedule)
    fit(compression.model, images, labels, Training(12, batch=20), seed=1, keep=compression)
    before, masks = copy.deepcopy(compression.model.eval()), compression.masks
    finished = compression.finalize()
    assert list(masks) == ["first.0", "second.0"]
    kept = {name: mask.flatten(1).any(1) for name, mask in finished.masks.items()}
    assert torch.equal(kept["first.0"], kept["second.0"])
    assert [tuple(weight.shape) for weight in weights(finished.model).values()] == [
        (4, 1, 3, 3),
        (4, 4, 3, 3),
        (5, 4),
    ]
    if schedule in ("one-shot", "iterative:2x3", "gradual:6x3"):
        torch.testing.assert_close(finished.model(images), before(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "criterion", ["magnitude:l1", "second-order", "activation", "least-squares"]
)
@pytest.mark.parametrize("schedule", ["one-shot", "iterative:2x3"])
def test_neurons_are_removed_by_every_criterion_for_outputs(rng, criterion, schedule):
    """The layer behind has to make up for them by least squares: it is there with all it has."""
    inputs, labels = classes(rng)
    behind = {"2": 1} if criterion == "least-squares" else {}
    compression = prepare(
        two_layers(rng),
        "channel",
        density={"0": 0.5} | behind,
        criterion=criterion,
        schedule=schedule,
        batches=[(inputs, labels)],
    )
    fit(compression.model, inputs, labels, Training(8, batch=50), seed=1, keep=compression)
    finished = compression.finalize()
    shapes = [tuple(weight.shape) for weight in weights(finished.model).values()]
    assert shapes == [(15, 20), (5, 15)]


def test_channels_that_cannot_go_are_told(rng):
    with pytest.raises(UserError, match="layer last: none of its outputs can be removed"):
        prepare(residual(rng), "channel", density=0.5, layers=["last"])
    with pytest.raises(UserError, match="first.0, second.0 are added up, so their channels go"):
        prepare(residual(rng), "channel", density=0.5, layers=["first.0"])


def test_matrices_of_an_lstm_are_layers():
    model = nn.Sequential(nn.LSTM(8, 6), nn.Identity())
    finished = prepare(model, "balanced:4", density=0.25).finalize()
    assert list(finished.masks) == ["0.weight_ih_l0", "0.weight_hh_l0"]
    for name, mask in finished.masks.items():
        weight = finished.model.get_parameter(name)
        assert torch.equal(weight != 0, mask)
        assert mask.float().mean() == 0.25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"density": 1.5}, "layer 0: a density of 1.5 was given, allowed is 0...1"),
        ({"density": -0.1, "scope": "global"}, "all layers: a density of -0.1 was given"),
        ({}, "the pattern unstructured needs a density, 0...1"),
        ({"pattern": "2:4", "density": 0.3}, "the pattern 2:4 has a density of 0.5, 0.3 was given"),
        ({"pattern": "4:2"}, "the pattern 4:2 was given, allowed is N:M with N from 1 to M"),
        ({"pattern": "stripes"}, "the pattern 'stripes' was given; there are unstructured, N:M"),
        ({"density": {"fc9": 0.5}}, "no layer 'fc9' with a weight; the network has 0, 2"),
        ({"density": 0.5, "layers": ["1"]}, "no layer '1' with a weight"),
        ({"density": {"0": 0.5}, "layers": ["2"]}, "layer 2 is to be pruned, but the densities"),
        ({"pattern": {"0": "2:4"}, "layers": ["2"]}, "layer 2 is to be pruned, but the patterns"),
        ({"density": "0.5"}, "layer 0: a density of 0.5 was given, allowed is 0...1"),
        ({"density": 0.5, "layers": []}, "no layer to prune is named; leave the names out"),
        ({"density": 0.5, "pattern": 3}, "the pattern 3 was given; there are unstructured"),
        ({"density": 0.5, "penalty": "l1:."}, "the penalty 'l1:.' was given; there are l1:STR"),
        ({"density": 0.5, "batches": [torch.zeros(3)]}, r"must be batches of \(inputs, targets\)"),
        ({"density": 0.5, "scope": "all"}, "the scope 'all' was given; there are layer, global"),
        ({"pattern": "2:4", "scope": "global"}, "with the scope global, one density for all"),
        ({"pattern": "balanced:4", "density": 0.5, "scope": "global"}, "layers cannot compete"),
        (
            {"pattern": "block:99x99", "density": 0.25},
            "layer 0: with a density of 0.25 the pattern",
        ),
        ({"pattern": "row", "density": {"2": 0.05}}, r"keeps nothing of \(5, 30\) weights; give a"),
        ({"density": 0.5, "criterion": "luck"}, "the criterion 'luck' was given; there are magn"),
        ({"density": 0.5, "criterion": "activation"}, "layer 0: the criterion activation does not"),
        ({"density": 0.5, "criterion": "second-order"}, "second-order runs the network on data"),
        ({"density": 0.5, "penalty": "l3:1"}, "the penalty 'l3:1' was given; there are l1:STR"),
        ({"pattern": "tile-vector:4:2:4", "density": 0.6}, "the pattern 2:4 allows 0...0.5"),
    ],
)
def test_mistakes_are_told_and_harm_nothing(rng, given, message):
    model = two_layers(rng)
    before = state(model)
    with pytest.raises(UserError, match=message):
        prepare(model, **given)
    assert unchanged(model, before)


@pytest.mark.parametrize("criterion", ["activation", "second-order", "regression", "least-squares"])
def test_data_that_the_network_does_not_take_are_told(rng, criterion):
    model, data = two_layers(rng), [(torch.zeros(4, 7), torch.zeros(4, dtype=torch.long))]
    pattern = "unstructured" if criterion in ("second-order", "regression") else "row"
    density = {"0": 0.5, "2": 1.0} if criterion == "least-squares" else {"0": 0.5}
    with pytest.raises(UserError, match="the network does not run on the calibration data: Runti"):
        prepare(model, pattern, density=density, criterion=criterion, batches=data)


def test_a_loader_is_read_once(rng):
    given = {"density": 0.5, "criterion": "second-order"}
    model, data = two_layers(rng), [classes(rng, 8)]
    masks = [
        prepare(model, batches=one, **given).finalize().masks["0"]
        for one in (
            data,
            iter(data),
            torch.utils.data.DataLoader(list(zip(*data[0], strict=True)), 8),
        )
    ]
    assert all(torch.equal(masks[0], other) for other in masks[1:])


def test_weights_that_are_computed_are_told(rng):
    model = two_layers(rng)
    prune.l1_unstructured(model[0], "weight", 0.5)
    for layers in (None, ["0"], "0"):
        with pytest.raises(UserError, match="layer 0: its weight is computed from others"):
            prepare(model, density=0.25, layers=layers)
    with pytest.raises(UserError, match="the network cannot be copied"):
        prepare(model, density=0.25, layers=["2"])
    assert prepare(plain(model)[0], density=0.4).masks.density == 0.4


def test_layers_with_one_weight_are_one(rng):
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = model[0].weight
    finished = prepare(model, density=0.5).finalize()
    assert list(finished.masks) == ["0"]
    assert finished.model.get_submodule("1").weight is finished.model.get_submodule("0").weight
    with pytest.raises(UserError, match="layers 0 and 1 share one weight: name one of them"):
        prepare(model, density={"0": 0.5, "1": 0.25})


def test_channels_need_a_layer_that_can_lose_some():
    with pytest.raises(UserError, match="no layer has outputs that can be removed"):
        prepare(nn.Linear(8, 8), "channel", density=0.5)


def test_channels_go_in_front_of_what_is_not_understood(rng):
    class Sorted(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.c(torch.sort(self.b(self.a(x).relu()), 1)[0])

    compression = prepare(Sorted(), "channel", density=0.5)
    inputs = tensor(rng, 5, 6)
    expected = compression.model.eval()(inputs)
    finished = compression.finalize()
    assert list(finished.masks) == ["a"]
    assert finished.model.get_parameter("a.weight").shape == (4, 6)
    torch.testing.assert_close(finished.model(inputs), expected)


def test_what_is_no_network_is_told():
    for model in ("network", None):
        with pytest.raises(UserError, match="was given, must be a torch.nn.Module"):
            prepare(model, density=0.5)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="its weights have no values yet"):
        prepare(nn.LazyLinear(4), density=0.5)


def test_broken_gradients_are_told(rng):
    compression = prepare(two_layers(rng), density=0.5)
    compression.model.get_submodule("2").weight.grad = torch.full((5, 30), torch.nan)
    with pytest.raises(UserError, match="layer 2: its gradient is NaN or infinite; try a lower"):
        compression.step()


def test_broken_weights_are_told(rng):
    compression = prepare(two_layers(rng), density=0.5, schedule="gradual:10")
    compression.model.get_submodule("2").weight.data[0, 0] = torch.nan
    with pytest.raises(UserError, match="layer 2: weights became NaN or infinite"):
        compression.finalize()


def test_a_finished_compression_is_over(rng):
    compression = prepare(two_layers(rng), density=0.5)
    compression.finalize()
    for again in (compression.step, compression.finalize):
        with pytest.raises(UserError, match="this compression is finalized"):
            again()


def test_only_the_copy_is_trained(rng):
    model = two_layers(rng)
    compression = prepare(model, density=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        pytest.raises(UserError, match="train compression.model"),
        compression.keep(model, optimizer),
    ):
        pass
