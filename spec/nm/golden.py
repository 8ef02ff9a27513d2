"""The golden model: what the array computes, bit for bit, from the words of an image.

It reads the same words as the hardware, so what it proves holds for the image, not for the network
that the image was made from. Sums are exact integers.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.nm.cycles import RunCounts, count_run
from spec.nm.descriptor import most_tokens
from spec.nm.program import Program
from spec.nm.strips import Strip
from spec.nm.tiles import restore
from spec.numbers import requantize, signed_bounds


def input_of(
    config: NmConfig, mode: Mode, strip: Strip, *, gather: bool, begin: int = 0
) -> np.ndarray:
    """Which input every weight of a strip meets; int64, shape (steps, rows, multipliers).

    ``begin`` is the number of its first step where the strip is a part that follows others; offsets
    count from each part's own first line.
    """
    first = np.arange(strip.steps)[:, None, None] * config.step_inputs(mode)
    group = np.arange(config.multipliers) // mode.n * mode.m
    position = first + group + strip.places
    if gather:
        return restore(config, strip.offsets)[position]
    return position + begin * config.step_inputs(mode)


def first_steps(steps: np.ndarray, parts: int) -> np.ndarray:
    """Number of each part's first step within its strip."""
    together = steps.reshape(-1, parts)
    return (np.cumsum(together, axis=1) - together).ravel()


class Decoded:
    """A layer, unpacked from its words.

    Attributes
    ----------
    dense : int64, shape (outputs padded to strips, inputs)
        Weights where their inputs stand, in the array's order of outputs.
    bias, multiplier, shift : int64, shape (outputs padded to strips,)
    """

    def __init__(self, program: Program, number: int) -> None:
        layer, config = program.layers[number], program.config
        mode, strips = layer.pattern, program.strips(number)
        self.dense = np.zeros((len(strips) // layer.parts * config.rows, layer.inputs), np.int64)
        begins = first_steps(program.steps(number), layer.parts).tolist()
        for part, (strip, begin) in enumerate(zip(strips, begins, strict=True)):
            index = part // layer.parts
            inputs = input_of(config, mode, strip, gather=layer.gather, begin=begin)
            used = strip.values != 0
            outside = used & (inputs >= layer.inputs)
            if outside.any():
                raise UserError(
                    f"layer {layer.name}: strip {index} has a weight for input "
                    f"{inputs[outside][0]} of {layer.inputs}"
                )
            rows = np.arange(config.rows)[None, :, None] + index * config.rows
            rows = np.broadcast_to(rows, used.shape)
            np.add.at(self.dense, (rows[used], inputs[used]), strip.values[used])
        last = strips[layer.parts - 1 :: layer.parts]
        self.bias = np.concatenate([strip.bias for strip in last])
        self.multiplier = np.concatenate([strip.multiplier for strip in last])
        self.shift = np.concatenate([strip.shift for strip in last])

    def multiply(self, acts: np.ndarray) -> np.ndarray:
        """Exact sums; acts (tokens, inputs) to int64 (tokens, padded outputs)."""
        # As floats, for which a product of matrices is fast: a sum of at most 2**28 products
        # of 8 by 16 bits is an integer below 2**53.
        return (acts.astype(float) @ self.dense.T.astype(float)).astype(np.int64)


class GoldenModel:
    """Runs the layers of a :class:`Program` on integers: outputs and every counter."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.config = program.config

    @cached_property
    def decoded(self) -> list[Decoded]:
        """One per layer; what the hardware could not run raises :class:`UserError`."""
        return [Decoded(self.program, number) for number in range(len(self.program.layers))]

    def run_layer(self, number: int, acts: np.ndarray) -> tuple[np.ndarray, RunCounts]:
        """One run of the array.

        Parameters
        ----------
        acts : integers, shape (tokens, inputs)

        Returns
        -------
        outputs : int64, shape (tokens, outputs)
            In the network's order.
        counts : RunCounts
        """
        program = self.program
        acts = check_acts(program, number, acts)
        layer, decoded = program.layers[number], self.decoded[number]
        sums = decoded.multiply(acts)
        low, high = signed_bounds(self.config.acc_bits)
        if sums.min() < low or sums.max() > high:
            # The compiler should have refused it: an accumulator would wrap.
            raise UserError(
                f"layer {layer.name}: sums of {sums.min()}...{sums.max()} leave the "
                f"{self.config.acc_bits} bits of an accumulator"
            )
        results = np.empty((len(acts), layer.outputs), np.int64)
        for row in range(layer.outputs):
            results[:, row] = requantize(
                sums[:, row],
                int(decoded.bias[row]),
                int(decoded.multiplier[row]),
                int(decoded.shift[row]),
                act_bits=self.config.act_bits,
                relu=layer.relu,
            )
        descriptor = program.descriptor(number, len(acts))
        counts = count_run(self.config, descriptor, program.steps(number))
        return program.in_place(number, results), counts

    def run(
        self, batch: np.ndarray, tick: Callable[[int], object] = lambda images: None
    ) -> tuple[np.ndarray, list[RunCounts]]:
        """Run a batch through all layers of a chain, each with all images at once.

        Parameters
        ----------
        batch : integers, shape (images, values of an image)
        tick : callable
            Told the number of images done since it was last called.

        Returns
        -------
        outputs : int64, shape (images, values of a result)
        counts : list of RunCounts, one per layer
        """
        batch = check_batch(self.program, batch)
        outputs, counts = run_chain(self.program, batch, self.run_layer)
        tick(len(batch))
        return outputs, counts


RunLayer = Callable[[int, np.ndarray], tuple[np.ndarray, RunCounts]]
"""A run of the array: number of a layer, its activations; outputs and counters."""


def run_chain(
    program: Program, batch: np.ndarray, run_layer: RunLayer
) -> tuple[np.ndarray, list[RunCounts]]:
    """What the host does around the runs of a chain: tokens of images, and images of results."""
    counts = []
    for number, layer in enumerate(program.layers):
        results, count = run_layer(number, layer.tokens_of(batch))
        batch = layer.images_of(results)
        counts.append(count)
    return batch, counts


def check_batch(program: Program, batch: np.ndarray) -> np.ndarray:
    """A batch for a chain as int64, or a :class:`UserError` that says what it must be."""
    if not program.chained:
        raise UserError("the image's layers are no chain: run them one by one")
    batch = _check(program, batch, "images", program.inputs)
    widest = max(program.layers, key=lambda layer: layer.tokens)
    most = most_tokens(program.config) // widest.tokens
    if len(batch) > most:
        raise UserError(
            f"{len(batch)} images at once, must be at most {most}: layer {widest.name} has "
            f"{widest.tokens} tokens in each"
        )
    return batch


def check_acts(program: Program, number: int, acts: np.ndarray) -> np.ndarray:
    """Activations of a layer as int64, or a :class:`UserError` that says what they must be."""
    if number not in range(len(program.layers)):
        raise UserError(f"layer {number!r}: the image has layers 0...{len(program.layers) - 1}")
    layer = program.layers[number]
    try:
        acts = _check(program, acts, "tokens", layer.inputs)
        program.descriptor(number, len(acts))  # refuses more tokens than a run counts
        return acts
    except UserError as error:
        raise UserError(f"layer {layer.name}: {error}") from None


def _check(program: Program, given: np.ndarray, rows: str, values: int) -> np.ndarray:
    given = np.asarray(given)
    if given.ndim != 2 or given.shape[1] != values or len(given) == 0:
        raise UserError(f"input has shape {given.shape}, must be ({rows}, {values})")
    if not np.issubdtype(given.dtype, np.integer):
        raise UserError(f"a device takes integers, the input is {given.dtype}; quantize it first")
    low, high = signed_bounds(program.config.act_bits)
    if given.min() < low or given.max() > high:
        raise UserError(
            f"input reaches {given.min()}...{given.max()}, must stay within {low}...{high}"
        )
    return given.astype(np.int64)
