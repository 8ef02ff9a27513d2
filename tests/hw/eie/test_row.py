"""Row: which non-zeros are left, and how many, of the row that is looked at and of the next one."""

from itertools import product

import pytest
from amaranth import Cat, Module, Signal
from amaranth.sim import Simulator

from hw.eie.count_few import COUNT_BITS, MANY, count_few
from hw.eie.row import Row
from spec.eie.config import preset
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("inputs", "bits"), [(1, 1), (2, 1), (5, 1), (8, 1), (2, 2), (5, 2)])
def test_every_count(inputs: int, bits: int) -> None:
    """Sums of single bits, and of counts, up to the largest that is told apart."""
    m = Module()
    counts, total = [Signal(bits) for _ in range(inputs)], Signal(COUNT_BITS)
    m.d.comb += total.eq(count_few(m, "few", counts))

    async def testbench(ctx) -> None:
        for values in product(range(1 << bits), repeat=inputs):
            ctx.set(Cat(counts), sum(value << bits * at for at, value in enumerate(values)))
            assert ctx.get(total) == min(sum(values), MANY), values

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("scan_pipeline", [False, True])
@pytest.mark.parametrize("pes", [1, 2, 5])
def test_every_row_to_its_end(pes: int, scan_pipeline: bool) -> None:
    """The first pending one goes when it is found; a row begins over whatever is left of another.
    The stores hold a row from the cycle on in which it begins, or, pipelined, before it does."""
    config = preset("tiny", pes=pes, clusters=1, scan_pipeline=scan_pipeline)
    steps, expected = [], []
    for row, found in product(range(1 << pes), (pes, pes // 2)):
        if scan_pipeline:
            steps.append({"advance": 1, "mark": 0, "nonzero": row})
            expected.append(None)
        else:
            steps.append({"advance": 1, "mark": 0})
            expected.append(None)
        pending = row
        for _ in range(found + 1):
            steps.append({"advance": 0, "mark": 1, "nonzero": row})
            coming = min(row.bit_count(), MANY)
            expected.append([pending, min(pending.bit_count(), MANY), coming])
            pending &= pending - 1
    outputs = ["pending", "count", "coming"]
    for wanted, got in zip(expected, play(Row(config), steps, outputs), strict=True):
        assert wanted is None or list(got) == wanted
