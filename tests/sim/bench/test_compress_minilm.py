"""The transformer pruned without training: parts on small networks, and the long run's figures."""

import json

import numpy as np
import pytest
import torch

from sim.bench import compress_minilm as bench
from sim.bench import lee
from sim.bench.bert import BertSizes, SentenceBert
from sim.bench.minilm import load_minilm
from sim.bench.reorder import reordered
from sw.compress.criteria.base import Context
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.criteria.regression import Regression
from sw.compress.layers import weights
from sw.compress.permutation import kept
from tests.tiers import ROOT

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def document() -> dict:
    """The result file."""
    return json.loads((ROOT / "results" / "compress_minilm.json").read_text())


def small(seed: int) -> SentenceBert:
    """A random encoder."""
    torch.manual_seed(seed)
    sizes = BertSizes(
        vocab_size=20,
        max_position_embeddings=8,
        type_vocab_size=1,
        hidden_size=16,
        num_attention_heads=2,
        intermediate_size=24,
        num_hidden_layers=2,
        layer_norm_eps=1e-6,
    )
    network = SentenceBert(sizes).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter) * 0.3
    return network


def test_rated_documents_are_not_in_the_background():
    rated, others = lee.documents(), lee.background()
    assert (len(rated), len(others)) == (50, 300)
    assert not set(rated) & set(others)
    assert not any(one[:60] in other for one in rated for other in others)
    assert lee.ratings().shape == (50 * 49 // 2,)
    assert 0 < lee.ratings().min() < 0.3 < 0.8 < lee.ratings().max() <= 1


def test_draws_differ_and_repeat():
    first, again, other = (bench.draw(seed, 5) for seed in (0, 0, 1))
    assert all(torch.equal(*pair) for pair in zip(first[0], again[0], strict=True))
    assert sum(len(ids) for ids, _ in first) == 5
    rows = [{tuple(row.tolist()) for ids, _ in draw for row in ids} for draw in (first, other)]
    assert rows[0] != rows[1]
    assert all(mask.all() for _, mask in first)


def test_reordered_network_embeds_the_same_and_keeps_more(seed: int):
    network = small(seed)
    scores = {name: weight.square() for name, weight in weights(network).items()}
    order, other = reordered(network, scores, 2, 4, seed=seed)
    assert sorted(order.tolist()) == list(range(16)) != order.tolist()
    ids = torch.randint(20, (3, 6))
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [True] * 6])
    assert torch.allclose(other(ids, mask), network(ids, mask)[:, order], atol=1e-5)
    moved = {name: weight.square() for name, weight in weights(other).items()}
    for name in ("output.dense", "attention.output.dense"):
        for number in range(2):
            layer = f"encoder.layer.{number}.{name}"
            assert kept(moved[layer], 2, 4) > kept(scores[layer], 2, 4)


def test_regression_is_never_worse_than_magnitude_on_real_layers():
    network, samples = load_minilm(), bench.draw(0, 8)
    names = [f"encoder.layer.{at}.attention.{one}" for at, one in ((0, "self.key"),)]
    names.append("encoder.layer.5.attention.output.dense")
    given = Context(network, weights(network, names), [(one, one[0]) for one in samples])  # type: ignore[misc]
    kinds = dict.fromkeys(names, bench.PATTERN)
    found = [one.solve(given, kinds, None) for one in (Regression(), Magnitude())]
    seen: dict[str, list] = {name: [] for name in names}
    for name in names:
        network.get_submodule(name).register_forward_pre_hook(
            lambda _, arguments, name=name: seen[name].append(arguments[0].flatten(0, 1))
        )
    for one in samples:
        network(*one)
    for name in names:
        data, weight = torch.cat(seen[name]).double(), given.weights[name].double()
        assert data.shape == (sum(ids.numel() for ids, _ in samples), 384)
        solved, plain = (
            float((data @ (one[name][1].double() - weight).T).square().sum()) for one in found
        )
        assert solved < 0.5 * plain
        assert (found[0][name][1].view(-1, 4) != 0).sum(1).tolist() == [2] * (384 * 96)


def test_summary_is_of_the_draws():
    runs = [{"pearson": one, "cosine": {"mean": 0.9}} for one in (0.61, 0.63, 0.62)]
    found = bench.summary(runs, best=0.66, worst=0.58)
    assert found["pearson"]["mean"] == pytest.approx(0.62)
    assert found["pearson"]["spread"] == pytest.approx(0.01)
    assert found["share_of_loss"] == pytest.approx(0.5)


def test_pearson_is_that_of_cosines():
    rng = np.random.default_rng(1)
    points = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(50, 7))), dim=1)
    cosines = [float(points[i] @ points[j]) for i in range(50) for j in range(i + 1, 50)]
    assert bench.pearson(points) == pytest.approx(np.corrcoef(cosines, lee.ratings())[0, 1])


def test_targets_are_met(document: dict):
    """Regression loses at most half of what magnitude loses, permuted at most a third."""
    assert len(document["draws"]) >= 3
    assert document["layers"] == 36
    assert document["dense"] == pytest.approx(0.656, abs=0.001)
    assert document["magnitude"]["pearson"] == pytest.approx(0.575, abs=0.001)
    most = dict(zip((bench.REGRESSION, bench.PERMUTED), (1 / 2, 1 / 3), strict=True))
    for one in document["methods"]:
        runs = [draw[one["method"]] for draw in document["draws"]]
        assert one == {"method": one["method"]} | bench.summary(
            runs, document["dense"], document["magnitude"]["pearson"]
        )
        assert one["share_of_loss"] <= most[one["method"]]
        assert one["method"] in bench.table(document)
