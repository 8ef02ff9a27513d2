"""Checks: after every step the batch is run again, and what changed is written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from spec.numbers import quantize, requantize
from sw.compile.pack import pack_network
from sw.compile.quantize import IntegerLayer
from sw.compile.share import SharedLayer
from sw.compile.tile import tile_network

_BLOCK_WEIGHTS = 1 << 23
"""Weights that are spread out from codes at a time."""

_EXACT_FLOAT = 1 << 53
"""Up to here every integer is a float64."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """The batch after one step of the compiler.

    Attributes
    ----------
    name : str
    samples : int
        Of the batch that were run.
    change : float
        Largest difference of any output to the step before.
    relative : float
        The same as a part of the network's largest output.
    total : float
        Largest difference to the network as given, as the same part.
    agreement : float
        Part of the samples whose largest output is the same one as in the network as given.
    notes : tuple of str
        What happened in this step.
    """

    name: str
    samples: int
    change: float
    relative: float
    total: float
    agreement: float
    notes: tuple[str, ...] = ()


@dataclass
class Log:
    """Collects steps; the first one's outputs are what the others are held against."""

    steps: list[Step] = field(default_factory=list)
    original: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    previous: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, name: str, outputs: np.ndarray, notes: Sequence[str] = ()) -> None:
        """Record a step by its real outputs, (samples, outputs), on all samples or the first."""
        if not self.steps:
            self.original = self.previous = outputs
        samples = len(outputs)
        original, previous = self.original[:samples], self.previous[:samples]
        largest = float(np.abs(original).max()) or 1.0
        change = float(np.abs(outputs - previous).max())
        step = Step(
            name=name,
            samples=samples,
            change=change,
            relative=change / largest,
            total=float(np.abs(outputs - original).max()) / largest,
            agreement=float((outputs.argmax(axis=1) == original.argmax(axis=1)).mean()),
            notes=tuple(notes),
        )
        self.steps.append(step)
        self.previous = outputs


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
    for layer in layers:
        if max(-layer.sums[0], layer.sums[1]) <= _EXACT_FLOAT:
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
    return batch


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
    """Run integer inputs on the packed image; returns its integer outputs.

    Raises
    ------
    RuntimeError
        If they are not exactly those of the dense reference; names the first layer that differs.
    """
    outputs, _ = GoldenModel(program).run(batch, tick)
    if not np.array_equal(outputs, run_integers(layers, batch, program.config)):
        name = _first_difference(layers, batch, program.config)
        raise RuntimeError(f"internal error: the packed image of layer {name} computes other bits")
    return outputs


def _first_difference(layers: Sequence[IntegerLayer], batch: np.ndarray, config: EieConfig) -> str:
    """Name of the layer up to which the network, packed again, goes wrong."""
    for count in range(1, len(layers)):
        part = layers[:count]
        program = pack_network(part, tile_network(part, config), config)
        outputs, _ = GoldenModel(program).run(batch)
        if not np.array_equal(outputs, run_integers(part, batch, config)):
            return part[-1].name
    return layers[-1].name
