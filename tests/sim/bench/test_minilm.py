"""The published sentence transformer, from its package, says what it is known to say."""

import pytest
import torch

from sim import tools
from sim.bench.bert import SentenceBert
from sim.bench.minilm import load_minilm, tokenize
from sim.bench.sentences import CALIBRATION, HELD_OUT, PAIRS
from spec.errors import UserError

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def network() -> SentenceBert:
    return load_minilm()


def test_network_gives_published_similarities(network: SentenceBert):
    """Those that people who use the network with its authors' own library print."""
    sentences = ["That is a happy person", "That is a very happy person"]
    sentences += ["That is a happy dog", "Today is a sunny day"]
    found = network(*tokenize(sentences))
    similar = (found[0] @ found[1:].T).tolist()
    assert similar == pytest.approx([0.94291496, 0.69457746, 0.25687605], abs=1e-5)


def test_network_has_the_sizes_of_its_paper(network: SentenceBert):
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    linears = {
        name: tuple(part.weight.shape)
        for name, part in network.named_modules()
        if isinstance(part, torch.nn.Linear)
    }
    assert len(linears) == 36
    assert set(linears.values()) == {(384, 384), (1536, 384), (384, 1536)}


def test_words_become_the_vocabularys_numbers():
    ids, mask = tokenize(["Hello, unaffable WORLD!", "x"])
    # [CLS] hello , una ##ffa ##ble world ! [SEP]
    assert ids[0].tolist() == [101, 7592, 1010, 14477, 20961, 3468, 2088, 999, 102]
    assert ids[1].tolist() == [101, 1060, 102, 0, 0, 0, 0, 0, 0]
    assert mask.dtype == torch.bool
    assert mask.sum(1).tolist() == [9, 3]


def test_sentences_are_many_and_differ():
    assert len(CALIBRATION) == len(HELD_OUT) == len(PAIRS) >= 32
    assert len({*CALIBRATION, *HELD_OUT}) == 2 * len(PAIRS)


def test_partners_are_nearest_to_each_other(network: SentenceBert):
    found = network(*tokenize(HELD_OUT))
    similar = found @ found.T
    similar.fill_diagonal_(-1)
    assert similar.argmax(1).tolist() == [index ^ 1 for index in range(len(HELD_OUT))]


@pytest.mark.parametrize("lacked", ["minilm", "tokenizers"])
def test_missing_package_is_told(lacked: str, monkeypatch: pytest.MonkeyPatch):
    there = tools.find
    monkeypatch.setattr(tools, "find", lambda tool: None if tool.name == lacked else there(tool))
    use = {"minilm": load_minilm, "tokenizers": lambda: tokenize(["x"])}[lacked]
    with pytest.raises(UserError, match=f"{lacked} is not installed; it .* requirements-nodeps"):
        use()
