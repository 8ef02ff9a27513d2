import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from spec.errors import UserError
from sw.compress.share import STARTS, Codebook, SharedWeights, kmeans, share
from tests.sw.compress.networks import classes, tensor, two_layers

pytestmark = pytest.mark.unit


def brute_force(
    values: np.ndarray, clusters: int, first: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm as in textbooks: all distances, all means, until nothing moves."""
    centroids = np.linspace(values.min(), values.max(), clusters) if first is None else first.copy()
    labels = None
    while True:
        distances = np.abs(values[:, None].astype(np.float64) - centroids)
        previous, labels = labels, distances.argmin(axis=1)
        if previous is not None and np.array_equal(previous, labels):
            return centroids, labels
        for c in range(clusters):
            if (labels == c).any():
                centroids[c] = values[labels == c].mean(dtype=np.float64)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("case", ["normal", "long tails", "two lumps"])
def test_equals_textbook_lloyd(rng, bits, case):
    weight = tensor(rng, 40, 30)
    if case == "long tails":
        weight = weight**5
    elif case == "two lumps":
        weight = 0.01 * weight + weight.sign()
    weight[torch.from_numpy(rng.random((40, 30)) < 0.7)] = 0
    book = kmeans(weight, bits)
    nonzeros = weight[weight != 0].numpy()
    centroids, labels = brute_force(nonzeros, 2**bits - 1)
    assert np.allclose(book.centroids[1:].numpy(), centroids, rtol=1e-6, atol=1e-9)
    assert np.array_equal(book.labels[weight != 0].numpy(), labels + 1)


def pruned(rng, *shape: int) -> torch.Tensor:
    weight = tensor(rng, *shape) ** 3
    weight[torch.from_numpy(rng.random(shape) < 0.7)] = 0
    return weight


@pytest.mark.parametrize("bits", [2, 4])
def test_density_start_has_equal_mass_around_each_centroid(rng, bits):
    weight, clusters = pruned(rng, 60, 50), 2**bits - 1
    nonzeros = weight[weight != 0].numpy()
    first = kmeans(weight, bits, iterations=0, start="density").centroids[1:].numpy()
    # Between each centroid and the next lies one of as many equal parts of the sorted values.
    between = np.diff([(nonzeros < value).sum() for value in first])
    assert np.abs(between - len(nonzeros) / clusters).max() <= 1
    assert abs((nonzeros < first[0]).sum() - len(nonzeros) / clusters / 2) <= 1
    centroids, labels = brute_force(nonzeros, clusters, first.astype(np.float64))
    book = kmeans(weight, bits, start="density")
    assert np.allclose(book.centroids[1:].numpy(), centroids, rtol=1e-5)
    assert np.array_equal(book.labels[weight != 0].numpy(), labels + 1)


@pytest.mark.parametrize("bits", [2, 4])
def test_random_start_draws_distinct_weights(rng, bits):
    weight = pruned(rng, 60, 50)
    weight[weight < -0.5] = -0.5  # one value occurs often
    nonzeros = weight[weight != 0].numpy()
    first = kmeans(weight, bits, iterations=0, start="random", seed=3).centroids[1:].numpy()
    assert len(set(first)) == 2**bits - 1
    assert set(first) <= set(nonzeros)
    centroids, _ = brute_force(nonzeros, 2**bits - 1, first.astype(np.float64))
    book = kmeans(weight, bits, start="random", seed=3)
    assert np.allclose(book.centroids[1:].numpy(), centroids, rtol=1e-5)
    assert torch.equal(kmeans(weight, bits, start="random", seed=3).centroids, book.centroids)
    other = kmeans(weight, bits, iterations=0, start="random", seed=4).centroids
    assert not np.array_equal(other[1:].numpy(), first)


@pytest.mark.parametrize("start", STARTS)
def test_every_start_keeps_zeros_and_lessens_the_error(rng, start):
    weight = pruned(rng, 40, 30)
    before, after = (kmeans(weight, 3, n, start=start).expand() for n in (0, 10_000))
    assert torch.equal(after == 0, weight == 0)
    assert ((after - weight) ** 2).sum() < ((before - weight) ** 2).sum()


def test_starts_and_widths_of_a_network(rng):
    model = two_layers(rng)
    books = share(model, {"0": 2, "2": 5}, start="random", seed=7)
    assert [len(book.centroids) for book in books.values()] == [4, 32]
    assert torch.equal(books["2"].labels, kmeans(model[2].weight, 5, start="random", seed=7).labels)
    assert list(share(model, {"2": 5})) == ["2"]
    with pytest.raises(UserError, match="no width of codes is given for layer 0"):
        share(model, {"2": 5}, ["0", "2"])
    with pytest.raises(UserError, match="no layer 'x'"):
        share(model, {"x": 5})
    with pytest.raises(UserError, match="cannot start 'middle'; it can start linear, density, ran"):
        kmeans(torch.ones(3), start="middle")


def test_values_in_the_middle_belong_to_the_lower_centroid():
    # Two clusters' means, 1 and 4, are at rest, and 2.5 is as far from one as from the other.
    found = kmeans(torch.tensor([-4.0, -2, 1, 1, 1, 2.5, 4, 4, 4, 4]), bits=2)
    nonzeros = np.array([-4.0, -2, 1, 1, 1, 2.5, 4, 4, 4, 4])
    centroids, labels = brute_force(nonzeros, 3)
    assert np.allclose(found.centroids[1:].numpy(), centroids)
    assert found.labels.tolist() == (labels + 1).tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_form_of_the_result(rng, dtype):
    weight = tensor(rng, 6, 5, 4).to(dtype)
    weight[weight.abs() < 0.5] = 0
    book = kmeans(weight)
    assert isinstance(book, Codebook)
    assert book.centroids.shape == (16,)
    assert book.centroids.dtype == dtype
    assert book.centroids[0] == 0
    assert book.labels.shape == weight.shape
    assert book.labels.dtype == torch.int64
    assert int(book.labels.max()) <= 15


def test_zero_and_only_zero_has_label_zero(rng):
    weight = tensor(rng, 50, 50)
    weight[torch.from_numpy(rng.random((50, 50)) < 0.9)] = 0
    weight[0, 0] = -0.0
    book = kmeans(weight)
    assert torch.equal(book.labels == 0, weight == 0)
    assert torch.equal(book.expand() == 0, weight == 0)


@pytest.mark.parametrize("values", [[], [0.7], [-3.0, -1e-30, 1e-30, 2.0, 1e30]])
def test_few_distinct_values_are_kept_exactly(rng, values):
    weight = torch.from_numpy(rng.choice(np.array([0, *values], np.float32), (9, 9)))
    book = kmeans(weight)
    assert torch.equal(book.expand(), weight)
    assert book.centroids.shape == (16,)


def test_sharing_again_changes_nothing(rng):
    once = kmeans(tensor(rng, 30, 30)).expand()
    assert torch.equal(kmeans(once).expand(), once)


def test_network_is_shared_layer_by_layer_and_not_changed(rng):
    model = two_layers(rng)
    before = copy.deepcopy(model.state_dict())
    books = share(model, bits=3)
    assert torch.equal(books["2"].labels, kmeans(model[2].weight, 3).labels)
    assert list(share(model, layers=["2"])) == ["2"]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def pruned_and_shared(rng):
    model = two_layers(rng)
    model[0].weight.data[model[0].weight.abs() < 1] = 0
    return model, SharedWeights(share(model))


def test_gradient_of_a_shared_value_is_that_of_a_gathered_parameter(rng):
    model, shared = pruned_and_shared(rng)
    inputs, labels = classes(rng)
    books = {
        name: book.centroids.clone().requires_grad_() for name, book in shared.codebooks.items()
    }
    gathered = {f"{n}.weight": books[n][shared.codebooks[n].labels] for n in books}
    reference = copy.deepcopy(model)
    loss = cross_entropy(torch.func.functional_call(reference, gathered, (inputs,)), labels)
    gradients = dict(zip(books, torch.autograd.grad(loss, list(books.values())), strict=True))

    # With a rate of 1, plain gradient descent moves each value by its gradient.
    optimizer = torch.optim.SGD(shared.parameters(model), lr=1.0)
    before = shared.codebooks
    with shared.keep(model, optimizer):
        cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    for name, book in shared.codebooks.items():
        expected = gradients[name].clone()
        expected[0] = 0
        moved = before[name].centroids - book.centroids
        assert torch.allclose(moved, expected, rtol=1e-4, atol=1e-6)


def test_training_keeps_zeros_and_labels_and_moves_the_rest(rng):
    model, shared = pruned_and_shared(rng)
    inputs, labels = classes(rng)
    before = shared.codebooks
    bias = model[0].bias.detach().clone()
    optimizer = torch.optim.Adam(shared.parameters(model), lr=0.01)
    with shared.keep(model, optimizer):
        for _ in range(5):
            optimizer.zero_grad()
            cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    for name, book in shared.codebooks.items():
        weight = model.get_submodule(name).weight
        assert weight.grad is None
        assert torch.equal(weight, book.expand())
        assert torch.equal(book.labels, before[name].labels)
        assert torch.equal(weight == 0, book.labels == 0)
        assert (book.centroids[1:] != before[name].centroids[1:]).any()
    assert not torch.equal(model[0].bias, bias)


def test_codebooks_given_are_not_trained_themselves(rng):
    model = two_layers(rng)
    books = share(model)
    kept = books["0"].centroids.clone()
    shared = SharedWeights(books)
    optimizer = torch.optim.SGD(shared.parameters(model), lr=1.0)
    with shared.keep(model, optimizer):
        model(tensor(rng, 3, 20)).sum().backward()
        optimizer.step()
    assert torch.equal(books["0"].centroids, kept)


def test_frozen_layers_stay(rng):
    model, shared = pruned_and_shared(rng)
    model[0].weight.requires_grad_(False)
    optimizer = torch.optim.SGD(shared.parameters(model), lr=1.0)
    before = shared.codebooks["0"].centroids
    with shared.keep(model, optimizer):
        model(tensor(rng, 3, 20)).sum().backward()
        optimizer.step()
    assert torch.equal(shared.codebooks["0"].centroids, before)


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_refuses_codes_of_no_use(bits):
    with pytest.raises(UserError, match=f"codes of {bits} bits was asked for, allowed is 1...8"):
        kmeans(torch.ones(3), bits)


def test_refuses_broken_weights_and_other_networks(rng):
    model = two_layers(rng)
    shared = SharedWeights(share(model))
    with pytest.raises(UserError, match="NaN or infinite"):
        kmeans(torch.tensor([1.0, torch.nan]))
    with pytest.raises(UserError, match=r"layer 0: the labels have shape \(30, 20\), the weight"):
        shared.apply(torch.nn.Sequential(torch.nn.Linear(7, 7), torch.nn.ReLU(), model[2]))
    model[2].weight.data[0, 0] = torch.inf
    with pytest.raises(UserError, match="layer 2: 1 of 150"):
        share(model)
