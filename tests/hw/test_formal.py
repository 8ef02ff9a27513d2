"""What proves the rules of streams: it finds every way to break them."""

import pytest
from amaranth import Module
from amaranth.hdl import Assert, Assume
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tests.hw.formal import ends, free_inputs, prove, stream_rules, under_way

pytestmark = pytest.mark.formal


class Register(wiring.Component):
    """Keeps a payload until it is taken, or breaks a rule in some way."""

    def __init__(self, breaks: str):
        self.breaks = breaks
        super().__init__({"i": In(stream.Signature(2)), "o": Out(stream.Signature(2))})

    def elaborate(self, platform):
        m = Module()
        empties = self.o.ready
        if self.breaks == "lets go":
            empties = self.o.ready | (self.o.payload == 3)
        m.d.comb += self.i.ready.eq(~self.o.valid | (self.o.ready & (self.breaks != "waits")))
        with m.If(self.o.valid & empties):
            m.d.sync += self.o.valid.eq(self.breaks == "repeats")
        takes = self.i.valid & (self.i.ready | (self.breaks == "overwrites"))
        with m.If(takes):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(self.i.payload)]
        return m


@pytest.mark.parametrize(
    ("breaks", "proved"),
    [("nothing", True), ("waits", True), ("lets go", False), ("overwrites", False)],
)
def test_what_is_offered_has_to_stay(tmp_path, breaks, proved):
    m = Module()
    m.submodules.dut = dut = Register(breaks)
    stream_rules(m, dut, ["i", "o"])
    assert (prove(m, free_inputs(dut), tmp_path) == "") == proved


@pytest.mark.parametrize(
    ("breaks", "proved"), [("nothing", True), ("waits", True), ("repeats", False)]
)
def test_what_comes_has_to_go_once(tmp_path, breaks, proved):
    m = Module()
    m.submodules.dut = dut = Register(breaks)
    stream_rules(m, dut, ["i"])
    count = under_way(m, dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready)
    m.d.comb += Assert(dut.o.valid == (count == 1))
    assert (prove(m, free_inputs(dut), tmp_path) == "") == proved


@pytest.mark.parametrize(
    ("breaks", "most", "proved"), [("nothing", 3, True), ("nothing", 2, False)]
)
def test_what_lasts_has_to_end(tmp_path, breaks, most, proved):
    """A payload is taken within three cycles if its taker is."""
    m = Module()
    m.submodules.dut = dut = Register(breaks)
    stream_rules(m, dut, ["i"])
    ends(m, Assume, dut.o.valid & ~dut.o.ready, 3)
    ends(m, Assert, dut.i.valid & ~dut.i.ready, most)
    assert (prove(m, free_inputs(dut), tmp_path) == "") == proved
