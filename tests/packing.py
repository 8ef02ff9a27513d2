"""Packing layers into memory words for tests, without the compiler: tiles, segments, gaps."""

from dataclasses import dataclass, field

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import encode, pack_lines
from spec.eie.descriptor import Descriptor
from spec.eie.program import Pass, Segment, Slice
from spec.errors import UserError

Span = tuple[int, int]
"""First and count."""


@dataclass(frozen=True)
class Plan:
    """A layer: its weights as codes, shape (outputs, inputs), and all that drain needs."""

    codes: np.ndarray
    codebook: int
    bias: np.ndarray
    multiplier: int
    shift: int
    relu: bool


def pack_layers(
    config: EieConfig,
    codebooks: np.ndarray,
    plans: list[Plan],
    *,
    tiles: tuple[int, int] = (1, 1),
    gaps: np.random.Generator | None = None,
) -> tuple[Segment, ...]:
    """One segment, every layer cut into at most ``tiles`` passes along outputs and along inputs.

    A generator for ``gaps`` draws unused words in front of everything, filled with rubbish, and
    places in the activation store for the hidden layers.
    """
    builder = Builder(config)
    source, final = 0, len(plans) - 1
    for index, plan in enumerate(plans):
        room = config.act_rows + 1 - -(-len(plan.codes) // config.pes)
        target = int(gaps.integers(room)) if gaps and index < final else 0
        passes = _tiles(plan, tiles, config.pes)
        for output, part in passes:
            if gaps:
                builder.add_rubbish(gaps)
            bases = (source + part[0] // config.pes, target + output[0] // config.pes)
            builder.add_pass(index, plan, output, part, bases, swap=(output, part) == passes[-1])
        source = target
    feed = Slice(layer=0, first=0, count=plans[0].codes.shape[1])
    return (
        builder.segment(codebooks, feed, Slice(layer=final, first=0, count=len(plans[-1].codes))),
    )


def pack_passes(
    config: EieConfig, codebooks: np.ndarray, plans: list[Plan], *, tiles: tuple[int, int] = (1, 1)
) -> tuple[Segment, ...]:
    """The same passes, each in a segment of its own; sums stay in the accumulators in between."""
    segments = []
    for index, plan in enumerate(plans):
        for output, part in _tiles(plan, tiles, config.pes):
            builder = Builder(config)
            step = builder.add_pass(index, plan, output, part, (0, 0), swap=False)
            feed = Slice(layer=index, first=part[0], count=part[1])
            fetch = Slice(layer=index, first=output[0], count=output[1])
            segments.append(
                builder.segment(codebooks, feed, fetch if step.descriptor.drain else None)
            )
    return tuple(segments)


def _tiles(plan: Plan, tiles: tuple[int, int], pes: int) -> list[tuple[Span, Span]]:
    """Outputs and inputs of each pass over a layer; all inputs of an output come in a row."""
    outputs, inputs = (
        _cuts(size, parts, pes) for size, parts in zip(plan.codes.shape, tiles, strict=True)
    )
    return [(output, part) for output in outputs for part in inputs]


def _cuts(size: int, parts: int, pes: int) -> list[Span]:
    """At most ``parts`` spans, all but the last a multiple of ``pes`` long."""
    rows = -(-size // pes)
    step = -(-rows // min(parts, rows)) * pes
    return [(first, min(step, size - first)) for first in range(0, size, step)]


@dataclass
class Builder:
    """Memory contents of one segment, growing pass by pass."""

    config: EieConfig
    codes: list[list[np.ndarray]] = field(init=False)
    runs: list[list[np.ndarray]] = field(init=False)
    ends: np.ndarray = field(init=False)
    pointers: list[np.ndarray] = field(default_factory=list)
    biases: list[np.ndarray] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)

    def __post_init__(self) -> None:
        pes = self.config.pes
        self.codes, self.runs = [[] for _ in range(pes)], [[] for _ in range(pes)]
        self.ends = np.zeros(pes, np.int64)

    def add_pass(
        self,
        layer: int,
        plan: Plan,
        output: Span,
        part: Span,
        bases: tuple[int, int],
        *,
        swap: bool,
    ) -> Pass:
        """Append one tile: some outputs, some inputs. It drains if those are the last inputs."""
        pes = self.config.pes
        rows, columns = (slice(first, first + count) for first, count in (output, part))
        drain = sum(part) == plan.codes.shape[1]
        descriptor = Descriptor(
            pointer_base=self.add_matrix(plan.codes[rows, columns]),
            columns=part[1],
            input_rows=-(-part[1] // pes),
            input_base=bases[0],
            rows=-(-output[1] // pes),
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

    def add_matrix(self, codes: np.ndarray) -> int:
        """Append a matrix behind the others; returns its pointer base."""
        csc = encode(codes, self.config.pes, self.config.run_bits)
        base = sum(part.shape[1] for part in self.pointers)
        self.pointers.append(self.ends[:, None] + csc.pointers)
        for pe in range(self.config.pes):
            self._add_entries(pe, *csc.of_pe(pe))
        return base

    def add_biases(self, bias: np.ndarray) -> int:
        """Append the biases of some outputs, zeros behind them; returns their base."""
        rows = -(-len(bias) // self.config.pes)
        base = sum(part.shape[1] for part in self.biases)
        padded = np.zeros(rows * self.config.pes, np.int64)
        padded[: len(bias)] = bias
        self.biases.append(padded.reshape(rows, self.config.pes).T)
        return base

    def add_rubbish(self, rng: np.random.Generator) -> None:
        """Waste a few words of every memory."""
        config = self.config
        self.pointers.append(rng.integers(0, config.entries, (config.pes, rng.integers(4))))
        self.biases.append(rng.integers(-4, 4, (config.pes, rng.integers(3))))
        for pe in range(config.pes):
            count = rng.integers(2 * config.entries_per_line + 2)
            code, run = (
                rng.integers(0, config.codes, count),
                rng.integers(0, 1 << config.run_bits, count),
            )
            self._add_entries(pe, code.astype(np.uint8), run.astype(np.uint8))

    def _add_entries(self, pe: int, code: np.ndarray, run: np.ndarray) -> None:
        self.codes[pe].append(code)
        self.runs[pe].append(run)
        self.ends[pe] += len(code)

    def segment(self, codebooks: np.ndarray, feed: Slice | None, fetch: Slice | None) -> Segment:
        """All of it as memory words; refuses what does not fit."""
        none = np.zeros((self.config.pes, 0), np.int64)
        pointers, biases = (
            np.concatenate([none, *part], axis=1) for part in (self.pointers, self.biases)
        )
        for name, used in (
            ("columns", pointers.shape[1]),
            ("biases", biases.shape[1]),
            ("entries", int(self.ends.max())),
            ("layers", len(self.passes)),
        ):
            room = getattr(self.config, name)
            if used > room:
                raise UserError(f"a test's program takes {used} of {name}, there are {room}")
        return Segment(
            passes=tuple(self.passes),
            feed=feed,
            fetch=fetch,
            codebooks=codebooks,
            biases=biases,
            pointers=pointers.astype(np.uint32),
            lines=self._lines(),
        )

    def _lines(self) -> np.ndarray:
        """Lines of all PEs, as many as the fullest takes."""
        config = self.config
        widths = {
            "code_bits": config.code_bits,
            "run_bits": config.run_bits,
            "per_line": config.entries_per_line,
        }
        words = [
            pack_lines(np.concatenate(code), np.concatenate(run), **widths)
            for code, run in zip(self.codes, self.runs, strict=True)
        ]
        lines = np.zeros((config.pes, max(len(word) for word in words)), np.uint64)
        for pe, word in enumerate(words):
            lines[pe, : len(word)] = word
        return lines
