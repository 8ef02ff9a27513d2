import pytest
import torch

from spec.errors import UserError
from sw.compress.data import Dataset, digits
from sw.compress.layers import density, weights
from sw.compress.recipe import lenet_recipe, trained_lenet

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def short(data):
    """The recipe with a fiftieth of its steps."""
    return lenet_recipe(data, seed=5, effort=0.02)


def bits(recipe):
    return [torch.cat([p.flatten() for p in m.parameters()]) for m in stages(recipe)]


def stages(recipe):
    return recipe.trained, recipe.pruned, recipe.shared


def test_keeps_8_percent_of_the_weights(short):
    assert density(short.trained) > 0.99
    assert 0.079 < density(short.pruned) <= 0.08
    assert density(short.shared) == density(short.pruned)
    for name, weight in weights(short.pruned).items():
        assert torch.equal(weight != 0, short.masks[name])


def test_shares_15_values_and_zero_in_each_layer(short):
    for name, weight in weights(short.shared).items():
        assert len(weight.unique()) <= 16
        assert torch.equal(weight, short.codebooks[name].expand())


def test_even_a_short_one_learns(short):
    assert list(short.accuracy) == list(short.seconds) == ["float", "pruned", "shared"]
    assert all(0.7 < value < 1 for value in short.accuracy.values())


def test_only_training_gives_the_network_of_the_first_stage(data, short):
    trained = trained_lenet(data, seed=5, effort=0.02)
    pairs = zip(trained.parameters(), short.trained.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_same_seed_gives_the_same_bits(data, short):
    threads = torch.get_num_threads()
    again = lenet_recipe(data, seed=5, effort=0.02)
    assert all(torch.equal(a, b) for a, b in zip(bits(short), bits(again), strict=True))
    assert again.accuracy == short.accuracy
    other = lenet_recipe(data, seed=6, effort=0.001)
    assert not torch.equal(bits(other)[0], bits(short)[0])
    assert torch.get_num_threads() == threads


def test_takes_pictures_of_another_size(rng):
    images = torch.from_numpy(rng.random((40, 1, 8, 9), "float32"))
    labels = torch.arange(40) % 7
    made = lenet_recipe(Dataset("small", images, labels, images, labels), seed=1, effort=0.001)
    assert made.shared(images).shape == (40, 7)


@pytest.mark.parametrize("effort", [0, -1.0])
def test_refuses_no_effort(data, effort):
    with pytest.raises(UserError, match=f"an effort of {effort}"):
        lenet_recipe(data, seed=1, effort=effort)
