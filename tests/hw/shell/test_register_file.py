"""Register file: every register of the table does what the table says, and nothing else does."""

import pytest

from hw.shell.register_file import RegisterFile, kept, pulsed, shown
from spec.eie.config import preset as eie_preset
from spec.messages import number
from spec.nm.config import preset as nm_preset
from spec.registers.table import ADDRESS_BITS, BITS, BYTES, Access, Register, ShellError
from tests.hw.streams import Pace, paces, receiver, recorder, sender, simulate, steady

pytestmark = pytest.mark.unit

SHELLS = {
    "eie": [eie_preset("default", counter_bits=40)],
    "nm": [nm_preset("tiny")],
    "both": [eie_preset("default"), nm_preset("default", counter_bits=64)],
}
ALL = (1 << BYTES) - 1


@pytest.fixture(params=SHELLS)
def dut(request: pytest.FixtureRequest) -> RegisterFile:
    return RegisterFile(SHELLS[request.param])


def read(address: int) -> dict:
    return {"address": address, "write": 0, "data": 0x5A5A5A5A, "strobe": 0}


def write(address: int, word: int, strobe: int = ALL) -> dict:
    return {"address": address, "write": 1, "data": word, "strobe": strobe}


def run(
    dut: RegisterFile, accesses: list[dict], pace: Pace = steady, other: Pace = steady, busy=steady
) -> tuple[list[dict], list[tuple]]:
    """Outcomes, and in every cycle (error, pulses, what is kept). A counter is its own number, and
    what is shown is the register's address; counters are refused when not ``busy()``."""
    seen: list[tuple] = []

    async def shell(ctx) -> None:
        for one in shown(dut.table):
            ctx.set(dut.shown[one.name], one.address)
        waited = 0
        while True:
            _, _, probing, probe = await ctx.tick().sample(dut.probing, dut.probe)
            waited = waited + 1 if probing and waited < 3 else 0
            ctx.set(dut.probed, 0)
            ctx.set(dut.refused, 0)
            if waited == 3:
                ctx.set(dut.counter, counter(probe["engine"], probe["in_pe"], probe["index"]))
                ctx.set(dut.probed if busy() else dut.refused, 1)

    words = [dut.pulsed[one.name] for one in pulsed(dut.table)]
    words += [dut.kept[one.name] for one in kept(dut.table)]
    _, outcomes = simulate(
        dut,
        sender(dut.i, accesses, pace),
        receiver(dut.o, len(accesses), other),
        background=[shell, recorder(seen, dut.error, *words)],
    )
    return [one.payload for one in outcomes], seen


def counter(engine: int, in_pe: int, index: int) -> int:
    return (engine << 60) + (in_pe << 50) + (index << 33) + engine * 1000 + in_pe * 100 + index


def expected(one: Register) -> int:
    """What a read gives."""
    if one.counter:
        whole = counter(number(one.counter.engine), one.counter.in_pe, one.counter.index)
        return whole >> (BITS * one.counter.high) & ((1 << BITS) - 1)
    return one.value if one.constant or one.access is Access.READ_WRITE else one.address


@pytest.mark.parametrize("traffic", range(6))
def test_every_register_is_read(dut, rng, traffic):
    readable = [one for one in dut.table if one.access is not Access.WRITE]
    order = [readable[at] for at in rng.permutation(len(readable))]
    outcomes, seen = run(dut, [read(one.address) for one in order], *paces(rng)[traffic])
    assert outcomes == [{"data": expected(one), "failed": 0} for one in order]
    assert not any(error or pulse for error, pulse, *_ in seen)


def test_what_is_written_is_kept_by_itself(dut, rng):
    ours = kept(dut.table)
    words = {one.name: int(rng.integers(1 << BITS)) for one in ours}
    accesses = [write(one.address, words[one.name]) for one in ours]
    accesses += [read(one.address) for one in ours]
    outcomes, seen = run(dut, accesses)
    assert [one["data"] for one in outcomes[len(ours) :]] == list(words.values())
    assert not any(one["failed"] for one in outcomes)
    assert seen[-1][-len(ours) :] == tuple(words.values())


def test_a_pulse_has_one_cycle(dut, rng):
    (control,) = pulsed(dut.table)
    words = [int(one) for one in rng.integers(1, 1 << BITS, size=9)]
    accesses = [write(control.address, word) for word in words]
    for pace, other in paces(rng):
        outcomes, seen = run(dut, accesses, pace, other)
        assert [one[1] for one in seen if one[1]] == words
        assert outcomes == [{"data": 0, "failed": 0}] * 9


def test_what_is_wrong_fails_and_changes_nothing(dut, rng):
    (control,), (keeps, *_) = pulsed(dut.table), kept(dut.table)
    there = {one.address for one in dut.table}
    free = sorted(set(range(0, 1 << ADDRESS_BITS, BYTES)) - there)
    wrong = [(read(address), ShellError.ADDRESS) for address in rng.choice(free, 20).tolist()]
    wrong += [(write(free[-1], 1), ShellError.ADDRESS), (read(control.address), ShellError.ACCESS)]
    for one in dut.table:
        if one.access is Access.READ:
            wrong.append((write(one.address, 1), ShellError.ACCESS))
    for one in (control, keeps):
        for strobe in range(ALL):
            wrong.append((write(one.address, 3, strobe), ShellError.STROBE))
    order = [wrong[at] for at in rng.permutation(len(wrong))]
    outcomes, seen = run(dut, [access for access, _ in order])
    assert outcomes == [{"data": 0, "failed": 1}] * len(order)
    assert [row[0] for row in seen if row[0]] == [code for _, code in order]
    assert not any(any(row[1:]) for row in seen)


def test_a_counter_may_be_refused(dut, rng):
    counters = [one for one in dut.table if one.counter]
    outcomes, seen = run(dut, [read(one.address) for one in counters], busy=lambda: False)
    assert outcomes == [{"data": 0, "failed": 1}] * len(counters)
    assert [row[0] for row in seen if row[0]] == [ShellError.BUSY] * len(counters)


def test_low_address_bits_say_nothing(dut):
    outcomes, _ = run(dut, [read(at) for at in range(BYTES)])
    assert {one["data"] for one in outcomes} == {dut.table[0].value}


def test_an_access_in_every_cycle():
    dut = RegisterFile(SHELLS["nm"])
    accesses = [read(0)] * 8
    sent, taken = simulate(dut, sender(dut.i, accesses), receiver(dut.o, 8))
    assert [one.cycle for one in taken] == [at + 1 for at in sent] == list(range(1, 9))
