"""Row accumulate: rows of entries as :func:`spec.eie.csc.locate` finds them, and the last row."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from hw.eie.row_accumulate import RowAccumulate
from spec.eie.config import EieConfig, preset
from spec.eie.csc import Csc, encode, locate
from tests.hw.streams import play

pytestmark = pytest.mark.unit


class Column(NamedTuple):
    """Entries of one column in one PE, and how many rows the pass has."""

    code: tuple[int, ...]
    run: tuple[int, ...]
    rows: int


def local_rows(config: EieConfig, columns: list[Column]) -> np.ndarray:
    """Where all entries stand, by the model."""
    ends = np.cumsum([0] + [len(column.code) for column in columns])
    code, run = (
        np.array([item for column in columns for item in getattr(column, name)], np.uint8)
        for name in ("code", "run")
    )
    return locate(
        Csc(config.rows, len(columns), 1, config.run_bits, code, run, ends[None])
    ).local_row


def assert_rows(
    config: EieConfig, columns: list[Column], rng: np.random.Generator | None = None
) -> None:
    """Updates and errors of all columns, one behind the other, with gaps if ``rng`` draws them."""
    steps: list[dict] = []
    entries: list[tuple[int, int, int]] = []
    for number, column in enumerate(columns):
        for at, (code, run) in enumerate(zip(column.code, column.run, strict=True)):
            while rng is not None and rng.random() < 0.4:
                rubbish = {
                    "entry": {"code": 1, "run": config.longest_run},
                    "first": int(rng.integers(2)),
                }
                steps.append({"i.valid": 0, "i.payload": {**rubbish, "value": 0}})
            entries.append((len(steps), code, column.rows))
            entry = {
                "entry": {"code": code, "run": run},
                "first": int(at == 0),
                "value": number % 50,
            }
            steps.append({"i.valid": 1, "i.payload": entry, "rows": column.rows})
    steps.append({"i.valid": 0})

    updates: dict[int, dict[str, int]] = {}
    errors = set()
    for (cycle, code, rows), row in zip(entries, local_rows(config, columns), strict=True):
        if code and row < rows:
            value = steps[cycle]["i.payload"]["value"]
            updates[cycle + RowAccumulate.latency] = {"row": int(row), "value": value}
        elif code:
            errors.add(cycle)
    found = play(RowAccumulate(config), steps, ["o.valid", "o.payload", "error"])
    assert {cycle: payload for cycle, (valid, payload, _) in enumerate(found) if valid} == updates
    assert {cycle for cycle, (*_, error) in enumerate(found) if error} == errors


def test_every_short_column() -> None:
    """All columns of up to three entries with runs of two bits, for few rows and many."""
    config = preset("tiny", rows=5, run_bits=2)
    columns = [
        Column(code, run, rows)
        for length in (1, 2, 3)
        for code in product((0, 1), repeat=length)
        for run in product(range(4), repeat=length)
        for rows in (1, 3, 5)
    ]
    assert_rows(config, columns)


@pytest.mark.parametrize(
    ("rows", "run_bits", "length"), [(1, 1, 4), (2, 1, 4), (3, 1, 5), (2, 2, 4)]
)
def test_once_out_stays_out(rows: int, run_bits: int, length: int) -> None:
    """Columns that could wrap the row counter: behind the last row no entry ever counts again."""
    config = preset("tiny", rows=rows, run_bits=run_bits)
    runs = product(range(1 << run_bits), repeat=length)
    codes = [(1,) * length, (0,) * (length - 1) + (1,), (1,) + (0,) * (length - 2) + (1,)]
    assert_rows(config, [Column(code, run, rows) for run in runs for code in codes])


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 256])
def test_all_pads_until_the_counter_is_full(rows: int) -> None:
    """Columns of pads, then an entry in the first or last row, behind it, and far beyond."""
    config = preset("tiny", rows=rows)
    columns = []
    for target in {0, rows - 1, rows, rows + 1, 2 * rows, 600}:
        pads, run = divmod(target, config.longest_run + 1)
        code = (0,) * pads + (3, 1)
        columns.append(Column(code, (config.longest_run,) * pads + (run, 0), rows))
    assert_rows(config, columns)


@pytest.mark.parametrize("run_bits", [1, 3, 4, 8])
def test_random_matrix_with_gaps(run_bits: int, rng: np.random.Generator) -> None:
    """Columns as the packer makes them, with gaps in the stream, dense to nearly empty."""
    config = preset("tiny", rows=64, run_bits=run_bits)
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
