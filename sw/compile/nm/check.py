"""The packed image against the integers that it was made from."""

from collections.abc import Callable, Sequence

import numpy as np

from spec.nm.golden import GoldenModel
from spec.nm.program import Program
from sw.compile.network import MOST_VALUES
from sw.compile.nm.chain import IntegerLayer


def check_program(
    program: Program,
    layers: Sequence[IntegerLayer],
    batch: np.ndarray,
    tick: Callable[[int], object] = lambda samples: None,
) -> np.ndarray:
    """Run integer inputs on the packed image, layer by layer; returns its integer outputs.

    Raises
    ------
    RuntimeError
        If they are not exactly those of the dense reference; names the first layer that differs.
    """
    model = GoldenModel(program)
    for number, layer in enumerate(layers):
        wanted = layer.run(batch, program.config)
        outputs = _run(model, number, batch)
        if not np.array_equal(outputs, wanted):
            raise RuntimeError(
                f"internal error: the packed image of layer {layer.name} computes other bits"
            )
        batch = outputs
    tick(len(batch))
    return batch


def run_program(program: Program, images: np.ndarray) -> np.ndarray:
    """What an image of a chain makes of integers."""
    model = GoldenModel(program)
    for number in range(len(program.layers)):
        images = _run(model, number, images)
    return images


def _run(model: GoldenModel, number: int, images: np.ndarray) -> np.ndarray:
    """What a layer of the image makes of integers, a few images at a time."""
    layer = model.program.layers[number]
    count = max(1, MOST_VALUES // (layer.tokens * (layer.inputs + layer.outputs)))
    parts = []
    for first in range(0, len(images), count):
        results, _ = model.run_layer(number, layer.tokens_of(images[first : first + count]))
        parts.append(layer.images_of(results))
    return np.concatenate(parts)
