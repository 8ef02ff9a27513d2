"""The transformer's benchmark: short runs of its parts, and the figures of the long one."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from sim.bench import nm_page, pages, real_nm, transformer_page
from sim.bench.bert import BertSizes, SentenceBert
from sim.bench.layer_runs import Recorder, account, check_equal
from sim.bench.minilm import batches, load_minilm, tokenize
from sim.bench.sentences import CALIBRATION, HELD_OUT
from sim.devices import open_device
from spec.errors import Failure
from spec.nm.config import Mode, NmConfig, preset
from spec.nm.cycles import RunCounts
from spec.nm.program import Program
from sw.compile.nm.linears import compile_linears
from sw.compile.nm.observe import layers_of
from sw.host.nm.golden import GoldenDevice
from tests.tiers import ROOT

TWO = ["A short one.", "This one is a bit longer, but not much."]


@pytest.fixture(scope="module")
def sparse() -> SentenceBert:
    """The published network, pruned."""
    return real_nm.prune(load_minilm(), real_nm.PATTERN)


@pytest.fixture(scope="module")
def document() -> dict:
    """The result file."""
    return json.loads((ROOT / "results" / "nm_real.json").read_text())


def small(seed: int) -> tuple[SentenceBert, NmConfig, list, Tensor, Tensor]:
    """A random encoder, an array, samples and two sentences."""
    torch.manual_seed(seed)
    sizes = BertSizes(
        vocab_size=20,
        max_position_embeddings=8,
        type_vocab_size=1,
        hidden_size=8,
        num_attention_heads=2,
        intermediate_size=12,
        num_hidden_layers=1,
        layer_norm_eps=1e-6,
    )
    network = SentenceBert(sizes).eval().requires_grad_(False)
    ids = torch.randint(20, (2, 4))
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    samples = [(torch.randint(20, (3, 5)), torch.ones(3, 5).bool())]
    return real_nm.prune(network, Mode(2, 4)), preset("tiny", act_lines=64), samples, ids, mask


@pytest.mark.unit
def test_integers_are_near_to_the_floats(sparse: SentenceBert):
    config, (ids, mask) = preset("default"), tokenize(TWO)
    names = [
        name
        for name in layers_of(sparse)
        if name.startswith(("encoder.layer.0", "encoder.layer.5"))
    ]
    samples = batches(CALIBRATION[:12])
    program = compile_linears(sparse, samples, config, pattern="2:4", names=names)
    recorder = Recorder(open_device("golden", config), program)
    found = real_nm.embed(sparse, recorder, ids, mask)
    assert real_nm.cosine(found, sparse(ids, mask))["min"] > 0.99
    assert [call.number for call in recorder.calls] == list(range(12))
    assert {call.tokens for call in recorder.calls} == {ids.numel()}
    told = account(recorder, real_nm.kind)
    assert [one["kind"] for one in told["kinds"]] == [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ]
    for name in ("cycles", "busy", "tail", "weights", "bytes"):
        assert told[name] == sum(one[name] for one in told["kinds"])
    assert told["cycles"] == sum(call.counts.of("cycles") for call in recorder.calls)
    assert told["weights"] == 2 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert told["bytes_of_weights"] == told["weights"] * 5 // 8
    macs = told["weights"] // 2 * ids.numel()
    assert told["utilization"] == pytest.approx(macs / told["cycles"] / config.slots)


@pytest.mark.unit
def test_two_of_four_weights_are_left(sparse: SentenceBert):
    dense = load_minilm()
    name = "encoder.layer.3.output.dense.weight"
    weight, pruned = (one.state_dict()[name] for one in (dense, sparse))
    groups, left = weight.view(-1, 4).abs(), pruned.view(-1, 4)
    assert ((left != 0).sum(1) == 2).all()
    assert torch.equal(pruned[pruned != 0], weight[pruned != 0])
    kept = torch.where(left != 0, groups, np.inf).amin(1)
    dropped = torch.where(left == 0, groups, 0).amax(1)
    assert (kept >= dropped).all()


@pytest.mark.unit
def test_batches_hold_no_filler():
    sentences = [*HELD_OUT[:9], "No.", "Yes."]
    found = batches(sentences)
    assert all(mask.all() and mask.shape == ids.shape for ids, mask in found)
    lengths = [ids.shape[1] for ids, _ in found]
    assert len(set(lengths)) == len(lengths) > 2
    rows = sorted(row.tolist() for ids, _ in found for row in ids)
    assert rows == sorted(tokenize([one])[0][0].tolist() for one in sentences)


@pytest.mark.unit
def test_partners_are_counted():
    angles = torch.tensor([0.0, 0.1, 2.0, 2.1, 4.0, 5.0, 5.1, 3.9])
    points = torch.stack([angles.cos(), angles.sin()], 1)
    assert real_nm.partners(points[:4]) == 4
    assert real_nm.partners(points) == 4
    assert real_nm.cosine(points[:2], points[[0, 0]]) == {
        "mean": pytest.approx((1 + np.cos(0.1)) / 2),
        "min": pytest.approx(np.cos(0.1)),
    }


@pytest.mark.flow
def test_encoder_layer_in_pysim(seed: int):
    network, config, samples, ids, mask = small(seed)
    found = real_nm.simulate(network, samples, config, ids, mask, "pysim")
    assert found["device"] == "pysim"
    assert [one["layers"] for one in found["kinds"]] == [1] * 6
    assert found["cycles"] == sum(one["cycles"] for one in found["kinds"]) > 0


@pytest.mark.verilator
def test_published_encoder_layer_in_verilator(sparse: SentenceBert):
    ids, mask = tokenize(TWO)
    samples = batches(CALIBRATION[:12])
    found = real_nm.simulate(sparse, samples, preset("default"), ids, mask)
    assert found["equal"]
    assert found["weights"] == 4 * 384 * 384 + 2 * 384 * 1536


@pytest.mark.unit
def test_wrong_simulator_is_told(seed: int, monkeypatch: pytest.MonkeyPatch):
    class Wrong(GoldenDevice):
        def _run_layer(self, image: Program, number: int, acts: np.ndarray):
            outputs, counts = super()._run_layer(image, number, acts)
            return outputs + (number == 2), counts

    devices = {"golden": GoldenDevice, "wrong": Wrong}
    monkeypatch.setattr(real_nm, "open_device", lambda name, config: devices[name](config))
    network, config, samples, ids, mask = small(seed)
    with pytest.raises(Failure, match=r"layer encoder\.layer\.0\.attention\.self\.value: image 0"):
        real_nm.simulate(network, samples, config, ids, mask, "wrong")


@pytest.mark.unit
def test_differences_are_told(seed: int):
    network, config, samples, ids, mask = small(seed)
    program = compile_linears(network, samples, config)
    one, other = (Recorder(open_device("golden", config), program) for _ in range(2))
    for recorder in (one, other):
        real_nm.embed(network, recorder, ids, mask)
    check_equal(one, other)
    call = other.calls[4]
    outputs = call.outputs.copy()
    outputs[5, 3] += 1
    name = r"layer encoder\.layer\.0\.intermediate\.dense: "
    for changed, told in (
        (call._replace(outputs=outputs), name + "image 5, output 3: golden"),
        (call._replace(counts=_late(call.counts)), name + "run 0, cycles: golden"),
        (call._replace(number=3), "ran different layers"),
    ):
        other.calls[4] = changed
        with pytest.raises(Failure, match=told):
            check_equal(one, other)
    other.calls[4:] = []
    with pytest.raises(Failure, match="ran different layers"):
        check_equal(one, other)


def _late(counts: RunCounts) -> RunCounts:
    return RunCounts((counts.values[0] + 1, *counts.values[1:]))


@pytest.mark.unit
def test_targets_are_met(document: dict):
    """Those that the project set itself for this network and this array."""
    found = {one["network"]: one["cosine"] for one in document["embeddings"]}
    assert found["int8 2:4"]["float 2:4"]["mean"] >= 0.99
    assert document["costs"]["2:4"]["cycles"] <= 0.505 * document["costs"]["dense"]["cycles"]
    assert document["costs"]["2:4"]["utilization"] >= 0.97
    weights = document["costs"]["2:4"]["weights"]
    assert document["costs"]["2:4"]["bytes_of_weights"] == 0.625 * weights
    assert document["sentences"] == len(HELD_OUT)
    simulated = document["encoder_layer"]
    assert simulated["equal"]
    assert simulated["tokens"] == document["tokens"]
    # Cycles depend on sizes only: one of six equal layers.
    assert simulated["cycles"] * 6 == document["costs"]["2:4"]["cycles"]


@pytest.mark.unit
def test_figures_of_the_scales_are_those_of_the_compiler(document: dict):
    found = {one["network"]: one["cosine"] for one in document["embeddings"]}
    best = document["scales"][-1]
    assert found["int8 2:4"]["float 2:4"] == {"mean": best["mean"], "min": best["min"]}
    assert best["mean"] > max(one["mean"] for one in document["scales"][:-1])


@pytest.mark.unit
def test_table_tells_them(document: dict):
    text = real_nm.table(document)
    for words in ("int8 2:4", "intermediate.dense", "encoder layer 0 in verilator", "row"):
        assert words in text


@pytest.mark.unit
def test_the_page_is_made_from_the_results(document: dict):
    page = (ROOT / "docs" / pages.TRANSFORMER).read_text()
    assert nm_page.put(page, transformer_page.measured(document)) == page
