"""The golden model: what the array computes, bit for bit, from the words in its memories.

It walks the same passes over the same memory words as the hardware, so what it proves holds for the
image, not for the network that the image was made from. Sums are exact int64.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.csc import check
from spec.eie.cycles import PassCounts, count_pass
from spec.eie.loading import Turn, count_loads, plan_turns
from spec.eie.program import Pass, Program, Run, Segment, Slice, entry_spans, matrix_of
from spec.eie.vectors import Vectors, empty_outputs, order_of_runs, steps_of
from spec.eie.work import Work, count_work
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
    entries : int
        All of them, pads included.
    work : Work
        What the columns cost.
    """

    row: np.ndarray
    weight: np.ndarray
    start: np.ndarray
    entries: int
    work: Work

    def multiply(self, acts: np.ndarray, rows: int) -> np.ndarray:
        """Exact sums over the non-zero activations. ``acts`` and the result are int64 vectors."""
        active = np.flatnonzero(acts)
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
    columns = csc.global_columns(where.pe, where.column)
    kept = np.flatnonzero(~csc.pads)
    kept = kept[np.argsort(columns[kept], kind="stable")]
    values = segment.codebooks[step.descriptor.codebook - segment.bases(config).codebooks]
    per_column = np.bincount(columns[kept], minlength=step.inputs)
    return Decoded(
        row=csc.global_rows(where.pe, where.local_row)[kept],
        weight=values.astype(np.int64)[csc.code[kept]],
        start=np.concatenate([[0], np.cumsum(per_column)]),
        entries=len(csc.code),
        work=count_work(
            csc,
            config.entries_per_line(csc.run_bits),
            share_pads=config.share_pads,
            starts=entry_spans(config, segment, step)[:, 0],
        ),
    )


class GoldenModel:
    """Runs a :class:`Program` on integers: outputs and every counter.

    Parameters
    ----------
    program : Program
        Checked while it is decoded; what the hardware could not run raises :class:`UserError`.

    Attributes
    ----------
    resident : Segment or None
        What the last run left in the memories, and the next one need not load.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.config = program.config
        self.resident: Segment | None = None

    @cached_property
    def decoded(self) -> list[Decoded]:
        """One per pass, in order of execution."""
        return [
            decode_pass(self.config, segment, step) for _, segment, step in self.program.passes()
        ]

    def run(
        self, batch: np.ndarray, tick: Callable[[int], object] = lambda images: None
    ) -> tuple[np.ndarray, list[PassCounts]]:
        """Run every image of a batch, ``config.lanes`` at a time.

        Parameters
        ----------
        batch : integers, shape (images, inputs), or (images, steps, inputs) of a sequence
            Quantized inputs of the first layer.
        tick : callable
            Told the number of images done since it was last called.

        Returns
        -------
        outputs : int64, shape (images, outputs), or (images, steps, outputs)
        counts : list of PassCounts, in order of execution
            Of ``ceil(images / lanes)`` times each; times the steps, where a pass runs at each.
        """
        lanes, steps = self.config.lanes, steps_of(self.program, batch)
        order = order_of_runs(self.program, steps)
        live: list[list[np.ndarray]] = [[] for _ in self.program.passes()]
        outputs = []
        for first in range(0, len(batch), lanes):
            images = np.asarray(batch[first : first + lanes], np.int64)
            outputs.append(self._run_lanes(images, order, live))
            tick(len(images))
        counts = self._count(
            [
                np.array(rows, np.int64).reshape(-1, step.inputs)
                for rows, (_, _, step) in zip(live, self.program.passes(), strict=True)
            ]
        )
        self._count_loads(counts, order * len(outputs))
        return np.concatenate([empty_outputs(self.program, steps), *outputs]), counts

    def _run_lanes(
        self, images: np.ndarray, order: list[tuple[Segment, Run]], live: list[list[np.ndarray]]
    ) -> np.ndarray:
        """One image per lane: outputs; appends in how many lanes each pass's activations live."""
        config = self.config
        vectors = Vectors(self.program, images)
        store = np.zeros((2, config.lanes, config.acts), np.int64)
        sums = np.zeros((config.lanes, config.act_rows * config.pes), np.int64)
        for segment, run in order:
            source = 0
            if run.feed:
                _feed(store[0], vectors.inputs[run.feed.layer], run.feed, config)
            for number, step in enumerate(run.passes, self._first_pass[id(run)]):
                live[number].append(self._run_pass(number, segment, step, store[source], sums))
                if step.descriptor.drain:
                    self._drain(segment, step, sums, store[1 - source])
                source ^= step.descriptor.swap
            if run.fetch:
                vectors.fetch(run.fetch, store[run.final_half, :, : run.fetch.count])
        return vectors.outputs

    @cached_property
    def _first_pass(self) -> dict[int, int]:
        """Number of each run's first pass, in order of the program."""
        runs = [run for _, run in self.program.runs()]
        firsts = np.cumsum([0, *(len(run.passes) for run in runs)]).tolist()
        return {id(run): first for run, first in zip(runs, firsts, strict=False)}

    def _run_pass(
        self, number: int, segment: Segment, step: Pass, source: np.ndarray, sums: np.ndarray
    ) -> np.ndarray:
        """Add to ``sums``; returns in how many lanes each activation is not zero."""
        base = step.descriptor.input_base * self.config.pes
        inputs = source[:, base : base + step.inputs]
        rows = _act_rows(step) * self.config.pes
        for lane, acts in enumerate(inputs):
            sums[lane, :rows] += self.decoded[number].multiply(acts, rows)
        low, high = signed_bounds(self.config.acc_bits)
        if sums.min() < low or sums.max() > high:
            # The compiler should have refused it: an accumulator would wrap.
            raise UserError(
                f"the image's pass {number}: sums of {sums.min()}...{sums.max()} leave the "
                f"{self.config.acc_bits} bits of an accumulator"
            )
        return np.count_nonzero(inputs, axis=0)

    def _drain(self, segment: Segment, step: Pass, sums: np.ndarray, target: np.ndarray) -> None:
        """Requantize and store the sums of all rows of a pass, and set them to zero."""
        config, descriptor = self.config, step.descriptor
        rows = _act_rows(step)
        first = descriptor.bias_base - segment.bases(config).biases
        bias = segment.biases[:, first : first + rows].T.ravel()
        count, at = rows * config.pes, descriptor.output_base * config.pes
        target[:, at : at + count] = requantize(
            sums[:, :count],
            bias,
            descriptor.multiplier,
            descriptor.shift,
            act_bits=config.act_bits,
            relu=descriptor.relu,
        )
        sums[:, :count] = 0

    def _count(self, live: list[np.ndarray]) -> list[PassCounts]:
        """Counters of all passes, but for the words that were loaded."""
        counts: list[PassCounts] = []
        for _, run in self.program.runs():
            before: np.ndarray | int = 0
            for step in run.passes:
                number = len(counts)
                count = count_pass(
                    self.config, step.descriptor, live[number], self.decoded[number].work, before
                )
                before = count.from_first_row
                counts.append(count)
        return counts

    def _count_loads(self, counts: list[PassCounts], order: list[tuple[Segment, Run]]) -> None:
        """Fill in ``loads`` and ``hidden``, run by run as they were made."""
        turns = plan_turns(self.config, order, self.resident)
        places = list(self._places(turns))
        cycles = [
            np.array([one.of("cycles")[time] for one in counts[span]]) for span, time in places
        ]
        loads, hidden = count_loads(self.config, turns, cycles)
        for (span, time), words, behind in zip(places, loads, hidden, strict=True):
            counts[span.start].of("loads")[time] = words
            for one, part in zip(counts[span], behind, strict=True):
                one.of("hidden")[time] = part
        if turns:
            self.resident = turns[-1].segment

    def _places(self, turns: list[Turn]) -> Iterator[tuple[slice, int]]:
        """The passes of each turn, and how often they ran before."""
        ran: Counter[int] = Counter()
        for turn in turns:
            first = self._first_pass[id(turn.run)]
            yield slice(first, first + len(turn.run.passes)), ran[first]
            ran[first] += 1


def _act_rows(step: Pass) -> int:
    """Rows of activations that a pass computes."""
    return step.descriptor.rows >> step.descriptor.split


def _feed(half: np.ndarray, vector: np.ndarray, feed: Slice, config: EieConfig) -> None:
    """Write a slice into whole rows of a half, zeros behind it. Lanes first."""
    rows = -(-feed.count // config.pes) * config.pes
    half[:, : feed.count] = vector[:, feed.first : feed.first + feed.count]
    half[:, feed.count : rows] = 0


def check_batch(program: Program, batch: np.ndarray) -> np.ndarray:
    """The batch as int64, or a :class:`UserError` that says what a batch must be."""
    batch = np.asarray(batch)
    shape = "(images, steps, {})" if program.per_step else "(images, {})"
    dimensions = 3 if program.per_step else 2
    if batch.ndim != dimensions or batch.shape[-1] != program.inputs or 0 in batch.shape[1:]:
        wanted = shape.format(program.inputs)
        raise UserError(f"input has shape {batch.shape}, must be {wanted}")
    if not np.issubdtype(batch.dtype, np.integer):
        raise UserError(f"a device takes integers, the input is {batch.dtype}; quantize it first")
    low, high = signed_bounds(program.config.act_bits)
    if batch.size and (batch.min() < low or batch.max() > high):
        raise UserError(
            f"input reaches {batch.min()}...{batch.max()}, must stay within {low}...{high}"
        )
    return batch.astype(np.int64)
