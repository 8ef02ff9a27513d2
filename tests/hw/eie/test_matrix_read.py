"""Sparse matrix read: entries of any span, one in every cycle, no line read twice for a column."""

from itertools import product

import numpy as np
import pytest

from hw.eie import matrix_read
from hw.eie.matrix_read import MatrixRead
from spec.eie.config import EieConfig, preset
from spec.eie.csc import pack_lines
from tests.hw.streams import keep_made, paces, recorder, send, simulate, steady, write_words

pytestmark = pytest.mark.unit

WIDTHS = {
    "1-entry": {"line_bits": 8},
    "2-entries": {"line_bits": 16},
    "4-entries": {"line_bits": 32},
    "8-entries": {"line_bits": 64},
    "4-of-7-bits": {"line_bits": 31, "code_bits": 5, "run_bits": 2},
}


class Bench:
    """A matrix of random entries, a third of them pads, and what a unit makes of spans of it."""

    def __init__(
        self, config: EieConfig, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
    ):
        self.config = config
        self.code = rng.integers(1, config.codes, config.entries) * (
            rng.random(config.entries) < 0.66
        )
        self.run = rng.integers(0, config.longest_run + 1, config.entries)
        self.memories = keep_made(monkeypatch, matrix_read, "Ram")

    @property
    def lines(self) -> np.ndarray:
        widths = {"code_bits": self.config.code_bits, "run_bits": self.config.run_bits}
        return pack_lines(self.code, self.run, **widths, per_line=self.config.entries_per_line)

    def read(self, spans: list[tuple[int, int]], pace=steady):
        """When spans were taken; what was seen in every cycle, both from the end of loading on.

        Seen are: valid and payload of ``o``, ``busy``, ``pad``, and whether a line is read.
        """
        dut = MatrixRead(self.config)
        payloads = [
            {"start": start, "end": end, "value": 5 * k - 99}
            for k, (start, end) in enumerate(spans)
        ]
        samples: list[tuple] = []

        async def feed(ctx) -> list[int]:
            await write_words(ctx, dut.write, self.lines)
            sent = await send(ctx, dut.i, payloads, pace)
            await ctx.tick().repeat(spans[-1][1] - spans[-1][0] + dut.latency)
            return sent

        async def record(ctx) -> None:
            reads = self.memories[-1].read_enable
            await recorder(samples, dut.o.valid, dut.o.payload, dut.busy, dut.pad, reads)(ctx)

        (sent,) = simulate(dut, feed, background=[record])
        return sent, samples[len(self.lines) :]

    def expected(self, spans: list[tuple[int, int]]) -> list[dict]:
        """Entries in the order in which they should be handed on."""
        return [
            {
                "entry": {"code": int(self.code[at]), "run": int(self.run[at])},
                "first": int(at == start),
                "value": 5 * k - 99,
            }
            for k, (start, end) in enumerate(spans)
            for at in range(start, end)
        ]


@pytest.fixture(params=WIDTHS)
def bench(request, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Bench:
    config = preset("tiny", entries=40, **WIDTHS[request.param])
    assert config.entries_per_line == int(request.param[0])
    return Bench(config, rng, monkeypatch)


def all_spans(config: EieConfig) -> list[tuple[int, int]]:
    """Every offset in a line, with every length up to two lines and one."""
    per_line = config.entries_per_line
    sizes = product(range(per_line, 2 * per_line), range(1, 2 * per_line + 2))
    return [(start, start + length) for start, length in sizes]


def test_every_offset_back_to_back(bench: Bench) -> None:
    """Spans across lines, no bubble within one or between two, pads flagged, lines read once."""
    spans = all_spans(bench.config)
    sent, samples = bench.read(spans)
    lengths = [end - start for start, end in spans]
    assert sent == [0, *np.cumsum(lengths)[:-1]]

    entries = bench.expected(spans)
    begin = MatrixRead.latency
    handed = samples[begin : begin + len(entries)]
    assert all(valid for valid, *_ in handed)
    assert [payload for _, payload, *_ in handed] == entries
    assert not any(valid for valid, *_ in samples[:begin])

    # One cycle ahead of the output register, matrix read says what it hands on.
    states = samples[begin - 1 : begin - 1 + len(entries)]
    assert [(busy, pad) for _, _, busy, pad, _ in states] == [
        (1, int(entry["entry"]["code"] == 0)) for entry in entries
    ]
    assert_lines_read(bench.config, spans, samples)


def assert_lines_read(
    config: EieConfig, spans: list[tuple[int, int]], samples: list[tuple]
) -> None:
    """One read for every line that a column touches."""
    per_line = config.entries_per_line
    touched = sum((end - 1) // per_line - start // per_line + 1 for start, end in spans)
    assert sum(reads for *_, reads in samples) == touched


def test_ragged_spans(bench: Bench, rng: np.random.Generator) -> None:
    """With gaps between spans every entry still comes at its time after its span was taken."""
    spans = [all_spans(bench.config)[k] for k in rng.permutation(len(all_spans(bench.config)))[:20]]
    for pace, _ in paces(rng)[2:4]:
        sent, samples = bench.read(spans, pace)
        handed = {cycle: payload for cycle, (valid, payload, *_) in enumerate(samples) if valid}
        cycles = [
            taken + MatrixRead.latency + at
            for taken, (start, end) in zip(sent, spans, strict=True)
            for at in range(end - start)
        ]
        assert handed == dict(zip(cycles, bench.expected(spans), strict=True))
        assert_lines_read(bench.config, spans, samples)
        busy = {cycle for cycle, (_, _, busy, *_) in enumerate(samples) if busy}
        assert busy == {cycle - 1 for cycle in cycles}
        assert not any(pad and not busy for _, _, busy, pad, _ in samples)
