import copy
from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.ao.pruning.sparsifier.weight_norm_sparsifier import WeightNormSparsifier
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from spec.errors import UserError
from sw.compress.interop import lab_codebooks, lab_masks, load_into, plain, save, zeros
from sw.compress.patterns import parse
from sw.compress.prune import Masks
from sw.compress.saving import load
from sw.compress.share import SharedWeights
from tests.sw.compress.networks import classes, tensor, two_layers

pytestmark = pytest.mark.unit

# As the labs define it; any tuple with these names is taken.
LabCodebook = namedtuple("LabCodebook", ["centroids", "labels"])


def masked(module, name, amount):
    """Pruned by torch, which adds to a module what the type does not tell."""
    torch_prune.l1_unstructured(module, name, amount)
    return module


def test_a_network_of_torch_prune_becomes_plain(rng):
    theirs = two_layers(rng)
    masked(theirs[0], "weight", 0.7)
    masked(theirs[0], "bias", 0.5)
    inputs = tensor(rng, 9, 20)
    outputs = theirs(inputs)
    model, masks = plain(theirs)
    assert torch.equal(model(inputs), outputs)
    assert torch.equal(masks["0"], theirs[0].get_buffer("weight_mask").bool())
    assert masks["2"].all()
    assert list(masks) == ["0", "2"]
    assert set(model.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert isinstance(model[0].weight, nn.Parameter)
    assert hasattr(theirs[0], "weight_mask"), "the network that was given has changed"


def test_torch_prune_in_the_middle_of_training(rng):
    theirs = two_layers(rng)
    masked(masked(theirs[0], "weight", 0.5), "weight", 0.5)
    inputs, labels = classes(rng)
    nn.functional.cross_entropy(theirs(inputs), labels).backward()
    torch.optim.SGD(theirs.parameters(), 0.1).step()
    model, masks = plain(theirs)
    expected = theirs[0].get_parameter("weight_orig") * theirs[0].get_buffer("weight_mask")
    assert torch.equal(model[0].weight, expected)
    assert int(masks["0"].sum()) == 150


def test_a_mask_may_keep_a_zero(rng):
    theirs = two_layers(rng)
    theirs[2].weight.data[0] = 0
    torch_prune.custom_from_mask(theirs[2], "weight", torch.ones(5, 30))
    _, masks = plain(theirs)
    assert masks["2"].all()
    torch_prune.remove(theirs[2], "weight")
    assert not plain(theirs)[1]["2"][0].any()


def test_matrices_of_an_lstm(rng):
    lstm = nn.LSTM(6, 4)
    masked(lstm, "weight_hh_l0", 0.5)
    model, masks = plain(nn.ModuleDict({"cell": lstm}))
    assert int(masks["cell.weight_hh_l0"].sum()) == 32
    assert masks["cell.weight_ih_l0"].all()
    inputs = tensor(rng, 3, 6)
    assert torch.equal(model["cell"](inputs)[0], lstm(inputs)[0])


def test_a_network_of_a_sparsifier_becomes_plain(rng):
    theirs = two_layers(rng)
    sparsifier = WeightNormSparsifier(1.0, (1, 4), 2)
    sparsifier.prepare(theirs, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    inputs = tensor(rng, 9, 20)
    outputs = theirs(inputs)
    model, masks = plain(theirs)
    assert torch.equal(model(inputs), outputs)
    assert parametrize.is_parametrized(theirs[0])
    assert not parametrize.is_parametrized(model[0])
    assert torch.equal(masks["0"], parse("2:4").mask(model[0].weight.detach().abs()))
    sparsifier.squash_mask()
    assert torch.equal(zeros(theirs)["0"], masks["0"])


def test_refuses_a_weight_that_something_else_computes(rng):
    model = two_layers(rng)
    nn.utils.parametrizations.weight_norm(model[2])
    with pytest.raises(UserError, match="layer 2: its weight is computed by _WeightNorm"):
        plain(model)


@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_masks_of_the_labs(rng, kind):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), two_layers(rng))
    theirs = {n: (p.abs() > 0.5).to(kind) for n, p in model.named_parameters() if p.dim() > 1}
    masks = lab_masks(theirs, model)
    assert list(masks) == ["0", "2.0", "2.2"]
    masks.apply(model)
    for name, parameter in model.named_parameters():
        if name in theirs:
            assert torch.equal(parameter != 0, theirs[name].bool())


def test_refuses_masks_that_are_none(rng):
    model = two_layers(rng)
    with pytest.raises(UserError, match="'0.bias' is no layer's weight; .* 0.weight, 2.weight"):
        lab_masks({"0.bias": torch.ones(30)}, model)
    with pytest.raises(UserError, match=r"0.weight: the mask's shape is \(3,\), .* \(30, 20\)"):
        lab_masks({"0.weight": torch.ones(3)}, model)
    with pytest.raises(UserError, match="0.weight: the mask holds other values"):
        lab_masks({"0.weight": torch.full((30, 20), 0.5)}, model)


def lab_book(rng, shape, values):
    """A codebook with flat labels, no zero among the values."""
    centroids = tensor(rng, values)
    labels = torch.from_numpy(rng.integers(0, values, shape)).flatten()
    labels[:values] = torch.arange(values)
    return LabCodebook(centroids, labels)


@pytest.mark.parametrize(("values", "bits"), [(1, 1), (15, 4), (16, 5), (255, 8)])
def test_codebooks_of_the_labs_are_exact(rng, values, bits):
    model = two_layers(rng)
    book = lab_book(rng, (30, 20), values)
    ours = lab_codebooks({"0.weight": book}, model)
    assert len(ours["0"].centroids) == 2**bits
    assert ours["0"].centroids[0] == 0
    expected = book.centroids[book.labels].view_as(model[0].weight)
    assert torch.equal(ours["0"].expand(), expected)
    SharedWeights(ours).apply(model)
    assert torch.equal(model[0].weight, expected)


def test_a_mask_makes_zeros_whatever_the_label_says(rng):
    model = two_layers(rng)
    book = lab_book(rng, (5, 30), 8)
    mask = torch.from_numpy(rng.random((5, 30)) < 0.4)
    (ours,) = lab_codebooks({"2.weight": book}, model, Masks({"2": mask})).values()
    assert torch.equal(ours.expand(), book.centroids[book.labels].reshape(5, 30) * mask)
    assert torch.equal(ours.labels == 0, ~mask)


def test_the_value_nearest_to_zero_becomes_it(rng):
    model = two_layers(rng)
    book = lab_book(rng, (30, 20), 16)
    (ours,) = lab_codebooks({"0.weight": book}, model, bits=4, nearest_is_zero=True).values()
    nearest = min(range(16), key=lambda at: abs(float(book.centroids[at])))
    for weight, label in zip(ours.expand().flatten(), book.labels, strict=True):
        assert weight == (0 if label == nearest else book.centroids[label])
    assert float(book.centroids[nearest]) != 0, "the codebook that was given has changed"


def test_refuses_what_cannot_be_exact(rng):
    model = two_layers(rng)
    with pytest.raises(UserError, match="0.weight: .* 16 values besides zero, codes of 4 bits"):
        lab_codebooks({"0.weight": lab_book(rng, (30, 20), 16)}, model, bits=4)
    with pytest.raises(UserError, match="300 values besides zero, codes of 8 bits hold 255"):
        lab_codebooks({"0.weight": lab_book(rng, (30, 20), 300)}, model)
    with pytest.raises(UserError, match="codes of 9 bits were asked for, allowed is 1...8"):
        lab_codebooks({}, model, bits=9)


def test_refuses_codebooks_that_are_none(rng):
    model = two_layers(rng)
    good = lab_book(rng, (30, 20), 4)
    for wrong, message in [
        (LabCodebook(good.centroids, good.labels[1:]), "599 labels .* needs 600 integers"),
        (LabCodebook(good.centroids, good.labels.float()), "labels of torch.float32"),
        (LabCodebook(good.centroids[1:], good.labels), r"labels are 0\.\.\.3, there are 3"),
        (LabCodebook(good.centroids / 0, good.labels), "not NaN or infinite"),
        (good.centroids, "no codebook of centroids and labels"),
    ]:
        with pytest.raises(UserError, match=f"0.weight: .*{message}"):
            lab_codebooks({"0.weight": wrong}, model)  # type: ignore[dict-item]


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_patterns_hold_exactly_after_saving_and_loading(rng, tmp_path, suffix, kind):
    model = nn.Sequential(two_layers(rng), nn.BatchNorm1d(5)).to(kind)
    for name, text in (("0.0", "2:4"), ("0.2", "balanced:4")):
        weight = model.get_submodule(name).get_parameter("weight")
        weight.data *= parse(text).mask(weight.detach().float().abs(), 0.5)
    path = save(model, tmp_path / f"net{suffix}")
    other = nn.Sequential(two_layers(rng), nn.BatchNorm1d(5)).to(kind)
    load_into(other, path)
    for name, value in model.state_dict().items():
        loaded = other.state_dict()[name]
        assert loaded.numpy().tobytes() == value.numpy().tobytes()
    first = other[0][0].weight
    assert int((first.reshape(30, 5, 4) != 0).sum(2).max()) == 2
    second = [int((other[0][2].weight[pe::4] != 0).sum()) for pe in range(4)]
    assert second == [30, 15, 15, 15]


def test_tied_weights_are_saved(rng, tmp_path):
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    model[1].weight = model[0].weight
    state = load(save(model, tmp_path / "net.safetensors"))
    assert torch.equal(state["0.weight"], state["1.weight"])


def test_a_file_that_does_not_fit_changes_nothing(rng, tmp_path):
    model = two_layers(rng)
    before = copy.deepcopy(model.state_dict())
    state = {**model.state_dict(), "0.weight": torch.zeros(30, 20)}
    for wrong, message in [
        ({n: v for n, v in state.items() if n != "2.bias"}, "misses 2.bias"),
        ({**state, "4.bias": torch.zeros(3)}, "has, and the network has not, 4.bias"),
        ({**state, "2.bias": torch.zeros(3)}, r"2.bias has the shape \(3,\), in the network \(5,"),
    ]:
        path = save(wrong, tmp_path / "wrong.pt")
        with pytest.raises(UserError, match=message):
            load_into(model, path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_refuses_files_that_are_none(rng, tmp_path):
    with pytest.raises(UserError, match="net.onnx: the name must end in .pt, .pth, .safetensors"):
        save(two_layers(rng), tmp_path / "net.onnx")
    with pytest.raises(UserError, match="cannot write"):
        save(two_layers(rng), tmp_path / "nowhere" / "net.pt")
    with pytest.raises(UserError, match="cannot read"):
        load(tmp_path / "nothing.pt")
    for suffix in (".pt", ".safetensors"):
        path = save(two_layers(rng), tmp_path / f"net{suffix}")
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(UserError, match="truncated, or no file of weights"):
            load(path)
    torch.save(two_layers(rng), tmp_path / "module.pt")
    with pytest.raises(UserError, match="files that hold Python objects are not loaded"):
        load(tmp_path / "module.pt")
    torch.save({"state": {"a": torch.ones(1)}}, tmp_path / "nested.pt")
    with pytest.raises(UserError, match="something else than a state dict"):
        load(tmp_path / "nested.pt")


def test_a_failed_write_leaves_the_old_file(rng, tmp_path, monkeypatch):
    path = save({"a": torch.ones(1)}, tmp_path / "net.pt")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(UserError, match="cannot write .*No space left"):
        save({"a": torch.zeros(1)}, path)
    assert load(path)["a"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["net.pt"]
