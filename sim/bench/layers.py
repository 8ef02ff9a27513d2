"""The layers of the EIE benchmark: the paper's nine, drawn from a seed.

Sizes and densities are those of Han et al., ISCA 2016, Table III. Two sets: ``random``, all rows
and columns alike, and ``uneven``, where the densities of rows and columns are log-normal with sigma
0.6 around the same mean, as in real networks.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import UserError
from sw.compile.eie.quantize import IntegerLayer

SEED = 1
SIGMA = 0.6
SETS = ("random", "uneven")
CODES = 16


@dataclass(frozen=True)
class PaperLayer:
    """A row of the paper's tables: densities of weights and activations, and its time in us."""

    inputs: int
    outputs: int
    weights: float
    acts: float
    published_us: float


LAYERS = {
    "Alex-6": PaperLayer(9216, 4096, 0.09, 0.351, 30.3),
    "Alex-7": PaperLayer(4096, 4096, 0.09, 0.353, 12.2),
    "Alex-8": PaperLayer(4096, 1000, 0.25, 0.375, 9.9),
    "VGG-6": PaperLayer(25088, 4096, 0.04, 0.183, 34.4),
    "VGG-7": PaperLayer(4096, 4096, 0.04, 0.375, 8.7),
    "VGG-8": PaperLayer(4096, 1000, 0.23, 0.411, 8.4),
    "NT-We": PaperLayer(4096, 600, 0.10, 1.0, 8.0),
    "NT-Wd": PaperLayer(600, 8791, 0.11, 1.0, 13.9),
    "NT-LSTM": PaperLayer(1201, 2400, 0.10, 1.0, 7.5),
}


@dataclass(frozen=True)
class Drawn:
    """A layer with its weights and inputs.

    Attributes
    ----------
    codes : uint8, shape (outputs, inputs)
    acts : int64, shape (images, inputs)
        What is measured.
    calibration : bool, shape (samples, inputs)
        Other activations of the same density, for the compiler to divide the work by.
    """

    name: str
    codes: np.ndarray
    acts: np.ndarray
    calibration: np.ndarray

    @property
    def weights(self) -> int:
        return int(np.count_nonzero(self.codes))

    @property
    def macs(self) -> int:
        """Pairs of a non-zero weight and a non-zero activation, of all images."""
        in_column = np.count_nonzero(self.codes, axis=0)
        return int((self.acts != 0).astype(np.int64).dot(in_column).sum())

    def integer_layer(self, config: EieConfig) -> IntegerLayer:
        """The layer as the compiler takes it; its numbers do not matter for cycles."""
        return IntegerLayer(
            name=self.name,
            codes=self.codes,
            codebook=np.arange(config.codes, dtype=np.int64),
            bias=np.zeros(len(self.codes), np.int64),
            multiplier=1,
            shift=8,
            relu=True,
            input_scale=1.0,
            weight_scale=1.0,
            output_scale=1.0,
            weight_bits=config.weight_bits,
            sums=(0, 0),
            vanished=0,
        )


def check_names(names: Iterable[str]) -> None:
    """Refuse layers that are not the paper's."""
    for name in names:
        if name not in LAYERS:
            raise UserError(f"there is no layer {name!r}; there are {', '.join(LAYERS)}")


def draw(kind: str, name: str, images: int = 1) -> Drawn:
    """Draw a layer of a set; each has random numbers of its own, so a selection draws the same."""
    rng = np.random.default_rng([SEED, SETS.index(kind), list(LAYERS).index(name)])
    return draw_layer(name, LAYERS[name], rng, uneven=kind == "uneven", images=images)


def draw_layer(
    name: str, layer: PaperLayer, rng: np.random.Generator, *, uneven: bool, images: int = 1
) -> Drawn:
    """Draw a layer of any size and densities."""
    codes = _draw_codes(rng, layer, uneven=uneven)
    shape = (images, layer.inputs)
    acts = rng.integers(1, 1 << 12, shape) * (rng.random(shape) < layer.acts)
    calibration = rng.random((2, layer.inputs)) < layer.acts
    return Drawn(name, codes, acts, calibration)


def _draw_codes(rng: np.random.Generator, paper: PaperLayer, *, uneven: bool) -> np.ndarray:
    """Codes other than 0 where a weight stands. uint8, shape (outputs, inputs)."""
    shape = (paper.outputs, paper.inputs)
    chance = np.full((1, 1), paper.weights, np.float32)
    if uneven:
        rows, columns = (rng.lognormal(0, SIGMA, size).astype(np.float32) for size in shape)
        chance = np.outer(rows / rows.mean(), columns / columns.mean()) * np.float32(paper.weights)
        # What exceeds one is lost; scale until the mean is right again.
        for _ in range(20):
            chance = np.minimum(chance * (paper.weights / chance.mean()), 1)
    kept = rng.random(shape, np.float32) < chance
    return kept * rng.integers(1, CODES, shape, dtype=np.uint8)
