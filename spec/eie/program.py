"""What an image holds for the EIE engine: layers, and segments of memory contents with the passes
over them.

A *segment* is what is on the array at one time. The host loads its memories, feeds a slice of a
layer's input, starts the array, which works through the segment's passes, and fetches a slice of a
layer's output. A network that fits has one segment; layers larger than a memory have several.
Accumulators keep their sums
from one segment to the next, so a layer with too many inputs is summed over several.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import Csc, unpack_lines
from spec.eie.descriptor import Descriptor
from spec.errors import UserError

MEMORIES = {"codebooks": np.int64, "biases": np.int64, "pointers": np.uint32, "lines": np.uint64}
"""Memories of a segment and the type of their words."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A fully connected layer of the network, as the host sees it.

    ``real = integer * scale`` holds for its input, its weights and its output.
    """

    name: str
    inputs: int
    outputs: int
    input_scale: float
    weight_scale: float
    output_scale: float
    relu: bool
    weights: int
    """Weights that are not zero."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass: which part of which layer, and the descriptor that runs it."""

    layer: int
    first_input: int
    inputs: int
    first_output: int
    outputs: int
    descriptor: Descriptor


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Part of the input or output vector of a layer; it begins at row 0 of its half of the
    store."""

    layer: int
    first: int
    count: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """Contents of all memories, and the passes over them.

    Attributes
    ----------
    passes : tuple of Pass
        At most ``config.layers``.
    feed, fetch : Slice or None
        Input to write before the run; output to read after it.
    codebooks : int64, shape (codebooks, codes)
    biases : int64, shape (pes, words)
    pointers : uint32, shape (pes, words)
    lines : uint64, shape (pes, words)
    """

    passes: tuple[Pass, ...]
    feed: Slice | None
    fetch: Slice | None
    codebooks: np.ndarray
    biases: np.ndarray
    pointers: np.ndarray
    lines: np.ndarray

    @property
    def final_half(self) -> int:
        """Half of the activation store that holds the result of the last drain."""
        halves = [0]
        for step in self.passes:
            halves.append(halves[-1] ^ step.descriptor.swap)
        last_drain = max(
            (i for i, step in enumerate(self.passes) if step.descriptor.drain), default=0
        )
        return halves[last_drain] ^ 1


@dataclass(frozen=True, kw_only=True)
class Program:
    """A network, ready for an array of one configuration."""

    config: EieConfig
    layers: tuple[Layer, ...]
    segments: tuple[Segment, ...]

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        return self.layers[-1].outputs

    def passes(self) -> Iterator[tuple[int, Segment, Pass]]:
        """All passes in order of execution, each with its segment and that segment's number."""
        for number, segment in enumerate(self.segments):
            for step in segment.passes:
                yield number, segment, step


def matrix_of(config: EieConfig, segment: Segment, step: Pass) -> Csc:
    """Read one pass's matrix back out of the memory words. Rows count from the pass's first output.

    Raises
    ------
    UserError
        Pointers behind the memories.
    """
    base = step.descriptor.pointer_base
    pointers = segment.pointers[:, base : base + step.inputs + 1].astype(np.int64)
    if pointers.shape[1] != step.inputs + 1:
        raise UserError(
            f"a pass needs pointers up to {base + step.inputs}, "
            f"there are {segment.pointers.shape[1]}"
        )
    capacity = segment.lines.shape[1] * config.entries_per_line
    if (pointers > capacity).any():
        pe = int(np.argmax((pointers > capacity).any(axis=1)))
        raise UserError(f"PE {pe}: a pointer lies behind the last line ({capacity} entries)")
    codes, runs = [], []
    for pe in range(config.pes):
        begin, end = int(pointers[pe, 0]), int(pointers[pe, -1])
        code, run = unpack_lines(
            segment.lines[pe],
            end,
            code_bits=config.code_bits,
            run_bits=config.run_bits,
            per_line=config.entries_per_line,
        )
        codes.append(code[begin:])
        runs.append(run[begin:])
    return Csc(
        rows=step.outputs,
        columns=step.inputs,
        pes=config.pes,
        run_bits=config.run_bits,
        code=np.concatenate(codes),
        run=np.concatenate(runs),
        pointers=pointers - pointers[:, :1],
    )
