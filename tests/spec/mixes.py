"""Programs of stages on both engines, with what they must compute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from spec.mixed import Mixed, Stage
from spec.nm.config import NmConfig
from spec.nm.config import preset as nm_preset
from spec.numbers import signed_bounds
from tests.programs import dense_reference, random_program
from tests.spec.nm.networks import linear_network

EIE_CONFIG = eie_preset("tiny", lines=256)
NM_CONFIG = nm_preset("tiny", weight_steps=64)


@dataclass(frozen=True)
class Mix:
    """A program, and for each stage what gives its outputs a second way."""

    program: Mixed
    references: tuple[Callable[[np.ndarray], np.ndarray], ...]

    def vectors(self, batch: np.ndarray) -> list[np.ndarray]:
        """The batch, and the integers that every stage gives; between stages real numbers."""
        vectors, acts = [batch], batch
        for number, (stage, reference) in enumerate(
            zip(self.program.stages, self.references, strict=True)
        ):
            if number:
                before = self.program.stages[number - 1]
                real = vectors[-1] * np.asarray(before.output_scale)
                low, high = signed_bounds(stage.act_bits)
                acts = np.rint(real / stage.input_scale).clip(low, high).astype(np.int64)
            vectors.append(reference(acts))
        return vectors

    def expected(self, batch: np.ndarray) -> np.ndarray:
        """Outputs of a batch."""
        return self.vectors(batch)[-1]

    def batch(self, rng: np.random.Generator, images: int) -> np.ndarray:
        """Random integers for it."""
        low, high = signed_bounds(self.program.act_bits)
        return rng.integers(low, high, (images, self.program.inputs), endpoint=True)


def random_mix(
    rng: np.random.Generator,
    kinds: str = "nm eie nm",
    sizes: Sequence[int] = (12, 10, 9, 7),
    *,
    eie: EieConfig = EIE_CONFIG,
    nm: NmConfig = NM_CONFIG,
) -> Mix:
    """Stages of one layer each, of random weights. Layers are called after their stage."""
    stages: list[Stage] = []
    references = []
    for number, kind in enumerate(kinds.split()):
        size = [sizes[number], sizes[number + 1]]
        if kind == "nm":
            network = linear_network(rng, nm, size, prefix=f"stage{number}_")
            stages.append(network.program)
            references.append(network.expected)
        else:
            stages.append(_eie_stage(rng, eie, size, number))
            references.append(_reference(stages[-1]))
    return Mix(Mixed(tuple(stages)), tuple(references))


def _eie_stage(rng: np.random.Generator, config: EieConfig, size: list[int], number: int):
    """Its outputs reach from -1 to 1, as do those of the other engine's layers."""
    program = random_program(
        rng, config, size, density=0.6, act_density=1.0, relu=False, orders=True
    )
    (layer,) = program.layers
    scale = 2.0 ** (1 - config.act_bits)
    layer = replace(layer, name=f"stage{number}_0", output_scale=scale)
    return replace(program, layers=(layer,))


def _reference(stage) -> Callable[[np.ndarray], np.ndarray]:
    return lambda acts: dense_reference(stage, acts)
