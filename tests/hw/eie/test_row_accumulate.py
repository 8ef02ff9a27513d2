"""Row accumulate: rows of entries as :func:`spec.eie.csc.locate` finds them, and the last row."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from hw.eie.row_accumulate import RowAccumulate
from spec.eie.config import EieConfig, preset
from spec.eie.csc import Csc, encode, locate
from tests.hw.streams import play

pytestmark = pytest.mark.unit

REACH = 16
"""Rows that the longest run of 4 bits bridges, itself and its entry."""


class Column(NamedTuple):
    """Entries of one column in one PE, how many rows the pass has, and which entries take the one
    behind them along in their cycle."""

    code: tuple[int, ...]
    run: tuple[int, ...]
    rows: int
    pairs: tuple[int, ...] = ()


def tiny(run_bits: int = 4, **fields: int) -> EieConfig:
    return preset("tiny", run_bits=run_bits, run_bits_most=run_bits, **fields)


def items_of(column: Column) -> Iterator[tuple[dict, int]]:
    """What matrix read makes of a column, and which entry each item is about."""
    at = 0
    while at < len(column.code):
        together = at in column.pairs
        weight = at + (together and column.code[at] == 0)
        pad = 2 * at + 1 - weight
        yield (
            {
                "entry": {"code": column.code[weight], "run": column.run[weight]},
                "first": int(at == 0),
                "jump": column.run[pad] + 1 if together else 0,
                "behind": int(weight == at),
            },
            weight,
        )
        at += 1 + together


def local_rows(config: EieConfig, columns: list[Column]) -> list[list[int]]:
    """Where the entries of each column stand, by the model."""
    ends = np.cumsum([0] + [len(column.code) for column in columns])
    code, run = (
        np.array([item for column in columns for item in getattr(column, name)], np.uint8)
        for name in ("code", "run")
    )
    csc = Csc(config.rows, len(columns), 1, config.run_bits, code, run, ends[None])
    return [part.tolist() for part in np.split(locate(csc).local_row, ends[1:-1])]


def assert_rows(
    config: EieConfig, columns: list[Column], rng: np.random.Generator | None = None
) -> None:
    """Updates and errors of all columns, one behind the other, with gaps if ``rng`` draws them."""
    steps: list[dict] = []
    updates: dict[int, dict] = {}
    errors = set()
    rubbish = {"entry": {"code": 1, "run": 1}, "first": 1, "jump": 1, "behind": 1, "values": [0]}
    for number, (column, rows) in enumerate(zip(columns, local_rows(config, columns), strict=True)):
        for item, entry in items_of(column):
            while rng is not None and rng.random() < 0.4:
                steps.append({"i.valid": 0, "i.payload": rubbish | {"first": int(rng.integers(2))}})
            if column.code[entry] and rows[entry] < column.rows:
                update = {"row": rows[entry], "values": [number % 50]}
                updates[len(steps) + RowAccumulate.latency] = update
            elif column.code[entry]:
                errors.add(len(steps))
            payload = item | {"values": [number % 50]}
            steps.append({"i.valid": 1, "i.payload": payload, "rows": column.rows})
    steps.append({"i.valid": 0})

    found = play(RowAccumulate(config), steps, ["o.valid", "o.payload", "error"])
    assert {cycle: payload for cycle, (valid, payload, _) in enumerate(found) if valid} == updates
    assert {cycle for cycle, (*_, error) in enumerate(found) if error} == errors


def pairings(code: tuple[int, ...], at: int = 0) -> Iterator[tuple[int, ...]]:
    """Every way in which a pad may share the cycle of a neighbour, from an entry on."""
    if at >= len(code) - 1:
        yield ()
        return
    yield from pairings(code, at + 1)
    if (code[at] == 0) != (code[at + 1] == 0):
        yield from ((at, *rest) for rest in pairings(code, at + 2))


def test_every_short_column() -> None:
    """All columns of up to three entries with runs of two bits, their pads shared in every way."""
    columns = [
        Column(code, run, rows, pairs)
        for length in (1, 2, 3)
        for code in product((0, 1), repeat=length)
        for pairs in pairings(code)
        for run in product(range(4), repeat=length)
        for rows in (1, 3, 5)
    ]
    assert_rows(tiny(2, rows=5), columns)


@pytest.mark.parametrize(
    ("rows", "run_bits", "length"), [(1, 1, 4), (2, 1, 4), (3, 1, 5), (2, 2, 4)]
)
def test_once_out_stays_out(rows: int, run_bits: int, length: int) -> None:
    """Columns that could wrap the row counter: behind the last row no entry ever counts again."""
    runs = product(range(1 << run_bits), repeat=length)
    codes = [(1,) * length, (0,) * (length - 1) + (1,), (1,) + (0,) * (length - 2) + (1,)]
    columns = [
        Column(code, run, rows, pairs) for run in runs for code in codes for pairs in pairings(code)
    ]
    assert_rows(tiny(run_bits, rows=rows), columns)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 256])
def test_all_pads_until_the_counter_is_full(rows: int, shared: bool) -> None:
    """Columns of pads, then an entry in the first or last row, behind it, and far beyond."""
    columns = []
    for target in {0, rows - 1, rows, rows + 1, 2 * rows, 600}:
        pads, run = divmod(target, REACH)
        code = (0,) * pads + (3, 1)
        pairs = (pads - 1,) if shared and pads else ()
        columns.append(Column(code, (REACH - 1,) * pads + (run, 0), rows, pairs))
    assert_rows(tiny(rows=rows), columns)


@pytest.mark.parametrize(("rows", "run_bits"), [(1, 8), (2, 6), (256, 8), (300, 4)])
def test_the_longest_jumps(rows: int, run_bits: int) -> None:
    """A pad behind an entry and one in front of the next, both as long as they may be."""
    most = (1 << run_bits) - 1
    codes = [(1, 0, 0, 1, 1), (0, 1, 0, 1, 0, 0, 1)]
    columns = [
        Column(code, tuple(most * on for on in runs), rows, pairs)
        for code in codes
        for runs in product((0, 1), repeat=len(code))
        for pairs in pairings(code)
    ]
    assert_rows(tiny(run_bits, rows=rows), columns)


@pytest.mark.parametrize("run_bits", [1, 3, 4, 8])
def test_random_matrix_with_gaps(run_bits: int, rng: np.random.Generator) -> None:
    """Columns as the packer makes them, with gaps in the stream, dense to nearly empty."""
    config = tiny(run_bits, rows=64)
    codes = rng.integers(1, config.codes, (64, 24)) * (
        rng.random((64, 24)) < rng.choice([0.03, 0.2, 0.8], 24)
    )
    csc = encode(codes.astype(np.uint8), 1, run_bits)
    columns = []
    for start, end in zip(csc.pointers[0], csc.pointers[0, 1:], strict=False):
        if start < end:
            code, run = (tuple(map(int, words[start:end])) for words in csc.of_pe(0))
            columns.append(Column(code, run, int(rng.choice([64, 64, 40]))))
    assert_rows(config, columns, rng)
