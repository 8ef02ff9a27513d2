"""Proofs that the shell keeps the rules of its buses, whatever comes to it in whatever order.

What is offered on a stream stays as it is until it is taken (AMBA AXI, A3.2.1); of AXI4-Lite, every
access is answered, once and in time, and nothing else is. Reset may come in every cycle.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Fragment
from amaranth.lib import wiring

from hw.platform import flatten
from hw.shell import core, held
from hw.shell.axi_lite import AxiLite, axi_lite_members
from hw.shell.intake import Intake
from hw.shell.outlet import Outlet
from hw.shell.register_file import RegisterFile
from hw.shell.router import Router, takers
from hw.shell.shell import Shell
from hw.stream_queue import StreamQueue
from spec.config import Config
from spec.eie.config import preset as eie_preset
from spec.nm.config import preset as nm_preset
from tests.hw.formal import ends, free_inputs, prove, stream_rules, under_way, waits
from tests.hw.streams import keep_made

pytestmark = pytest.mark.formal

EIE = eie_preset("tiny")
NM = nm_preset("tiny")
SHELLS = {"eie": [EIE], "nm": [NM], "both": [EIE, NM]}

IN, OUT = ("aw", "w", "ar"), ("b", "r")
"""Channels of AXI4-Lite that the manager drives, and those that it takes."""

FETCH_CYCLES = 3
"""Cycles after which a counter is assumed to be there, or refused."""

TAKE_CYCLES = 2
"""Cycles after which the manager is assumed to take a response."""

ANSWER_CYCLES = FETCH_CYCLES + 4
"""Cycles after which an access has to be answered."""


# Units ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_queue_gives_what_it_took_in_order(tmp_path, depth):
    """One bit wide: what it does with a payload does not depend on what that is."""
    m = Module()
    m.submodules.dut = dut = StreamQueue(1, depth)
    stream_rules(m, dut, ["i", "o"])
    kept, count = Signal(depth), Signal(range(depth + 1))
    comes, goes = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    after = Signal(depth)
    left = kept >> goes
    places = [Mux(at == count - goes, dut.i.payload, left[at]) for at in range(depth)]
    m.d.comb += after.eq(Mux(comes, Cat(places), left))
    m.d.sync += [kept.eq(after), count.eq(count + comes - goes)]
    m.d.comb += [
        Assert(dut.o.valid == (count != 0)),
        Assert(~dut.o.valid | (dut.o.payload == kept[0])),
        Assert(dut.i.ready == (count != depth)),
    ]
    assert prove(m, free_inputs(dut), tmp_path) == ""


@pytest.mark.parametrize("configs", SHELLS.values(), ids=SHELLS)
def test_intake(tmp_path, configs):
    assert prove_streams(Intake(takers(configs)), ["i", "o"], tmp_path) == ""


@pytest.mark.parametrize("result_bits", [0, NM.lane_bits, 96])
def test_outlet(tmp_path, result_bits):
    names = ["answers", "o", *(["results"] if result_bits else [])]
    assert prove_streams(Outlet(result_bits), names, tmp_path) == ""


def prove_streams(dut: Any, names: list[str], folder: Path) -> str:
    """The rule of streams, until a restart."""
    m = Module()
    m.submodules.dut = dut
    stream_rules(m, dut, names, dut.restart)
    return prove(m, free_inputs(dut), folder)


@pytest.mark.parametrize("config", [EIE, NM], ids=["eie", "nm"])
def test_router(tmp_path, config):
    """Requests to write, and answers to messages. A request to read may be withdrawn: a register's
    gives way to a message's, and to a start; and what is left of a load, when the run ends."""
    m = Module()
    m.submodules.dut = dut = Router([config])
    array = getattr(dut, config.engine)
    stream_rules(m, dut, ["i", "o"], dut.restart)
    for rule, port in ((Assume, array.data), (Assert, array.write)):
        waits(m, rule, port.valid, port.ready, port.payload, dut.restart)
    assert prove(m, free_inputs(dut), tmp_path) == ""


@pytest.mark.parametrize("configs", SHELLS.values(), ids=SHELLS)
def test_register_file(tmp_path, configs):
    """An outcome for every access, whoever makes them and whoever takes those; the error that it is
    in one cycle only, and what it does in the one behind, in which there is no other."""
    m = Module()
    m.submodules.dut = dut = RegisterFile(configs)
    stream_rules(m, dut, ["i", "o"])
    taken = dut.i.valid & dut.i.ready
    count = under_way(m, taken, dut.o.valid & dut.o.ready)
    m.d.comb += [Assert(count <= 1), Assert(dut.o.valid == (count == 1))]
    was_taken, pulses = Signal(), Value.cast(dut.pulsed).any()
    m.d.sync += was_taken.eq(taken)
    m.d.comb += [Assert(taken | ~dut.error.any()), Assert(~pulses | (was_taken & ~taken))]
    assert prove(m, free_inputs(dut), tmp_path) == ""


# AXI4-Lite ------------------------------------------------------------------------------------


def axi_lite_rules(m: Module, port: Callable[[str], Any]) -> None:
    """Handshakes of all channels, and one response to each access that was taken."""
    for channel in (*IN, *OUT):
        fields = [name for name in axi_lite_members() if payload_of(name, channel)]
        payload = Cat(port(name) for name in fields)
        rule = Assume if channel in IN else Assert
        waits(m, rule, port(f"{channel}valid"), port(f"{channel}ready"), payload)
    taken = {channel: port(f"{channel}valid") & port(f"{channel}ready") for channel in (*IN, *OUT)}
    for asked, answered in (("aw", "b"), ("w", "b"), ("ar", "r")):
        count = under_way(m, taken[asked], taken[answered])
        m.d.comb += [
            Assert(~port(f"{answered}valid") | (count == 1)),
            Assert(~taken[asked] | (count == 0)),
        ]


def payload_of(name: str, channel: str) -> bool:
    """Whether a signal belongs to a channel, and is not of its handshake."""
    ours = name.startswith(channel) and not (channel == "w" and name.startswith("wr"))
    return ours and not name.endswith(("valid", "ready"))


def test_axi_lite(tmp_path):
    m = Module()
    m.submodules.dut = dut = AxiLite()
    axi_lite_rules(m, lambda name: getattr(dut.bus, name))
    # Registers answer what they are asked, and nothing else.
    asked = under_way(m, dut.o.valid & dut.o.ready, dut.i.valid & dut.i.ready)
    m.d.comb += [Assume(~dut.i.valid | (asked == 1)), Assert(~dut.o.valid | (asked == 0))]
    stream_rules(m, dut, ["i", "o"])
    assert prove(m, free_inputs(dut), tmp_path) == ""


@pytest.mark.parametrize("configs", SHELLS.values(), ids=SHELLS)
def test_every_access_to_registers_is_answered(tmp_path, configs):
    """In time, as long as counters come and the manager takes responses."""
    m = Module()
    m.submodules.bus = bus = AxiLite()
    m.submodules.dut = dut = RegisterFile(configs)
    wiring.connect(m, bus.o, dut.i)
    wiring.connect(m, dut.o, bus.i)
    stream_rules(m, dut, ["o"])
    axi_lite_rules(m, lambda name: getattr(bus.bus, name))

    # What those around it do in time.
    ends(m, Assume, dut.probing & ~dut.probed & ~dut.refused, FETCH_CYCLES)
    for channel in OUT:
        valid, ready = (getattr(bus.bus, f"{channel}{part}") for part in ("valid", "ready"))
        ends(m, Assume, valid & ~ready, TAKE_CYCLES)

    # What it does, then: an access may have to wait for one of the other kind.
    one = ANSWER_CYCLES + TAKE_CYCLES + 1
    b = bus.bus
    ends(m, Assert, b.arvalid & ~b.arready, 2 * one)
    ends(m, Assert, b.awvalid & b.wvalid & ~b.awready, 2 * one)
    reads = under_way(m, b.arvalid & b.arready, b.rvalid & b.rready)
    writes = under_way(m, b.awvalid & b.awready, b.bvalid & b.bready)
    ends(m, Assert, (reads != 0) & ~b.rvalid, ANSWER_CYCLES)
    ends(m, Assert, (writes != 0) & ~b.bvalid, ANSWER_CYCLES)
    free = [*free_inputs(bus, without=("i", "o")), *free_inputs(dut, without=("i", "o"))]
    assert prove(m, free, tmp_path) == ""


# The whole ------------------------------------------------------------------------------------


class FreeArray(wiring.Component):
    """The ports of an array; what it gives is free."""

    def __init__(self, array: wiring.Component):
        array._MustUse__used = True
        super().__init__(dict(array.signature.members))

    def elaborate(self, platform):
        return Module()


@pytest.mark.parametrize("configs", SHELLS.values(), ids=SHELLS)
def test_shell(tmp_path, monkeypatch, configs):
    """All three buses, whatever the arrays do: until RESET is written, the words that come out
    stay until they are taken."""
    arrays = free_arrays(monkeypatch)
    supervisors = keep_made(monkeypatch, core, "Supervisor")
    dut = Shell(configs)
    m = Module()
    m.submodules.dut = Fragment.get(dut, None)
    (supervisor,) = supervisors
    axi_lite_rules(m, lambda name: getattr(dut, f"s_axil_{name}"))
    for rule, bus, unless in ((Assume, "s_axis", 0), (Assert, "m_axis", supervisor.restart)):
        valid, ready, *word = (
            getattr(dut, f"{bus}_{name}") for name in ("tvalid", "tready", "tdata", "tlast")
        )
        waits(m, rule, valid, ready, Cat(word), unless)
    for array in arrays:
        assume_rules(m, array, supervisor.restart)
    given = [
        value
        for array in arrays
        for value, direction in flatten(array).values()
        if direction.value == "output"
    ]
    assert prove(m, [*free_inputs(dut), *given], tmp_path) == ""


def free_arrays(monkeypatch: pytest.MonkeyPatch) -> list[FreeArray]:
    """From now on shells have free arrays; the list that they are put on."""
    made: list[FreeArray] = []

    def instead(make: Callable[[Config], wiring.Component]) -> Callable[[Config], FreeArray]:
        def free(config: Config) -> FreeArray:
            made.append(FreeArray(make(config)))
            return made[-1]

        return free

    arrays = {name: (instead(make), top) for name, (make, top) in held.ARRAYS.items()}
    monkeypatch.setattr(held, "ARRAYS", arrays)
    return made


def assume_rules(m: Module, array: wiring.Component, restart: Any) -> None:
    """An array keeps the rule of streams."""
    names = [
        name
        for name, member in array.signature.members.items()
        if member.is_signature and member.flow == wiring.Out
    ]
    for name in names:
        port = getattr(array, name)
        waits(m, Assume, port.valid, port.ready, port.payload, restart)
