"""Sparse matrix read, with row accumulate behind it: rows of any span, when, and lines read."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.matrix_read import MatrixRead
from hw.eie.payloads import MemoryWrite, element_settings_layout, span_layout, update_layout
from hw.eie.row_accumulate import RowAccumulate
from hw.streams import steady
from spec.eie.config import EieConfig, preset
from spec.eie.csc import Csc, locate
from spec.eie.lines import pack_lines, pack_pointers
from spec.eie.work import Work, count_work
from tests.hw.streams import Pace, ragged, recorder, send, simulate, write_words
from tests.hw.streams import steady as always

pytestmark = pytest.mark.unit

LINES = 6
WIDTHS = {
    "1 in a line": {"line_bits": 8, "run_bits_most": 4},
    "2, or 1": {"line_bits": 16},
    "4 to 3": {"line_bits": 32},
    "8 to 6": {"line_bits": 64, "lanes": 2},
    "6 to 2": {"line_bits": 31, "code_bits": 3, "run_bits": 2, "run_bits_most": 8},
    "21": {"line_bits": 64, "code_bits": 2, "run_bits": 1, "run_bits_most": 2},
}
MOST_SPANS = 150


class Walk(wiring.Component):
    """The two units; ``latency`` is from a span on ``i`` to its first update on ``o``."""

    latency = MatrixRead.latency + RowAccumulate.latency

    def __init__(self, config: EieConfig):
        self.matrix = MatrixRead(config)
        self.rows = RowAccumulate(config)
        super().__init__(
            {
                "i": In(stream.Signature(span_layout(config))),
                "o": Out(steady(update_layout(config))),
                "settings": In(element_settings_layout(config)),
                "write": In(MemoryWrite(config.line_address_bits, config.line_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.matrix = matrix = self.matrix
        m.submodules.rows = rows = self.rows
        connect(m, flipped(self.i), matrix.i)
        connect(m, flipped(self.write), matrix.write)
        connect(m, matrix.o, rows.i)
        connect(m, rows.o, flipped(self.o))
        m.d.comb += [matrix.settings.eq(self.settings), rows.rows.eq(self.settings.rows)]
        return m


@dataclass(frozen=True)
class Matrix:
    """Memory words, and columns that are any spans of them.

    Attributes
    ----------
    code, run : the entries, from the first slot of line 0 on
    spans : where each column begins and ends, in entries, shape (columns, 2)
    """

    config: EieConfig
    run_bits: int
    code: np.ndarray
    run: np.ndarray
    spans: np.ndarray

    @property
    def per_line(self) -> int:
        return self.config.entries_per_line(self.run_bits)

    @property
    def lines(self) -> np.ndarray:
        widths = {"code_bits": self.config.code_bits, "run_bits": self.run_bits}
        return pack_lines(self.code, self.run, **widths, per_line=self.per_line)

    @property
    def payloads(self) -> list[dict]:
        """The spans as pointer read gives them; values tell them apart."""
        slot_bits = self.config.slot_bits
        pointers = pack_pointers(self.config, self.spans, self.per_line)
        ends = [
            [
                {"slot": int(at) & ((1 << slot_bits) - 1), "line": int(at) >> slot_bits}
                for at in pair
            ]
            for pair in pointers
        ]
        return [
            {"start": start, "end": end, "values": values_of(self.config, number)}
            for number, (start, end) in enumerate(ends)
        ]

    @cached_property
    def csc(self) -> Csc:
        """The same as a matrix of one column, in which every span has a PE of its own."""
        items = np.concatenate([np.arange(start, end) for start, end in self.spans])
        lengths = self.spans[:, 1] - self.spans[:, 0]
        pointers = np.stack([0 * lengths, lengths], axis=1)
        code, run = self.code[items], self.run[items]
        return Csc(self.config.rows, 1, len(lengths), self.run_bits, code, run, pointers)

    @property
    def work(self) -> Work:
        share, starts = self.config.share_pads, self.spans[:, 0]
        return count_work(self.csc, self.per_line, share_pads=share, starts=starts)

    @property
    def updates(self) -> list[dict]:
        """Rows of all weights, in order."""
        where, kept = locate(self.csc), ~self.csc.pads
        return [
            {"row": int(row), "values": values_of(self.config, int(number))}
            for row, number in zip(where.local_row[kept], where.pe[kept], strict=True)
        ]


def span_of(config: EieConfig, start: int, end: int, values: list[int]) -> dict:
    """What pointer read makes of two pointers."""
    ends = (
        {"slot": pointer & ((1 << config.slot_bits) - 1), "line": pointer >> config.slot_bits}
        for pointer in (start, end)
    )
    return dict(zip(("start", "end"), ends, strict=True)) | {"values": values}


def values_of(config: EieConfig, number: int) -> list[int]:
    return [5 * number - 99 + lane for lane in range(config.lanes)]


def random_matrix(
    rng: np.random.Generator, config: EieConfig, run_bits: int, pads: float = 0.4
) -> Matrix:
    """Spans of all lengths up to two lines and one, from every slot; some, if these are many."""
    per_line = config.entries_per_line(run_bits)
    count = LINES * per_line
    code = rng.integers(1, config.codes, count) * (rng.random(count) >= pads)
    run = rng.integers(0, 1 << run_bits, count)
    sizes = product(range(per_line, 2 * per_line), range(1, 2 * per_line + 2))
    spans = np.array([(start, start + length) for start, length in sizes])
    spans = spans[rng.permutation(len(spans))[:MOST_SPANS]]
    return Matrix(config, run_bits, code.astype(np.uint8), run.astype(np.uint8), spans)


def read(matrix: Matrix, pace: Pace = always) -> tuple[list[int], list[tuple]]:
    """When spans were taken; what was seen in every cycle, both from the end of loading on.

    Seen are: valid and payload of ``o``, matrix read's ``busy``, ``pad`` and ``reads``, and the
    error.
    """
    dut = Walk(matrix.config)
    inside = dut.matrix
    samples: list[tuple] = []
    outputs = (dut.o.valid, dut.o.payload, inside.busy, inside.pad, inside.reads, dut.rows.error)

    async def feed(ctx) -> list[int]:
        ctx.set(dut.settings.widen, matrix.run_bits - matrix.config.run_bits)
        ctx.set(dut.settings.rows, matrix.config.rows)
        await write_words(ctx, dut.write, matrix.lines)
        sent = await send(ctx, dut.i, matrix.payloads, pace)
        await ctx.tick().repeat(len(matrix.code) + dut.latency)
        return sent

    (sent,) = simulate(dut, feed, background=[recorder(samples, *outputs)])
    return sent, samples[len(matrix.lines) :]


def assert_read(matrix: Matrix, sent: list[int], samples: list[tuple]) -> None:
    """Every column takes the model's cycles, all its rows come, its lines are read once."""
    work = matrix.work
    assert [update for valid, update, *_ in samples if valid] == matrix.updates
    assert not any(error for *_, error in samples)

    # A column is at work from the cycle after it was taken on, without a gap.
    cycles, pads, lines = work.cycles[0], work.pads[0], work.lines[0]
    busy = np.zeros(len(samples), bool)
    for taken, length, alone, touched in zip(sent, cycles, pads, lines, strict=True):
        span = slice(taken + 1, taken + 1 + length)
        assert not busy[span].any()
        busy[span] = True
        on_the_way = slice(span.start + 1, span.stop + 1)
        assert sum(pad for *_, pad, _, _ in samples[on_the_way]) == alone
        # The first line is read together with the taking, the last cycle reads the next one's.
        assert sum(reads for *_, reads, _ in samples[taken : taken + length]) == touched
    assert [bool(one[2]) for one in samples] == busy.tolist()
    assert sum(reads for *_, reads, _ in samples) == lines.sum()
    handed = {cycle for cycle, (valid, *_) in enumerate(samples) if valid}
    alone = {cycle - 1 for cycle, (_, _, _, pad, *_) in enumerate(samples) if pad}
    at_work = set(np.flatnonzero(busy).tolist())
    assert handed == {cycle + Walk.latency - 1 for cycle in at_work - alone}


@pytest.fixture(params=WIDTHS)
def config(request) -> EieConfig:
    return preset("tiny", lines=LINES, rows=1 << 14, **WIDTHS[request.param])


def run_widths(config: EieConfig) -> range:
    return range(config.run_bits, config.run_bits_most + 1)


@pytest.mark.parametrize("share", [False, True])
def test_every_offset_back_to_back(config, share, rng):
    """Spans across lines, of every width of runs: no bubble within one or between two."""
    config = replace(config, share_pads=share)
    for run_bits in run_widths(config):
        matrix = random_matrix(rng, config, run_bits)
        sent, samples = read(matrix)
        assert sent == [0, *np.cumsum(matrix.work.cycles[0])[:-1]]
        assert_read(matrix, sent, samples)


@pytest.mark.parametrize("pads", [0.0, 0.5, 0.9])
def test_ragged_spans(config, pads, rng):
    """With gaps between spans every one still takes the time of the model from its taking on."""
    run_bits = int(rng.choice(run_widths(config)))
    for share in (0.5, 0.2):
        matrix = random_matrix(rng, config, run_bits, pads)
        matrix = replace(matrix, spans=matrix.spans[:25])
        assert_read(matrix, *read(matrix, ragged(rng, share)))


@pytest.mark.parametrize("run_bits", [2, 3, 6])
def test_slots_that_no_line_has(run_bits, rng):
    """Any pair of pointers comes to an end, and the column behind it is read as if alone."""
    config = preset("tiny", lines=2, rows=1 << 14, **WIDTHS["6 to 2"])
    matrix = random_matrix(rng, preset("tiny", lines=LINES, **WIDTHS["6 to 2"]), run_bits)
    count = 2 * matrix.per_line
    code, run = matrix.code[:count], matrix.run[:count]
    good = Matrix(config, run_bits, code, run, np.array([[0, count]]))
    pairs = list(combinations(range(config.pointer_limit + 1), 2))
    dut = Walk(config)
    samples: list[tuple] = []

    async def feed(ctx) -> list[int]:
        ctx.set(dut.settings.widen, run_bits - config.run_bits)
        ctx.set(dut.settings.rows, config.rows)
        await write_words(ctx, dut.write, good.lines)
        spans = [span for pair in pairs for span in (span_of(config, *pair, [7]), *good.payloads)]
        sent = await send(ctx, dut.i, spans)
        await ctx.tick().repeat(count + dut.latency)
        return sent

    record = recorder(samples, dut.o.valid, dut.o.payload)
    (sent,) = simulate(dut, feed, background=[record])
    for (start, end), taken, left in zip(pairs, sent[::2], sent[1::2], strict=True):
        assert 1 <= left - taken <= end - start
    updates = [update for valid, update in samples if valid and update["values"] != [7]]
    assert updates == good.updates * len(pairs)
