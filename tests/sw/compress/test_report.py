import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import preset as nm_preset
from sw.compress import stored
from sw.compress.forms import eie_form, nm_form
from sw.compress.patterns import nm_mask
from sw.compress.prune import magnitude
from sw.compress.report import report
from sw.compress.report_table import align
from sw.compress.share import SharedWeights, kmeans, share
from sw.compress.stages import STAGES, stages
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit

TINY = {"eie": "tiny", "nm": "tiny"}


def compressed(rng, density: float = 0.1, bits: int = 3) -> tuple[nn.Sequential, dict]:
    model = two_layers(rng)
    magnitude(model, density).apply(model)
    books = share(model, bits)
    SharedWeights(books).apply(model)
    return model, books


def entries(weight: torch.Tensor, run_bits: int) -> list[tuple[int, float]]:
    """Runs and values, column by column, as a loop: zeros are counted, and padded when too many."""
    found, run = [], 0
    for value in weight.T.flatten().tolist():
        if value or run == 2**run_bits - 1:
            found.append((run, value))
            run = 0
        else:
            run += 1
    while found and not found[-1][1]:
        found.pop()  # nothing comes behind the last weight
    return found


def huffman_bits(symbols: list) -> int:
    """Code bits by the sum of all merged counts, and the table: 12 bits, and a length for each."""
    counts = sorted(symbols.count(one) for one in set(symbols))
    total, deepest = 0, [(count, 0) for count in counts]
    while len(deepest) > 1:
        (a, i), (b, j), *rest = sorted(deepest)
        total += a + b
        deepest = [*rest, (a + b, 1 + max(i, j))]
    longest = max(deepest[0][1], 1) if deepest else 0
    return total + 12 + (max(symbols) + 1 if symbols else 0) * longest.bit_length()


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5])
def test_stages_count_what_a_loop_counts(rng, density):
    weight = tensor(rng, 30, 40)
    weight[torch.from_numpy(rng.random((30, 40)) > density)] = 0
    book = kmeans(weight, 3)
    weight = book.expand()
    values = sorted(set(weight[weight != 0].tolist()))
    kept, book_bits = int((weight != 0).sum()), 32 * len(values)
    found = stages("fc", weight, book)
    sizes = {bits: len(entries(weight, bits)) for bits in range(1, 9)}
    assert found.bits["dense"] == 32 * 1200
    assert found.bits["pruned"] == 32 * kept
    assert found.bits["shared"] == 3 * kept + book_bits
    assert found.bits["indexed"] == min((3 + b) * n for b, n in sizes.items()) + book_bits
    assert found.pads == sizes[found.run_bits] - kept
    coded = {}
    for bits in sizes:
        own = entries(weight, bits)
        codes = [values.index(value) + 1 if value else 0 for _, value in own]
        coded[bits] = huffman_bits([run for run, _ in own]) + huffman_bits(codes) + book_bits
    assert found.bits["huffman"] == min(coded.values()) == coded[found.huffman_run_bits]
    assert found.huffman_pads == sizes[found.huffman_run_bits] - kept
    assert found.bits["stored"] == 8 * len(stored.Part.of(weight).data)
    assert list(found.bits) == list(STAGES)


def test_weights_that_are_not_shared_stay_at_32_bits(rng):
    weight = tensor(rng, 40, 40)
    weight[:, ::2] = 0
    found = stages("fc", weight)
    assert found.values is None
    assert "shared" not in found.bits
    assert found.bits["indexed"] == min((32 + b) * len(entries(weight, b)) for b in range(1, 9))
    own = entries(weight, found.huffman_run_bits)
    assert found.bits["huffman"] == huffman_bits([run for run, _ in own]) + 32 * len(own)
    assert stages("few", tensor(rng, 4, 5)).values is None  # codes and values would take more


def test_totals_are_those_of_the_file(rng, tmp_path):
    model, books = compressed(rng)
    before = copy.deepcopy(model.state_dict())
    found = report(model, books, **TINY)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert found.bytes("stored") == stored.write(model, tmp_path / "net.skw")
    assert (found.weights, found.others, found.parameters) == (750, 35, 785)
    assert found.nonzeros == 75
    assert found.bytes("dense") == 4 * 785
    bits = sum(layer.stages.bits["huffman"] for layer in found.layers)
    assert found.ratio("huffman") == 4 * 785 / (bits / 8 + 4 * 35)
    document = json.loads(json.dumps(found.to_json()))
    assert list(document["bytes"]) == list(STAGES)
    assert document["layers"][0]["bits_per_weight"]["pruned"] == 32 * 60 / 600
    assert document["prediction"] is None


def test_forms_are_those_of_the_engines(rng):
    model, _ = compressed(rng)
    form = eie_form(model[0].weight, eie_preset("tiny", run_bits_most=4))
    rows = [model[0].weight[pe::4] for pe in range(4)]
    per_pe = [sum(len(entries(own[:, [column]], 4)) for column in range(20)) for own in rows]
    assert form.entries == sum(per_pe)
    assert form.pads == form.entries - 60
    assert form.imbalance == pytest.approx(max(per_pe) / np.mean(per_pe))
    assert form.entry_bits == 8 * form.entries
    assert form.pointer_bits == 4 * 21 * eie_preset("tiny").pointer_bits


def test_patterns_that_zeros_follow(rng):
    config = nm_preset("tiny")
    weight = tensor(rng, 8, 22)  # a last group of two
    assert nm_form(weight, config).pattern == "1:1"
    assert (nm_form(weight, config).broken, nm_form(weight, config).groups) == (40, 48)
    half = torch.cat([weight[:, :20] * nm_mask(weight[:, :20], 2, 4), weight[:, 20:]], dim=1)
    form = nm_form(half, config)
    assert (form.pattern, form.broken, form.zeros) == ("2:4", 0, 0)
    assert form.bits == 8 * 6 * 2 * (8 + 2)
    quarter = weight * 0
    quarter[:, ::4] = 1
    assert nm_form(quarter, config).pattern == "1:4"
    kernels = tensor(rng, 4, 8, 3, 3)
    along = (kernels.movedim(1, -1).flatten(1)).clone()
    along *= nm_mask(along, 2, 4)
    channels = along.reshape(4, 3, 3, 8).movedim(-1, 1)
    assert (nm_form(channels, config).pattern, nm_form(channels, config).channels_last) == (
        "2:4",
        True,
    )


def one_weight(layer: nn.Linear) -> None:
    layer.weight.data.view(-1)[:-1] = 0


REASONS = {
    "nothing is pruned": lambda model: None,
    "all of its weights are zero": lambda model: model[2].weight.data.zero_(),
    "are not shared": lambda model: magnitude(model, 0.9).apply(model),
    "values besides zero, an EIE array's codebooks hold 15": lambda model: SharedWeights(
        share(model, 5)
    ).apply(model),
    "bits for each, ": lambda model: magnitude(model, 0.1).apply(model),
    "entries are pads, which only bridge": lambda model: one_weight(model[0]),
    "than dense int8": lambda model: magnitude(model, 0.5).apply(model),
    "times the mean work": lambda model: model[0].weight.data[1::4].zero_(),
    "more weights than 2:4 allows": lambda model: magnitude(model, 0.5).apply(model),
    "that an N:M array keeps are": lambda model: model[2].weight.data[:, 1:].zero_(),
    "biases and other parameters": lambda model: magnitude(model, 0.1).apply(model),
    "torch writes zeros": lambda model: magnitude(model, 0.1).apply(model),
}


@pytest.mark.parametrize("reason", REASONS)
def test_every_cause_has_its_sentence(rng, reason):
    model = two_layers(rng)
    REASONS[reason](model)
    found = report(model, **TINY)
    assert any(reason in sentence for sentence in found.reasons)
    others = [other for other in REASONS if other != reason]
    assert not all(any(other in one for one in found.reasons) for other in others)
    assert reason in " ".join(found.table().split())


def test_long_columns_need_pads_on_eie(rng):
    model = nn.Linear(20, 300)
    model.weight.data[:-1] = 0
    reasons = report(model, **TINY).reasons
    assert ": 20 of its 40 entries on an EIE array are pads" in reasons


def test_small_layers_and_convolutions_have_theirs(rng):
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(32, 3))
    magnitude(model, 0.3).apply(model)
    found = report(model, eie="default", nm="default")
    assert found.layers[0].eie is None
    text = " ".join(found.table().split())
    assert "0: an EIE array does not take convolutions" in text
    assert "2: it has 3 outputs for 64 PEs, so some of these have no work" in text
    json.dumps(found.to_json())


def test_table(rng):
    model, books = compressed(rng)
    lines = report(model, books, **TINY).table().splitlines()
    assert lines[1].split() == ["layer", "weights", "kept", "values", *STAGES]
    assert lines[2].split()[:5] == ["0", "600", "10.00%", lines[2].split()[3], "32.00"]
    assert lines[5].startswith("smaller by")
    assert lines[5].split()[2] == "1.0x"
    assert max(map(len, lines)) <= 100
    assert align([["a", "b"], ["cc", "dd"]]) == ["a    b", "cc  dd"]


def test_bad_input(rng):
    model, books = compressed(rng)
    with pytest.raises(UserError, match="a codebook is given for 'x'; there are 0, 2"):
        report(model, {"x": books["0"]}, **TINY)
    with pytest.raises(UserError, match=r"layer 0: the labels have shape \(5, 30\), the weight"):
        report(model, {"0": books["2"]}, **TINY)
    with pytest.raises(UserError, match="layer 0: 60 of 600 weights are not what its codebook"):
        report(model, {"0": books["0"]._replace(centroids=books["0"].centroids * 2)}, **TINY)
    with pytest.raises(UserError, match="preset 'x' does not exist"):
        report(model, eie="x")
    with pytest.raises(UserError, match="no Linear"):
        report(nn.ReLU())
