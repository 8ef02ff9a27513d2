"""The golden model: what the array computes, bit for bit, from the words in its memories.

It walks the same passes over the same memory words as the hardware, so what it proves holds for the
image, not for the network that the image was made from. Sums are exact int64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import check
from spec.eie.cycles import PassCounts, count_pass
from spec.eie.program import Pass, Program, Segment, matrix_of
from spec.errors import UserError
from spec.numbers import requantize, signed_bounds


@dataclass(frozen=True)
class Decoded:
    """A pass's matrix, unpacked from memory words and ordered by column.

    Attributes
    ----------
    row, weight : int64, one per entry that is no pad
        Row counted from the pass's first output; value from the codebook.
    start : int64, shape (columns + 1,)
        Where each column's items begin.
    entries, pads : int64, shape (columns, pes)
    """

    row: np.ndarray
    weight: np.ndarray
    start: np.ndarray
    entries: np.ndarray
    pads: np.ndarray

    def multiply(self, acts: np.ndarray, active: np.ndarray, rows: int) -> np.ndarray:
        """Exact sums over the active columns. ``acts`` and the result are int64 vectors."""
        counts = self.start[active + 1] - self.start[active]
        begins = np.repeat(self.start[active] - (np.cumsum(counts) - counts), counts)
        items = begins + np.arange(len(begins))
        sums = np.zeros(rows, np.int64)
        np.add.at(sums, self.row[items], self.weight[items] * np.repeat(acts[active], counts))
        return sums


def decode_pass(config: EieConfig, segment: Segment, step: Pass) -> Decoded:
    """Unpack and check one pass's matrix."""
    csc = matrix_of(config, segment, step)
    where = check(csc)
    cell = where.column * config.pes + where.pe
    shape = (step.inputs, config.pes)
    entries = np.bincount(cell, minlength=step.inputs * config.pes).reshape(shape)
    pads = np.bincount(cell[csc.pads], minlength=step.inputs * config.pes).reshape(shape)
    kept = np.flatnonzero(~csc.pads)
    kept = kept[np.argsort(where.column[kept], kind="stable")]
    weights = segment.codebooks[step.descriptor.codebook].astype(np.int64)
    start = np.concatenate([[0], np.cumsum((entries - pads).sum(axis=1))])
    row = where.local_row[kept] * config.pes + where.pe[kept]
    return Decoded(row, weights[csc.code[kept]], start, entries, pads)


class GoldenModel:
    """Runs a :class:`Program` on integers: outputs and every counter.

    Parameters
    ----------
    program : Program
        Checked while it is decoded; what the hardware could not run raises :class:`UserError`.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.config = program.config

    @cached_property
    def decoded(self) -> list[Decoded]:
        """One per pass, in order of execution."""
        return [
            decode_pass(self.config, segment, step) for _, segment, step in self.program.passes()
        ]

    def run(
        self, batch: np.ndarray, tick: Callable[[int], object] = lambda images: None
    ) -> tuple[np.ndarray, list[PassCounts]]:
        """Run every image of a batch.

        Parameters
        ----------
        batch : integers, shape (images, inputs)
            Quantized inputs of the first layer.
        tick : callable
            Told the number of images done since it was last called.

        Returns
        -------
        outputs : int64, shape (images, outputs)
        counts : list of PassCounts, in order of execution
        """
        outputs = np.zeros((len(batch), self.program.outputs), np.int64)
        active: list[list[np.ndarray]] = [[] for _ in self.decoded]
        for image, acts in enumerate(batch):
            outputs[image] = self._run_image(np.asarray(acts, np.int64), active)
            tick(1)
        counts = [
            count_pass(self.config, step.descriptor, columns, decoded.entries, decoded.pads)
            for (_, _, step), decoded, columns in zip(
                self.program.passes(), self.decoded, active, strict=True
            )
        ]
        return outputs, counts

    def _run_image(self, acts: np.ndarray, active: list[list[np.ndarray]]) -> np.ndarray:
        """One image; appends each pass's active columns to ``active``."""
        config, number = self.config, 0
        vectors = [acts] + [np.zeros(layer.outputs, np.int64) for layer in self.program.layers]
        store = np.zeros((2, config.acts), np.int64)
        sums = np.zeros(config.rows * config.pes, np.int64)
        for segment in self.program.segments:
            source = 0
            if segment.feed:
                _feed(
                    store[0],
                    vectors[segment.feed.layer],
                    segment.feed.first,
                    segment.feed.count,
                    config,
                )
            for step in segment.passes:
                descriptor = step.descriptor
                base = descriptor.input_base * config.pes
                inputs = store[source, base : base + step.inputs]
                columns = np.flatnonzero(inputs)
                active[number].append(columns)
                rows = descriptor.rows * config.pes
                sums[:rows] += self.decoded[number].multiply(inputs, columns, rows)
                self._check_sums(number, sums)
                if descriptor.drain:
                    at = descriptor.output_base * config.pes
                    store[1 - source, at : at + rows] = _drain(config, segment, step, sums[:rows])
                    sums[:rows] = 0
                source ^= descriptor.swap
                number += 1
            if segment.fetch:
                fetch = segment.fetch
                found = store[segment.final_half, : fetch.count]
                vectors[fetch.layer + 1][fetch.first : fetch.first + fetch.count] = found
        return vectors[-1]

    def _check_sums(self, number: int, sums: np.ndarray) -> None:
        """Refuse what the compiler should have refused: an accumulator would wrap."""
        low, high = signed_bounds(self.config.acc_bits)
        if sums.min() < low or sums.max() > high:
            raise UserError(
                f"the image's pass {number}: sums of {sums.min()}...{sums.max()} leave the "
                f"{self.config.acc_bits} bits of an accumulator"
            )


def _feed(half: np.ndarray, vector: np.ndarray, first: int, count: int, config: EieConfig) -> None:
    """Write a slice into whole rows of a half, zeros behind it."""
    rows = -(-count // config.pes) * config.pes
    half[:count] = vector[first : first + count]
    half[count:rows] = 0


def _drain(config: EieConfig, segment: Segment, step: Pass, sums: np.ndarray) -> np.ndarray:
    """Activations of all rows of a pass."""
    descriptor = step.descriptor
    base = descriptor.bias_base
    bias = segment.biases[:, base : base + descriptor.rows].T.ravel()
    return requantize(
        sums,
        bias,
        descriptor.multiplier,
        descriptor.shift,
        act_bits=config.act_bits,
        relu=descriptor.relu,
    )


def check_batch(program: Program, batch: np.ndarray) -> np.ndarray:
    """The batch as int64, or a :class:`UserError` that says what a batch must be."""
    batch = np.asarray(batch)
    if batch.ndim != 2 or batch.shape[1] != program.inputs:
        raise UserError(f"input has shape {batch.shape}, must be (images, {program.inputs})")
    if not np.issubdtype(batch.dtype, np.integer):
        raise UserError(f"a device takes integers, the input is {batch.dtype}; quantize it first")
    low, high = signed_bounds(program.config.act_bits)
    if batch.size and (batch.min() < low or batch.max() > high):
        raise UserError(
            f"input reaches {batch.min()}...{batch.max()}, must stay within {low}...{high}"
        )
    return batch.astype(np.int64)
