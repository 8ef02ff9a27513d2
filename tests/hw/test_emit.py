# amaranth: UnusedElaboratable=no
"""Emission: each module once, readable, the same every time, and what Amaranth meant."""

import os
import re
import subprocess
import sys

import pytest
from amaranth import Assert, Module, Signal, signed
from amaranth.lib import fifo, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.emit import Placed, emission, emit
from hw.memory import Ram
from hw.platform import Hold
from tests.hw.random_logic import RandomLogic
from tests.hw.tools import difference, lint, write_files, yosys
from tests.hw.toy import ToyAdder, ToyArray, ToyHeld, ToyUnit
from tests.tiers import ROOT

FILES = ["toy_array.v", "toy_ram_32x16.v", "toy_unit.v", "toy_unit__adder.v", "toy_unit__queue.v"]


class Small(wiring.Component):
    """A component whose body a test gives."""

    a: In(4)
    o: Out(4)

    def __init__(self, body=None, depth: int = 4):
        super().__init__()
        self.body = body
        self.depth = depth

    def elaborate(self, platform):
        m = Module()
        if self.body:
            self.body(m, self)
        return m


def text_of(body) -> str:
    return emit(Small(body), "unit")["unit.v"]


@pytest.mark.unit
@pytest.mark.parametrize("units", [1, 2, 17])
def test_each_module_is_emitted_once(units):
    files = emit(ToyArray(units), "toy_array")
    assert list(files) == FILES
    for name, text in files.items():
        assert re.findall(r"^module (\w+)", text, re.M) == [name.removesuffix(".v")]
    assert len(re.findall(r"^  toy_unit unit_\d+ \($", files["toy_array.v"], re.M)) == units


@pytest.mark.unit
def test_the_text_names_no_place_and_escapes_nothing():
    text = "".join(emit(ToyArray(4), "toy_array").values())
    assert "\\" not in text
    assert not re.search(r"src =|/home|/tmp|\.py\b|\$\d", text)
    assert "lint_off" not in text


@pytest.mark.unit
def test_names_that_people_gave_are_kept():
    files = emit(ToyArray(2), "toy_array")
    assert "unit_1__heard__valid = heard__valid & heard__ready;" in files["toy_array.v"]
    assert "reg [1:0] step_state;  // 0 wait, 1 read, 2 add" in files["toy_unit.v"]
    assert "wire [4:0] word__address;" in files["toy_unit.v"]
    assert "$signed(total) > 17'sd32767" in files["toy_unit__adder.v"]
    assert files["toy_unit.v"].startswith("// Queue, read, add, write back: one word in four")


@pytest.mark.unit
def test_ports_come_in_the_order_of_the_signature():
    emitted = emission(ToyArray(2), "toy_array")
    heard = ["heard__payload", "heard__valid", "heard__ready"]
    others = ["ask", "address", "sum", "full", "taps__0", "taps__1"]
    assert list(emitted.ports) == ["clk", "rst", *heard, *others]
    assert (emitted.ports["sum"].direction, emitted.ports["sum"].width) == ("output", 16)
    assert emitted.latencies == {"toy_array": 5, "toy_ram_32x16": 1, "toy_unit": 4}


@pytest.mark.unit
def test_it_is_the_same_in_every_process():
    script = (
        "import hashlib; from hw.emit import emit; from tests.hw.toy import ToyArray;"
        "print(hashlib.sha256(repr(emit(ToyArray(5), 'toy_array')).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(digests) == 1


@pytest.mark.unit
def test_a_placed_component_is_itself_in_simulation(rng):
    values = [(int(a), int(b)) for a, b in rng.integers(-128, 128, (20, 2))]
    adder = Placed(ToyAdder(), "toy_adder")

    async def bench(ctx):
        for a, b in values:
            ctx.set(adder.a, a)
            ctx.set(adder.b, b)
            assert ctx.get(adder.o) == a + b

    simulator = Simulator(adder)
    simulator.add_testbench(bench)
    simulator.run()


def _sum(m, self):
    total = Signal(4)
    m.d.sync += total.eq(total + self.a)
    m.d.comb += self.o.eq(total)


def _sum_of_sums(m, self):
    total = Signal(4)
    m.submodules.deep = deep = Placed(Small(_sum), "deep")
    m.d.sync += total.eq(total + deep.o)
    m.d.comb += [deep.a.eq(self.a), self.o.eq(total)]


def _deep(m, self):
    """One sum within the other, a module each."""
    total = Signal(4)
    m.submodules.middle = middle = Placed(Small(_sum_of_sums), "middle")
    m.d.sync += total.eq(total + middle.o)
    m.d.comb += [middle.a.eq(self.a), self.o.eq(total)]


def _deep_held(m, self):
    m.submodules.outer = outer = Placed(Small(_deep), "outer", Hold(self.a[1], self.a[0]))
    m.d.comb += [outer.a.eq(self.a), self.o.eq(outer.o)]


# What is refused ------------------------------------------------------------------------------


@pytest.mark.unit
def test_two_different_components_under_one_name_are_refused():
    def body(m, self):
        m.submodules.first = Placed(Small(depth=4), "inner")
        m.submodules.second = Placed(Small(depth=5), "inner")

    with pytest.raises(ValueError, match="two different components are placed as module inner"):
        text_of(body)


@pytest.mark.unit
def test_one_module_both_held_and_not_is_refused():
    def both(m, self):
        m.submodules.a = Placed(ToyUnit(), "toy_unit")
        m.submodules.b = Placed(ToyUnit(), "toy_unit", Hold(self.a[1], self.a[0]))

    with pytest.raises(ValueError, match="toy_unit is placed where nothing is held and where it"):
        emit(Small(both), "unit")


@pytest.mark.unit
def test_one_module_both_right_within_what_is_held_and_further_is_refused():
    def outer(m, self):
        _deep(m, self)
        m.submodules.other = other = Placed(Small(_sum), "deep")
        m.d.comb += other.a.eq(self.a)

    def body(m, self):
        m.submodules.outer = Placed(Small(outer), "outer", Hold(Signal(), self.a[0]))

    refusal = "deep is placed further within what is held and right within what is held"
    with pytest.raises(ValueError, match=refusal):
        text_of(body)


@pytest.mark.unit
def test_what_is_further_inside_shares_the_registers_around_it():
    files = emit(Small(_deep_held), "unit")
    for port in ("rst", "clk_en"):
        for name in ("outer", "middle"):
            assert f"{port}_now <= {port};" in files[f"{name}.v"]
        assert f".{port}({port}_now)" in files["middle.v"]
        assert f"{port}_now" not in files["deep.v"]
        assert f".{port}({port})" in files["outer.v"]


@pytest.mark.unit
def test_a_memory_is_held_where_it_stands():
    """Its module is one for all: what holds it is at its ports."""

    def inner(m, self):
        m.submodules.ram = ram = Placed(Ram(2, 2), "ram")
        m.d.comb += [ram.write_enable.eq(self.a[1]), ram.write_data.eq(self.a[2:])]
        m.d.comb += self.o.eq(ram.read_data)

    def both(m, self):
        free, held = Small(inner), Small(inner, depth=5)
        m.submodules.free = Placed(free, "free")
        m.submodules.held = Placed(held, "held", Hold(self.a[1], self.a[0]))
        m.d.comb += [free.a.eq(self.a), held.a.eq(self.a), self.o.eq(free.o ^ held.o)]

    files = emit(Small(both), "unit")
    enables = {
        name: re.findall(r"\.write_enable\((.*)\)", files[f"{name}.v"]) for name in ("free", "held")
    }
    assert enables == {"free": ["ram__write_enable"], "held": ["write_enable & clk_en_now"]}


@pytest.mark.unit
def test_a_memory_by_itself_cannot_be_held():
    def body(m, self):
        m.submodules.ram = Placed(Ram(2, 2), "ram", Hold(self.a[1], self.a[0]))

    with pytest.raises(ValueError, match="module ram cannot be held by itself"):
        text_of(body)


@pytest.mark.unit
def test_what_is_held_hears_of_it_in_registers_of_its_own():
    files = emit(ToyHeld(), "toy_held")
    for port in ("rst", "clk_en"):
        assert f"{port}_now <= {port};" in files["toy_unit.v"]
        # Without registers of its own it only hands on.
        assert f"{port}_now" not in files["toy_array.v"]
        assert files["toy_array.v"].count(f".{port}({port})") == 2
    assert "if (rst_now)" in files["toy_unit.v"]


@pytest.mark.unit
def test_a_module_within_itself_is_refused():
    def body(m, self):
        m.submodules.inner = Placed(Small(body), "unit")

    with pytest.raises(ValueError, match="unit would contain itself"):
        text_of(body)


@pytest.mark.unit
@pytest.mark.parametrize("name", ["clk", "rst", "rst_now", "clk_en_now", "output", "assign"])
def test_reserved_port_names_are_refused(name):
    class Odd(wiring.Component):
        def __init__(self):
            super().__init__({name: Out(1)})

        def elaborate(self, platform):
            return Module()

    with pytest.raises(ValueError, match=f"port '{name}' is reserved"):
        emit(Odd(), "odd")


@pytest.mark.unit
@pytest.mark.parametrize("name", ["1st", "two words", "module", ""])
def test_odd_module_names_are_refused(name):
    with pytest.raises(ValueError, match="reserved or not a plain Verilog identifier"):
        emit(Small(), name)


def _transparent(m, self):
    m.submodules.memory = words = memory.Memory(shape=4, depth=4, init=[])
    write = words.write_port()
    read = words.read_port(transparent_for=(write,))
    m.d.comb += [write.en.eq(1), write.data.eq(self.a), self.o.eq(read.data)]


def _assertion(m, self):
    m.d.comb += Assert(self.a != 3)


def _signed_division(m, self):
    m.d.comb += self.o.eq(self.a.as_signed() // self.a[:2].as_signed())


def _other_clock(m, self):
    m.d.other += self.o.eq(self.a)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_transparent, "a transparent read port"),
        (_signed_division, "a division of signed numbers"),
        (_assertion, r"a cell \$check"),
        (_other_clock, "one clock clk and one reset rst, not other_clk, other_rst"),
    ],
)
def test_what_has_no_form_in_verilog_is_refused(body, message):
    with pytest.raises(ValueError, match=message):
        text_of(body)


# How things look ------------------------------------------------------------------------------


@pytest.mark.unit
def test_keywords_and_cpp_words_are_avoided():
    def body(m, self):
        for name in ("reg", "int", "logic"):
            signal = Signal(4, name=name)
            m.d.sync += signal.eq(signal + self.a)
            self.o.eq(signal)
            m.d.comb += self.o[: {"reg": 1, "int": 2, "logic": 3}[name]].eq(signal)

    text = text_of(body)
    assert "logic_ <= logic_ + a" in text
    assert " logic " not in text


@pytest.mark.unit
def test_a_port_is_called_as_others_call_it():
    """Also one that is called as the variable of loops would be, in a part of a unit."""

    class Part(wiring.Component):
        where: Out(4)

        def elaborate(self, platform):
            m = Module()
            index = Signal(4)
            m.submodules.words = words = memory.Memory(shape=4, depth=16, init=[])
            read, write = words.read_port(), words.write_port()
            m.d.comb += [read.en.eq(1), write.en.eq(1), write.data.eq(index + 1)]
            m.d.sync += index.eq(index + read.data)
            m.d.comb += self.where.eq(index)
            return m

    def body(m, self):
        m.submodules.part = part = Part()
        m.d.comb += self.o.eq(part.where ^ self.a)

    text = emit(Small(body), "unit")["unit__part.v"]
    assert "output reg [3:0] index" in text
    assert "index <= index + " in text
    assert "for (index_2 = 0; index_2 < 16; index_2 = index_2 + 1) words[index_2] = 4'd0" in text


@pytest.mark.unit
def test_unread_bits_are_not_made_or_listed():
    def body(m, self):
        count = Signal(9)
        m.d.sync += count.eq(count + self.a[:2])
        m.d.comb += self.o.eq(count[1:4])

    text = text_of(body)
    assert "reg [3:0] count;" in text
    assert "wire unused = &{1'b0, a[3:2]};" in text


@pytest.mark.unit
def test_a_constant_leaves_nothing_behind():
    def body(m, self):
        on = Signal()
        m.d.comb += on.eq(1)
        with m.If(on & (self.a >= 0)):
            m.d.comb += self.o.eq(self.a)

    assert "  assign o = a;\n" in text_of(body)


@pytest.mark.unit
def test_a_product_of_signed_numbers_says_so():
    def body(m, self):
        product = Signal(signed(8))
        m.d.sync += product.eq(self.a.as_signed() * self.a[:2].as_signed())
        m.d.comb += self.o.eq(product[4:])

    assert "$signed(a) * $signed(a[1:0])" in text_of(body)


# With the tools -------------------------------------------------------------------------------


@pytest.mark.verilator
@pytest.mark.parametrize("units", [1, 3])
def test_verilator_has_nothing_to_say(tmp_path, units):
    write_files(emit(ToyArray(units), "toy_array"), tmp_path)
    assert lint(tmp_path, "toy_array") == ""


@pytest.mark.verilator
def test_verilator_has_nothing_to_say_about_what_is_held(tmp_path):
    write_files(emit(ToyHeld(), "toy_held"), tmp_path)
    assert lint(tmp_path, "toy_held") == ""


@pytest.mark.verilator
def test_verilator_has_nothing_to_say_about_random_logic(tmp_path):
    # Random comparisons are constant now and then.
    options = ("-Wno-CMPCONST", "-Wno-UNSIGNED")
    for seed in range(20):
        write_files(emit(RandomLogic(seed, registers=True), "logic_0"), tmp_path)
        assert lint(tmp_path, "logic_0", *options) == "", f"RandomLogic({seed})"


@pytest.mark.synth
def test_yosys_reads_it(tmp_path):
    write_files(emit(ToyArray(3), "toy_array"), tmp_path)
    passes = (f"read_verilog {tmp_path}/*.v", "hierarchy -check -top toy_array", "proc")
    code, log = yosys(*passes, "check -assert")
    assert code == 0, log


@pytest.mark.synth
@pytest.mark.parametrize("make", [ToyAdder, ToyUnit, lambda: ToyArray(2)])
def test_it_does_what_amaranth_says(tmp_path, make):
    assert not difference(make, tmp_path, steps=4)


@pytest.mark.synth
@pytest.mark.parametrize("make", [ToyHeld, lambda: Small(_deep_held)])
def test_what_is_held_does_what_amaranth_says(tmp_path, make):
    """But for the reset of all, which only what holds it hears of."""
    assert not difference(make, tmp_path, steps=7, reset=False)


@pytest.mark.synth
@pytest.mark.parametrize("registers", [False, True])
def test_random_logic_does_what_amaranth_says(tmp_path, rng, registers):
    for _ in range(25):
        seed = int(rng.integers(1 << 30))
        log = difference(
            lambda seed=seed: RandomLogic(seed, registers), tmp_path, steps=4 if registers else 1
        )
        assert not log, f"RandomLogic({seed}, {registers}): {log[-2000:]}"


def _fifo(m, self):
    m.submodules.queue = queue = fifo.SyncFIFO(width=4, depth=3)
    m.d.comb += [queue.w_data.eq(self.a), queue.w_en.eq(self.a[0]), queue.r_en.eq(self.a[1])]
    m.d.comb += self.o.eq(queue.r_data ^ queue.level)


def _lanes(m, self):
    m.submodules.words = words = memory.Memory(shape=4, depth=2, init=[5, 6])
    write = words.write_port(granularity=2)
    read = words.read_port()
    m.d.comb += [write.en.eq(self.a[:2]), write.data.eq(self.a), write.addr.eq(self.a[3])]
    m.d.comb += [read.en.eq(self.a[2]), read.addr.eq(self.a[0]), self.o.eq(read.data)]


def _held(m, self):
    def inner(m, self):
        m.submodules.words = words = Placed(Ram(2, 2), "held_ram")
        m.d.comb += [words.write_enable.eq(self.a[1]), words.read_enable.eq(1)]
        m.d.comb += [words.write_data.eq(self.a[2:]), self.o.eq(words.read_data)]

    m.submodules.held = held = Placed(Small(inner), "held", Hold(Signal(), self.a[0]))
    m.d.comb += [held.a.eq(self.a), self.o.eq(held.o)]


@pytest.mark.synth
@pytest.mark.parametrize("body", [_fifo, _lanes, _held])
def test_memories_inside_a_unit_do_what_amaranth_says(tmp_path, body):
    assert not difference(lambda: Small(body), tmp_path, steps=5)
