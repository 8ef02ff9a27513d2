"""Host port: writes reach the descriptor, reads the counters, in order; all wait for a run."""

import pytest

from hw.nm.host_port import HostPort
from spec.nm.config import preset
from spec.nm.iomap import Memory
from tests.hw.streams import paces, ragged, receiver, recorder, sender, simulate

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("traffic", range(6))
def test_traffic(rng, traffic):
    """Every request once and in order, none while a run goes on; other memories answer zero."""
    dut, seen = HostPort(preset("tiny")), []
    pace, other = paces(rng)[traffic]
    writes = [
        {"data": int(rng.integers(1 << 40)), "address": at % 2, "memory": at % 3 == 0}
        for at in range(30)
    ]
    reads = [{"address": at % 9, "memory": at % 3 != 0} for at in range(30)]
    busy = ragged(rng, 0.3)

    async def run(ctx) -> None:
        while True:
            ctx.set(dut.busy, busy())
            await ctx.tick()

    async def count(ctx) -> None:
        async for _, _, enable, address in ctx.tick().sample(dut.read_enable, dut.read_address):
            ctx.set(dut.counter, 100 + address if enable else 77)

    ports = (dut.busy, dut.write_enable, dut.write_address, dut.write_data, dut.read_enable)
    _, _, answers = simulate(
        dut,
        sender(dut.write, writes, pace),
        sender(dut.read, reads, other),
        receiver(dut.data, len(reads), pace),
        background=[run, count, recorder(seen, *ports)],
    )
    expected = [100 + read["address"] if read["memory"] == Memory.COUNTERS else 0 for read in reads]
    assert [answer.payload for answer in answers] == expected
    wanted = [(one["address"], one["data"]) for one in writes if one["memory"] == Memory.DESCRIPTOR]
    assert [row[2:4] for row in seen if row[1]] == wanted
    assert not any(row[0] and (row[1] or row[4]) for row in seen)
