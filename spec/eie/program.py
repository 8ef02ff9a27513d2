"""What an image holds for the EIE engine: layers, and segments of memory contents with the passes
over them.

A *segment* is what is on the array at one time. The host loads its memories, and then makes one or
more *runs*: it feeds a slice of a layer's input, starts the array, which works through the run's
passes, and fetches a slice of a layer's output. A network that fits has one segment, and one run
unless the host has work to do in between; layers larger than a memory have several segments.
Accumulators keep their sums from one segment to the next, so a layer with too many inputs is summed
over several.

Segments stand at the bottom or at the top of the memories. Where one of each kind fit in together,
a double-buffered array is given the next one while it computes (:mod:`spec.eie.loading`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import Csc
from spec.eie.descriptor import Descriptor, cluster_columns
from spec.eie.lines import unpack_lines, unpack_pointers
from spec.eie.lstm import LstmCell
from spec.errors import UserError

MEMORIES = {"codebooks": np.int64, "biases": np.int64, "pointers": np.uint32, "lines": np.uint64}
"""Memories of a segment and the type of their words."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A fully connected layer of the network, or the gates of an LSTM, as the host sees it.

    ``real = integer * scale`` holds for its input, its weights and its output. The gate layer of an
    LSTM has the weights of the input x and, behind them, of the state h, and an output for each
    gate; its scales of input and weights are those of x.
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
    cell: LstmCell | None = None
    """What the host computes behind the gates of an LSTM."""

    @property
    def results(self) -> int:
        """Values that it hands on."""
        return self.cell.hidden if self.cell else self.outputs

    def columns(self, config: EieConfig) -> int:
        """Columns of its matrix: inputs, or x in whole rows of activations and the state h."""
        if self.cell is None:
            return self.inputs
        return -(-self.inputs // config.pes) * config.pes + self.cell.hidden


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


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one start of the array does.

    Attributes
    ----------
    passes : tuple of Pass
    feed, fetch : Slice or None
        Input to write before the run; output to read after it.
    """

    passes: tuple[Pass, ...]
    feed: Slice | None
    fetch: Slice | None

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
class Bases:
    """Where a segment begins: its first word in each memory, its first pass in the table."""

    codebooks: int
    biases: int
    pointers: int
    lines: int
    passes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """Contents of all memories, and the runs over them.

    Attributes
    ----------
    runs : tuple of Run
        Their passes stand in the table in this order, at most ``config.layers``.
    top : bool
        The segment ends at the last word of every memory, instead of beginning at the first.
    codebooks : int64, shape (codebooks, codes)
    biases : int64, shape (pes, words)
    pointers : uint32, shape (pes, words)
    lines : uint64, shape (pes, words)
    """

    runs: tuple[Run, ...]
    top: bool = False
    codebooks: np.ndarray
    biases: np.ndarray
    pointers: np.ndarray
    lines: np.ndarray

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Those of all runs, as they stand in the table."""
        return tuple(step for run in self.runs for step in run.passes)

    def first_pass(self, config: EieConfig, run: Run) -> int:
        """Where a run's passes begin in the table."""
        before = self.runs[: next(i for i, one in enumerate(self.runs) if one is run)]
        return self.bases(config).passes + sum(len(one.passes) for one in before)

    def sizes(self) -> dict[str, int]:
        """Words in each memory and passes, under the names of :class:`Bases`."""
        return {
            "codebooks": self.codebooks.shape[0],
            "biases": self.biases.shape[1],
            "pointers": self.pointers.shape[1],
            "lines": self.lines.shape[1],
            "passes": len(self.passes),
        }

    def bases(self, config: EieConfig) -> Bases:
        """Where the segment stands."""
        room = capacities(config)
        return Bases(
            **{name: room[name] - size if self.top else 0 for name, size in self.sizes().items()}
        )


def capacities(config: EieConfig) -> dict[str, int]:
    """Words of each memory and passes of the table, under the names of :class:`Bases`."""
    return {
        "codebooks": config.codebooks,
        "biases": config.biases,
        "pointers": config.columns,
        "lines": config.lines,
        "passes": config.layers,
    }


@dataclass(frozen=True, kw_only=True)
class Program:
    """A network, ready for an array of one configuration.

    Attributes
    ----------
    orders : tuple of int64 arrays, one per layer, shape (outputs,)
        ``orders[l][k]`` is the output of layer l that the array computes as its k-th; the columns
        of the next layer stand in the same order, unless it takes the state of an LSTM. An empty
        array: all in place.
    per_step : int
        Layers, from the first on, that run at every step of a sequence.
    every_step : bool
        What the network gives are the outputs of every step; else there is one, behind the last.
    """

    config: EieConfig
    layers: tuple[Layer, ...]
    segments: tuple[Segment, ...]
    orders: tuple[np.ndarray, ...] = ()
    per_step: int = 0
    every_step: bool = False

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        return self.layers[-1].results

    @property
    def act_bits(self) -> int:
        """Of what it takes."""
        return self.config.act_bits

    @property
    def input_scale(self) -> float:
        """``real = integer * scale`` for what the network takes."""
        return self.layers[0].input_scale

    @property
    def output_scale(self) -> float:
        """``real = integer * scale`` for what it gives, which may be the state of an LSTM."""
        last = self.layers[-1]
        return last.cell.hidden_scale if last.cell else last.output_scale

    def order(self, layer: int) -> np.ndarray:
        """``orders[layer]``, written out also where all outputs are in place."""
        outputs = self.layers[layer].outputs
        given = self.orders[layer] if self.orders else np.zeros(0, np.int64)
        return given.astype(np.int64) if len(given) else np.arange(outputs)

    def in_place(self, layer: int, outputs: np.ndarray) -> np.ndarray:
        """Outputs of a layer as the network has them, from those of the array. Last axis."""
        placed = np.empty_like(outputs)
        placed[..., self.order(layer)] = outputs
        return placed

    def runs(self) -> Iterator[tuple[Segment, Run]]:
        """All runs in order of execution, each with its segment."""
        for segment in self.segments:
            for run in segment.runs:
                yield segment, run

    def passes(self) -> Iterator[tuple[int, Segment, Pass]]:
        """All passes in order of execution, each with its segment and that segment's number."""
        for number, segment in enumerate(self.segments):
            for step in segment.passes:
                yield number, segment, step


def run_bits(config: EieConfig, descriptor: Descriptor) -> int:
    """Width of the runs of a pass."""
    return config.run_bits + descriptor.widen


def entry_spans(config: EieConfig, segment: Segment, step: Pass) -> np.ndarray:
    """Where each column of a pass begins and ends, in entries from the first slot of line 0 on.

    int64, shape (pes, local columns + 1).

    Raises
    ------
    UserError
        Pointers behind the memories.
    """
    descriptor = step.descriptor
    first = descriptor.pointer_base - segment.bases(config).pointers
    width = cluster_columns(config, step.inputs, descriptor.split) + 1
    pointers = segment.pointers[:, max(0, first) : max(0, first + width)].astype(np.int64)
    if first < 0 or pointers.shape[1] != width:
        raise UserError(
            f"a pass needs pointers {first}...{first + width - 1} of the segment, "
            f"there are {segment.pointers.shape[1]}"
        )
    per_line = config.entries_per_line(run_bits(config, descriptor))
    return unpack_pointers(config, pointers, per_line)


def matrix_of(config: EieConfig, segment: Segment, step: Pass) -> Csc:
    """Read one pass's matrix back out of the memory words. Rows count from the pass's first output.

    Raises
    ------
    UserError
        Pointers behind the memories.
    """
    spans = entry_spans(config, segment, step)
    width = run_bits(config, step.descriptor)
    per_line = config.entries_per_line(width)
    base = segment.bases(config).lines * per_line
    held = segment.lines.shape[1] * per_line
    outside = ((spans < base) | (spans > base + held)).any(axis=1)
    if outside.any():
        pe = int(np.argmax(outside))
        raise UserError(f"PE {pe}: a pointer lies outside the segment's lines ({held} entries)")
    codes, runs = [], []
    for pe in range(config.pes):
        begin, end = int(spans[pe, 0]) - base, int(spans[pe, -1]) - base
        first = begin // per_line
        code, run = unpack_lines(
            segment.lines[pe, first : -(-end // per_line)],
            max(0, end - first * per_line),
            code_bits=config.code_bits,
            run_bits=width,
            per_line=per_line,
        )
        codes.append(code[begin - first * per_line :])
        runs.append(run[begin - first * per_line :])
    return Csc(
        rows=step.outputs,
        columns=step.inputs,
        pes=config.pes,
        run_bits=width,
        code=np.concatenate(codes),
        run=np.concatenate(runs),
        pointers=spans - spans[:, :1],
        clusters=1 << step.descriptor.split,
    )
