"""Packing layers into memory words for tests, without the compiler: tiles, runs, segments, gaps."""

from dataclasses import dataclass, field, replace

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import encode
from spec.eie.descriptor import Descriptor, cluster_columns
from spec.eie.lines import pack_lines, pack_pointers
from spec.eie.program import Pass, Run, Segment, Slice, capacities
from spec.errors import UserError

Span = tuple[int, int]
"""First and count."""


@dataclass(frozen=True)
class Plan:
    """A layer as the array computes it: its weights as codes, shape (outputs, inputs), and all that
    drain needs."""

    codes: np.ndarray
    codebook: int
    bias: np.ndarray
    multiplier: int
    shift: int
    relu: bool


@dataclass(frozen=True)
class Tile:
    """One pass over a layer: outputs and inputs; how it divides the array; how wide its runs
    are."""

    output: Span
    part: Span
    split: int
    widen: int


def cut(
    rng: np.random.Generator,
    config: EieConfig,
    plan: Plan,
    tiles: tuple[int, int],
    *,
    split: int | None = None,
    widen: int | None = None,
) -> list[Tile]:
    """At most ``tiles`` passes along outputs and along inputs; all inputs of an output in a row.

    ``split`` is drawn for all passes over an output, ``widen`` for each pass, unless given.
    """
    outputs, inputs = (
        _cuts(size, parts, config.pes) for size, parts in zip(plan.codes.shape, tiles, strict=True)
    )
    cuts = []
    for output in outputs:
        most = config.rows // -(-output[1] // config.pes)
        splits = min(config.splits, max(0, most.bit_length() - 1))
        drawn = int(rng.integers(splits + 1)) if split is None else split
        for part in inputs:
            wide = int(rng.integers(config.run_bits_most - config.run_bits + 1))
            cuts.append(Tile(output, part, drawn, wide if widen is None else widen))
    return cuts


def _cuts(size: int, parts: int, pes: int) -> list[Span]:
    """At most ``parts`` spans, all but the last a multiple of ``pes`` long."""
    rows = -(-size // pes)
    step = -(-rows // min(parts, rows)) * pes
    return [(first, min(step, size - first)) for first in range(0, size, step)]


def pack_layers(
    config: EieConfig,
    codebooks: np.ndarray,
    plans: list[Plan],
    tiles: list[list[Tile]],
    *,
    gaps: np.random.Generator | None = None,
    top: bool = False,
) -> tuple[Segment, ...]:
    """One segment of one run, which goes through the ``tiles`` of every layer.

    A generator for ``gaps`` draws unused words in front of everything, filled with rubbish, and
    places in the activation store for the hidden layers.
    """
    builder = Builder(config)
    source, final = 0, len(plans) - 1
    for index, plan in enumerate(plans):
        room = config.act_rows + 1 - -(-len(plan.codes) // config.pes)
        target = int(gaps.integers(room)) if gaps and index < final else 0
        for tile in tiles[index]:
            if gaps:
                builder.add_rubbish(gaps, tile.widen)
            bases = (source + tile.part[0] // config.pes, target + tile.output[0] // config.pes)
            builder.add_tile(index, plan, tile, bases, swap=tile is tiles[index][-1])
        source = target
    feed = Slice(layer=0, first=0, count=plans[0].codes.shape[1])
    fetch = Slice(layer=final, first=0, count=len(plans[-1].codes))
    return (builder.segment(codebooks, feed, fetch, top=top),)


def pack_passes(
    config: EieConfig,
    codebooks: np.ndarray,
    plans: list[Plan],
    tiles: list[list[Tile]],
    *,
    runs: int = 1,
) -> tuple[Segment, ...]:
    """The same passes, each a run of its own, up to ``runs`` of them in a segment.

    Sums stay in the accumulators in between. Every second segment stands at the top.
    """
    steps = [(index, tile) for index, layer in enumerate(tiles) for tile in layer]
    segments = []
    for number, first in enumerate(range(0, len(steps), runs)):
        builder = Builder(config)
        for index, tile in steps[first : first + runs]:
            step = builder.add_tile(index, plans[index], tile, (0, 0), swap=False)
            feed = Slice(layer=index, first=tile.part[0], count=tile.part[1])
            fetch = Slice(layer=index, first=tile.output[0], count=tile.output[1])
            builder.end_run(feed, fetch if step.descriptor.drain else None)
        segments.append(builder.segment(codebooks, top=number % 2 == 1))
    return tuple(segments)


@dataclass
class Chunk:
    """Entries of every PE with runs of one width, in lines that no others share.

    ``first`` is each PE's first line, counted from the segment's.
    """

    run_bits: int
    first: np.ndarray
    code: list[np.ndarray]
    run: list[np.ndarray]

    def lengths(self) -> np.ndarray:
        return np.array([len(code) for code in self.code], np.int64)

    def lines(self, config: EieConfig) -> list[np.ndarray]:
        """Lines of every PE."""
        widths = {
            "code_bits": config.code_bits,
            "run_bits": self.run_bits,
            "per_line": config.entries_per_line(self.run_bits),
        }
        return [
            pack_lines(code, run, **widths) for code, run in zip(self.code, self.run, strict=True)
        ]


@dataclass
class Builder:
    """Memory contents of one segment, growing pass by pass. Addresses count from its bases."""

    config: EieConfig
    chunks: list[Chunk] = field(default_factory=list)
    pointers: list[np.ndarray] = field(default_factory=list)
    biases: list[np.ndarray] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def add_tile(
        self, layer: int, plan: Plan, tile: Tile, bases: tuple[int, int], *, swap: bool
    ) -> Pass:
        """:meth:`add_pass` for a tile."""
        widths = {"split": tile.split, "widen": tile.widen}
        return self.add_pass(layer, plan, tile.output, tile.part, bases, swap=swap, **widths)

    def add_pass(
        self,
        layer: int,
        plan: Plan,
        output: Span,
        part: Span,
        bases: tuple[int, int],
        *,
        swap: bool,
        split: int = 0,
        widen: int = 0,
    ) -> Pass:
        """Append some outputs, some inputs of a layer. It drains if those are the last inputs."""
        pes = self.config.pes
        rows, columns = (slice(first, first + count) for first, count in (output, part))
        drain = sum(part) == plan.codes.shape[1]
        descriptor = Descriptor(
            pointer_base=self.add_matrix(plan.codes[rows, columns], split, widen),
            split=split,
            widen=widen,
            columns=part[1],
            input_rows=-(-part[1] // pes),
            input_base=bases[0],
            rows=-(-output[1] // pes) << split,
            output_base=bases[1],
            bias_base=self.add_biases(plan.bias[rows]) if drain else 0,
            codebook=plan.codebook,
            multiplier=plan.multiplier,
            shift=plan.shift,
            relu=plan.relu,
            drain=drain,
            swap=swap,
        )
        step = Pass(
            layer=layer,
            first_input=part[0],
            inputs=part[1],
            first_output=output[0],
            outputs=output[1],
            descriptor=descriptor,
        )
        self.passes.append(step)
        return step

    def add_matrix(self, codes: np.ndarray, split: int = 0, widen: int = 0) -> int:
        """Append a matrix behind the others; returns its pointer base."""
        width = self.config.run_bits + widen
        csc = encode(codes, self.config.pes, width, 1 << split)
        base = sum(part.shape[1] for part in self.pointers)
        chunk = self._chunk(width)
        per_line = self.config.entries_per_line(width)
        begins = chunk.first * per_line + chunk.lengths()
        self.pointers.append(pack_pointers(self.config, begins[:, None] + csc.pointers, per_line))
        for pe in range(self.config.pes):
            self._add_entries(chunk, pe, *csc.of_pe(pe))
        return base

    def add_biases(self, bias: np.ndarray) -> int:
        """Append the biases of some outputs, zeros behind them; returns their base."""
        rows = -(-len(bias) // self.config.pes)
        base = sum(part.shape[1] for part in self.biases)
        padded = np.zeros(rows * self.config.pes, np.int64)
        padded[: len(bias)] = bias
        self.biases.append(padded.reshape(rows, self.config.pes).T)
        return base

    def add_rubbish(self, rng: np.random.Generator, widen: int = 0) -> None:
        """Waste a few words of every memory, and some of a line's slots."""
        config, width = self.config, self.config.run_bits + widen
        self.pointers.append(rng.integers(0, config.pointer_limit, (config.pes, rng.integers(4))))
        self.biases.append(rng.integers(-4, 4, (config.pes, rng.integers(3))))
        chunk = self._chunk(width)
        for pe in range(config.pes):
            count = rng.integers(2 * config.entries_per_line(width) + 2)
            code, run = rng.integers(0, config.codes, count), rng.integers(0, 1 << width, count)
            self._add_entries(chunk, pe, code.astype(np.uint8), run.astype(np.uint8))

    def _chunk(self, width: int) -> Chunk:
        """Where entries with runs of that width go: behind the last ones, or in lines of their
        own."""
        pes = self.config.pes
        if not self.chunks or self.chunks[-1].run_bits != width:
            first = np.zeros(pes, np.int64)
            for chunk in self.chunks[-1:]:
                first = chunk.first + [len(lines) for lines in chunk.lines(self.config)]
            none = [np.zeros(0, np.uint8)] * pes
            self.chunks.append(Chunk(width, first, list(none), list(none)))
        return self.chunks[-1]

    def _add_entries(self, chunk: Chunk, pe: int, code: np.ndarray, run: np.ndarray) -> None:
        chunk.code[pe] = np.concatenate([chunk.code[pe], code])
        chunk.run[pe] = np.concatenate([chunk.run[pe], run])

    def end_run(self, feed: Slice | None, fetch: Slice | None) -> None:
        """All passes since the last run's end make a run."""
        begun = sum(len(run.passes) for run in self.runs)
        self.runs.append(Run(passes=tuple(self.passes[begun:]), feed=feed, fetch=fetch))

    def segment(
        self,
        codebooks: np.ndarray,
        feed: Slice | None = None,
        fetch: Slice | None = None,
        *,
        top: bool = False,
    ) -> Segment:
        """All of it as memory words; refuses what does not fit. What is in no run yet is the
        last."""
        if sum(len(run.passes) for run in self.runs) < len(self.passes):
            self.end_run(feed, fetch)
        none = np.zeros((self.config.pes, 0), np.int64)
        pointers, biases = (
            np.concatenate([none, *part], axis=1) for part in (self.pointers, self.biases)
        )
        segment = Segment(
            runs=tuple(self.runs),
            top=top,
            codebooks=codebooks,
            biases=biases,
            pointers=pointers.astype(np.uint32),
            lines=self._lines(),
        )
        for name, room in capacities(self.config).items():
            if segment.sizes()[name] > room:
                used = segment.sizes()[name]
                raise UserError(f"a test's program takes {used} of {name}, there are {room}")
        return self._place(segment)

    def _lines(self) -> np.ndarray:
        """Lines of all PEs, as many as the fullest takes."""
        parts = [chunk.lines(self.config) for chunk in self.chunks]
        words = [np.concatenate([part[pe] for part in parts]) for pe in range(self.config.pes)]
        lines = np.zeros((self.config.pes, max(len(word) for word in words)), np.uint64)
        for pe, word in enumerate(words):
            lines[pe, : len(word)] = word
        return lines

    def _place(self, segment: Segment) -> Segment:
        """The segment with the absolute addresses of where it stands."""
        bases = segment.bases(self.config)
        pointers = segment.pointers.copy()

        def place(step: Pass) -> Pass:
            descriptor = step.descriptor
            return replace(
                step,
                descriptor=replace(
                    descriptor,
                    pointer_base=descriptor.pointer_base + bases.pointers,
                    bias_base=descriptor.bias_base + bases.biases * descriptor.drain,
                    codebook=descriptor.codebook + bases.codebooks,
                ),
            )

        for step in segment.passes:
            first, split = step.descriptor.pointer_base, step.descriptor.split
            end = first + cluster_columns(self.config, step.inputs, split) + 1
            pointers[:, first:end] += np.uint32(bases.lines << self.config.slot_bits)
        runs = tuple(
            replace(run, passes=tuple(place(step) for step in run.passes)) for run in segment.runs
        )
        return replace(segment, runs=runs, pointers=pointers)
