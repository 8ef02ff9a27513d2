"""Checks: the batch after every step of the compiler, and the packed image against the integers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.golden import GoldenModel
from spec.eie.program import Program, Run, Slice
from spec.numbers import quantize, requantize
from sw.compile.eie.quantize import IntegerLayer
from sw.compile.eie.share import SharedLayer
from sw.compile.scaling import EXACT_FLOAT

_BLOCK_WEIGHTS = 1 << 23
"""Weights that are spread out from codes at a time."""


def run_shared(layers: Sequence[SharedLayer], batch: np.ndarray) -> np.ndarray:
    """Run on shared weights in float64."""
    for layer in layers:
        sums = multiply(batch, layer.codes, layer.values) + layer.bias
        batch = np.maximum(sums, 0) if layer.relu else sums
    return batch


def run_integer_weights(layers: Sequence[IntegerLayer], batch: np.ndarray) -> np.ndarray:
    """Run on integer weights and biases, but real activations."""
    for layer in layers:
        values = layer.codebook * layer.weight_scale
        bias = layer.bias * (layer.input_scale * layer.weight_scale)
        sums = multiply(batch, layer.codes, values) + bias
        batch = np.maximum(sums, 0) if layer.relu else sums
    return batch


def run_integers(
    layers: Sequence[IntegerLayer], batch: np.ndarray, config: EieConfig
) -> np.ndarray:
    """The dense integer reference: integer inputs to integer outputs, nothing skipped or tiled."""
    *_, outputs = integer_vectors(layers, batch, config)
    return outputs


def integer_vectors(
    layers: Sequence[IntegerLayer], batch: np.ndarray, config: EieConfig
) -> Iterator[np.ndarray]:
    """The input of the dense integer reference's first layer, and every layer's output."""
    yield batch
    for layer in layers:
        if max(-layer.sums[0], layer.sums[1]) <= EXACT_FLOAT:
            # Every partial sum is proven to be an integer that float64 holds exactly.
            floats = multiply(batch.astype(np.float64), layer.codes, layer.codebook.astype(float))
            sums = floats.astype(np.int64)
        else:
            sums = multiply(batch, layer.codes, layer.codebook)
        batch = requantize(
            sums,
            layer.bias,
            layer.multiplier,
            layer.shift,
            act_bits=config.act_bits,
            relu=layer.relu,
        )
        yield batch


def multiply(acts: np.ndarray, codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``acts @ values[codes].T``, a block of rows at a time."""
    rows = max(1, _BLOCK_WEIGHTS // codes.shape[1])
    blocks = [acts @ values[codes[first : first + rows]].T for first in range(0, len(codes), rows)]
    return np.concatenate(blocks, axis=1)


def quantize_inputs(
    layers: Sequence[IntegerLayer], batch: np.ndarray, config: EieConfig
) -> np.ndarray:
    """Real inputs as the first layer's integers."""
    return quantize(batch, layers[0].input_scale, config.act_bits)


def check_program(
    program: Program,
    layers: Sequence[IntegerLayer],
    batch: np.ndarray,
    tick: Callable[[int], object] = lambda samples: None,
) -> np.ndarray:
    """Run integer inputs on the packed image of a feed-forward network; returns its integer
    outputs.

    Raises
    ------
    RuntimeError
        If they are not exactly those of the dense reference; names the first layer that differs.
    """
    outputs, _ = GoldenModel(program).run(batch, tick)
    if not np.array_equal(outputs, run_integers(layers, batch, program.config)):
        name = _first_difference(program, layers, batch)
        raise RuntimeError(f"internal error: the packed image of layer {name} computes other bits")
    return outputs


def _first_difference(program: Program, layers: Sequence[IntegerLayer], batch: np.ndarray) -> str:
    """Name of the first layer whose outputs are not those of the dense reference."""
    _, *vectors = integer_vectors(layers, batch, program.config)
    for count, wanted in enumerate(vectors, 1):
        outputs, _ = GoldenModel(first_layers(program, count)).run(batch)
        if not np.array_equal(outputs, wanted):
            return layers[count - 1].name
    raise RuntimeError("internal error: the packed image computes other bits when it runs again")


def first_layers(program: Program, count: int) -> Program:
    """The program that ends with one of the first layers, its memories as they are."""
    segments = []
    for segment in program.segments:
        cut = (_first_layers_of(run, count) for run in segment.runs)
        runs = tuple(run for run in cut if run.passes)
        if runs:
            segments.append(replace(segment, runs=runs))
    return replace(
        program,
        layers=program.layers[:count],
        segments=tuple(segments),
        orders=program.orders[:count],
    )


def _first_layers_of(run: Run, count: int) -> Run:
    """A run without the passes behind some layers; it fetches what the last of these drains."""
    passes = tuple(step for step in run.passes if step.layer < count)
    if len(passes) in (0, len(run.passes)):
        return replace(run, passes=passes)
    drains = [step for step in passes if step.layer == count - 1 and step.descriptor.drain]
    outputs = sum(step.outputs for step in drains)
    fetch = Slice(layer=count - 1, first=drains[0].first_output, count=outputs)
    return replace(run, passes=passes, fetch=fetch)
