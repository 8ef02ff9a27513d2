"""Scan, over activations and non-zero detection: which columns are broadcast, and when."""

from itertools import product

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.lnzd import Lnzd
from hw.eie.payloads import column_layout
from hw.eie.scan import Scan
from spec.eie.config import EieConfig, preset
from spec.eie.cycles import _rows_after, _rows_before
from spec.eie.descriptor import Descriptor
from tests.hw.streams import paces, plain, ragged, simulate, steady

pytestmark = pytest.mark.unit


class ScanOver(wiring.Component):
    """Scan with non-zero detection and one memory in place of all activation stores."""

    def __init__(self, config: EieConfig, halves: np.ndarray):
        """``halves`` are activations, shape (2, act_rows, pes)."""
        self.config = config
        self.halves = halves
        self.scan = Scan(config)
        super().__init__(
            {"o": Out(stream.Signature(column_layout(config))), "begin": In(1), "half": In(1)}
        )

    def elaborate(self, platform):
        config, scan = self.config, self.scan
        mask = (1 << config.act_bits) - 1
        words = np.zeros((2, 1 << config.act_row_bits, config.pes), object)
        words[:, : config.act_rows] = self.halves & mask
        shifts = 1 << (config.act_bits * np.arange(config.pes)).astype(object)
        m = Module()
        m.submodules.scan = scan
        m.submodules.lnzd = lnzd = Lnzd(config)
        m.submodules.acts = acts = memory.Memory(
            shape=config.act_bits * config.pes,
            depth=2 << config.act_row_bits,
            init=[int(word) for word in (words.reshape(-1, config.pes) * shifts).sum(axis=1)],
        )
        read = acts.read_port()
        connect(m, scan.o, flipped(self.o))
        m.d.comb += [
            read.en.eq(scan.row_enable),
            read.addr.eq(scan.row_address),
            scan.candidate.eq(lnzd.o),
            lnzd.pending.eq(scan.pending),
            scan.begin.eq(self.begin),
            scan.half.eq(self.half),
        ]
        for pe in range(config.pes):
            m.d.comb += lnzd.acts[pe].eq(read.data.word_select(pe, config.act_bits))
        return m


def descriptor(config: EieConfig, **values: int) -> Descriptor:
    zeros = dict.fromkeys(
        ("input_base", "rows", "output_base", "bias_base", "codebook", "shift"), 0
    )
    columns = values["columns"]
    rest = {"input_rows": -(-columns // config.pes), "pointer_base": 0, "multiplier": 1}
    return Descriptor(**(zeros | rest | values), relu=False, drain=True, swap=True)


def run(config: EieConfig, acts: np.ndarray, passes: list[tuple[Descriptor, int]], pace=steady):
    """Run (descriptor, source half): offers as (cycle, column), last active cycle, errors of each.

    Cycles count from the first look at a row.
    """
    dut = ScanOver(config, acts)
    scan = dut.scan

    async def testbench(ctx) -> list[tuple]:
        results = []
        for step, half in passes:
            for name in scan.settings.shape().members:
                ctx.set(getattr(scan.settings, name), int(getattr(step, name)))
            ctx.set(dut.half, half)
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            offers, errors, cycle, active = [], 0, 0, 1
            while True:
                willing = pace()
                ctx.set(dut.o.ready, willing)
                _, _, active, valid, payload, error = await ctx.tick().sample(
                    scan.active, dut.o.valid, dut.o.payload, scan.error
                )
                if not active:
                    break
                errors += error
                if valid and willing:
                    offers.append((cycle, plain(payload)))
                cycle += 1
            results.append((offers, cycle - 1, errors))
        return results

    return simulate(dut, testbench)[0]


def expected(config: EieConfig, acts: np.ndarray, step: Descriptor, half: int) -> tuple:
    """The same, with the cycle model's cost of rows, for a taker that is always ready."""
    vector = acts[half, step.input_base :].reshape(-1)[: step.columns]
    columns = np.flatnonzero(vector)
    cycles = np.cumsum(_rows_before(config, columns) + 1) - 1
    offers = [
        (int(cycle), {"pointer": step.pointer_base + int(column), "value": int(vector[column])})
        for cycle, column in zip(cycles, columns, strict=True)
    ]
    last = int(cycles[-1]) if len(cycles) else -1
    return offers, last + int(_rows_after(config, step, [columns])[0]), 0


both_modes = pytest.mark.parametrize("scan_ahead", [False, True])


@both_modes
@pytest.mark.parametrize(("pes", "rows"), [(1, 3), (2, 3), (3, 2)])
def test_every_pattern_of_zeros(scan_ahead: bool, pes: int, rows: int) -> None:
    """All patterns over a few rows, one pass behind the other."""
    config = preset(
        "tiny", pes=pes, act_rows=rows << pes * rows, scan_ahead=scan_ahead, columns=600
    )
    patterns = np.array(list(product([0, 1], repeat=pes * rows)))
    acts = np.zeros((2, config.act_rows, pes), np.int64)
    acts[0] = (patterns * np.arange(1, 1 + patterns.size).reshape(patterns.shape)).reshape(-1, pes)
    passes = [
        (descriptor(config, columns=pes * rows, input_base=rows * k), 0)
        for k in range(len(patterns))
    ]
    for (step, half), found in zip(passes, run(config, acts, passes), strict=True):
        assert found == expected(config, acts, step, half)


@both_modes
@pytest.mark.parametrize("pes", [1, 4, 17])
def test_random_passes(scan_ahead: bool, pes: int, rng: np.random.Generator) -> None:
    """Any part of either half, columns that do not fill the last row, any base of pointers."""
    config = preset("tiny", pes=pes, act_rows=12, scan_ahead=scan_ahead, columns=1024)
    for density in (0.1, 1.0):
        low, high = -(1 << config.act_bits - 1), 1 << config.act_bits - 1
        values = rng.integers(low, high, (2, 12, pes))
        values[values == 0] = low
        acts = values * (rng.random(values.shape) < density)
        passes = []
        for _ in range(8):
            base = int(rng.integers(0, 12))
            rows = int(rng.integers(1, 13 - base))
            # Columns end within the last row; what stands behind them must be zero.
            columns = rows * pes
            if rng.random() < 0.5:
                columns = int(rng.integers((rows - 1) * pes + 1, rows * pes + 1))
            half = int(rng.integers(2))
            step = descriptor(
                config, columns=columns, input_base=base, pointer_base=int(rng.integers(0, 800))
            )
            if not acts[half, base:].reshape(-1)[columns : rows * pes].any():
                passes.append((step, half))
        for _, taker in paces(rng)[:2]:
            found = run(config, acts, passes, taker)
            for (step, half), (offers, last, errors) in zip(passes, found, strict=True):
                model = expected(config, acts, step, half)
                if taker is steady:
                    assert (offers, last, errors) == model
                assert [column for _, column in offers] == [column for _, column in model[0]]
                assert errors == 0


@both_modes
@pytest.mark.parametrize("pes", [1, 2, 3])
def test_non_zero_behind_the_last_column(
    scan_ahead: bool, pes: int, rng: np.random.Generator
) -> None:
    """Wherever it stands: one error, nothing of it broadcast, and the next pass is sound."""
    rows = 3
    size = rows * pes
    places = [(columns, behind) for behind in range(1, size) for columns in range(1, behind + 1)]
    config = preset(
        "tiny", pes=pes, act_rows=rows * (len(places) + 1), scan_ahead=scan_ahead, columns=1024
    )
    acts = np.zeros((2, len(places) + 1, size), np.int64)
    acts[1, 0] = rng.integers(0, 3, size)
    passes = []
    for number, (columns, behind) in enumerate(places):
        acts[0, number, :columns] = rng.integers(0, 3, columns)
        acts[0, number, behind] = -1
        base = number * rows
        wrong = descriptor(config, columns=columns, input_rows=rows, input_base=base)
        passes += [(wrong, 0), (descriptor(config, columns=size), 1)]
    acts = acts.reshape(2, -1, pes)
    found = run(config, acts, passes, ragged(rng, 0.8))
    for number, ((step, half), (offers, _, errors)) in enumerate(zip(passes, found, strict=True)):
        model = expected(config, acts, step, half)[0]
        assert [column for _, column in offers] == [column for _, column in model]
        assert errors == (number % 2 == 0)
