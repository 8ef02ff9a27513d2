"""Layers of real pretrained networks, pruned by magnitude, with inputs that the networks see.

Weights, photographs and the recording come inside packages that ``make venv`` installs; nothing is
downloaded at run time. Pruned weights stay real numbers: the compiler shares them.

Nothing is trained again after pruning, so the networks lose accuracy: the classifier takes the
palace in the first photograph for what came second before, a bell cote, and still sees the daisy in
the other; of the LSTM's outputs little is left (the cosine to the published network's is 0.3).
What the benchmark takes from these layers is where the large weights and the zeros stand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sim.bench import sound
from sim.tools import require
from sw.compress.prune import kept_count, largest, zero

CLASSIFIER_KEPT = 0.25
LSTM_KEPT = 0.10

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
PIXELS = 224
CROP = 224 / 256  # of the shorter side
MEAN, DEVIATION = 127.0, 128.0  # of all colours: EfficientNet-Lite's own, not ImageNet's

# Here one person speaks without a pause, according to the transcript beside the recording.
SPEECH_START = 22.0
FRAMES = 160  # what the network was trained on, 1.6 s


@dataclass(frozen=True, eq=False)
class RealLayer:
    """A pruned layer and what it is given.

    Parameters
    ----------
    name : str
        Of the network.
    module : nn.Linear or nn.LSTM
        In eval mode, without gradients; what is pruned is zero.
    acts : float32, shape (images, inputs) or (1, frames, inputs)
        What the module takes.
    source : str
        One sentence for reports: where both come from.
    """

    name: str
    module: nn.Module
    acts: np.ndarray
    source: str

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The module's matrices by name; biases are not pruned."""
        return matrices(self.module)

    @property
    def kept(self) -> float:
        """Share of the weights that are not zero."""
        counts = [(int(w.count_nonzero()), w.numel()) for w in self.weights.values()]
        return sum(kept for kept, _ in counts) / sum(total for _, total in counts)

    @property
    def density(self) -> float:
        """Share of the activations that are not zero."""
        return np.count_nonzero(self.acts) / self.acts.size


def classifier() -> RealLayer:
    """EfficientNet-Lite0's last layer (1280 to 1000) on two photographs."""
    network = load_efficientnet()
    with torch.no_grad():
        acts = network.extract_features(photographs()).mean((2, 3)).numpy()
    return RealLayer(
        "EfficientNet-Lite0",
        prune(network._fc, CLASSIFIER_KEPT),
        acts,
        "The classifier of EfficientNet-Lite0 (ImageNet) on what its own convolutions make of "
        f"scikit-learn's photographs {' and '.join(PHOTOGRAPHS)}; {CLASSIFIER_KEPT:.0%} of the "
        "weights kept by magnitude, not retrained.",
    )


def speaker_lstm() -> RealLayer:
    """Resemblyzer's three-layer LSTM (40 to 256) on 1.6 s of a conversation."""
    return RealLayer(
        "Resemblyzer",
        prune(load_lstm(), LSTM_KEPT),
        speech()[None],
        "The LSTM of Resemblyzer's speaker encoder on the mel spectrogram of 1.6 s of the "
        f"conversation that pyannote.audio carries; {LSTM_KEPT:.0%} of the weights of each matrix "
        "kept by magnitude, not retrained.",
    )


REAL: dict[str, Callable[[], RealLayer]] = {
    "EfficientNet-Lite0": classifier,
    "Resemblyzer": speaker_lstm,
}


def prune(module: nn.Module, density: float) -> nn.Module:
    """Keep the largest magnitudes of each matrix by itself; in place."""
    zero(
        [
            (w, largest(w.abs(), kept_count(w.numel(), density, name)).to(w.dtype))
            for name, w in matrices(module).items()
        ]
    )
    return module


def matrices(module: nn.Module) -> dict[str, nn.Parameter]:
    """Weights by name. Found by their shape, as those of an LSTM are no layers of their own."""
    return {name: w for name, w in module.named_parameters() if w.ndim == 2}


def load_efficientnet() -> Any:
    """EfficientNet-Lite0 as published, in eval mode.

    Returns
    -------
    nn.Module
        With ``extract_features``, which ends in ReLU6, and the classifier ``_fc``; the mean over
        the picture stands between them.
    """
    require("efficientnet")
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    folder = Path(require("lite0-weights").path)
    network.load_state_dict(_load(folder / "models" / "efficientnet-lite0-57934424.pth"))
    return network.eval().requires_grad_(False)


def load_lstm() -> nn.LSTM:
    """Resemblyzer's LSTM as published: input of shape (batch, frames, 40), in eval mode."""
    state = _load(Path(require("resemblyzer").path) / "pretrained.pt")["model_state"]
    lstm = nn.LSTM(sound.CHANNELS, 256, num_layers=3, batch_first=True)
    lstm.load_state_dict({name: state[f"lstm.{name}"] for name in lstm.state_dict()})
    return lstm.eval().requires_grad_(False)


def _load(file: Path) -> dict[str, Any]:
    return torch.load(file, map_location="cpu", weights_only=True)


def photographs() -> Tensor:
    """Both photographs as EfficientNet-Lite0 sees them. float32, shape (2, 3, 224, 224)."""
    require("pillow")
    from PIL import Image

    folder = Path(require("scikit-learn").path) / "datasets" / "images"
    pictures = []
    for name in PHOTOGRAPHS:
        with Image.open(folder / name) as photograph:
            # Cut the middle out and scale it in one step.
            width, height = photograph.size
            half = min(width, height) * CROP / 2
            box = (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
            scaled = photograph.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC, box)
            pictures.append((np.asarray(scaled, np.float32) - MEAN) / DEVIATION)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def speech(start: float = SPEECH_START) -> np.ndarray:
    """The mel spectrogram of 1.6 s of the recording. float32, shape (160, 40).

    Resemblyzer would also drop long silences; here none are, as long as the default is kept.
    """
    file = Path(require("pyannote.audio").path) / "sample" / "sample.wav"
    samples = sound.read(file, start, FRAMES * sound.STEP / sound.RATE)
    return sound.mel_spectrogram(sound.normalize(samples))[:FRAMES]
