# amaranth: UnusedElaboratable=no
"""The memory against a list of words, in Amaranth's simulator and as emitted."""

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hw.emit import Placed, emit
from hw.memory import Ram
from tests.hw.tools import difference


class Around(wiring.Component):
    """A unit that is nothing but a memory."""

    def __init__(self, ram: Ram):
        self.ram = ram
        super().__init__(ram.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.ram = self.ram
        wiring.connect(m, wiring.flipped(self), self.ram)
        return m


def reads(ram: Ram, traffic: list[tuple[int, int, int, int, int]]) -> list[int]:
    """What ``read_data`` is after each cycle of traffic: write, where, what, read, where."""
    seen = []
    names = ("write_enable", "write_address", "write_data", "read_enable", "read_address")

    async def bench(ctx):
        for cycle in traffic:
            for name, value in zip(names, cycle, strict=True):
                ctx.set(getattr(ram, name), value)
            await ctx.tick()
            seen.append(ctx.get(ram.read_data))

    simulator = Simulator(Placed(ram, "ram"))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def model(width: int, depth: int, traffic: list[tuple[int, int, int, int, int]]) -> list[int]:
    """The same from a list. A read of the word that is written gives its inverse."""
    words, answer, seen = [0] * depth, 0, []
    for write, where, what, read, read_where in traffic:
        if read:
            answer = words[read_where]
            if write and where == read_where:
                answer ^= (1 << width) - 1
        if write:
            words[where] = what
        seen.append(answer)
    return seen


@pytest.mark.unit
@pytest.mark.parametrize("depth", [1, 2, 5, 8])
@pytest.mark.parametrize("width", [1, 9, 70])
def test_it_does_what_a_list_does(rng, depth, width):
    def number(bits: int) -> int:
        return int.from_bytes(rng.bytes(16), "big") % (1 << bits)

    traffic = [
        (number(1), number(30) % depth, number(width), number(1), number(30) % depth)
        for _ in range(300)
    ]
    assert reads(Ram(width, depth), traffic) == model(width, depth, traffic)


@pytest.mark.unit
def test_a_read_with_a_write_gives_a_wrong_word_and_holds():
    traffic = [(1, 1, 7, 1, 1), (1, 1, 8, 1, 1), (1, 1, 9, 0, 1), (0, 0, 0, 0, 0), (0, 0, 0, 1, 1)]
    assert reads(Ram(4, 2), traffic) == [15, 8, 8, 8, 9]


@pytest.mark.unit
def test_it_is_named_after_its_shape():
    assert Ram(64, 16384).module_name == "skipstone_ram_16384x64"
    assert Ram(64, 16384, name="lines").module_name == "lines"
    assert list(emit(Ram(8, 4), "words")) == ["words.v"]
    assert "module words (" in emit(Ram(8, 4), "words")["words.v"]


@pytest.mark.unit
def test_it_has_no_reset_and_no_vendor():
    text = emit(Ram(8, 4), "words")["words.v"]
    assert "rst" not in text
    assert "reg [7:0] memory [0:3];" in text


@pytest.mark.unit
@pytest.mark.parametrize(("width", "depth"), [(0, 4), (4, 0)])
def test_a_memory_of_nothing_is_refused(width, depth):
    with pytest.raises(ValueError, match=f"{depth} words of {width} bits"):
        Ram(width, depth)


@pytest.mark.synth
@pytest.mark.parametrize(("width", "depth"), [(1, 2), (3, 4), (4, 8)])
def test_the_emitted_memory_is_the_simulated_one(tmp_path, width, depth):
    assert not difference(lambda: Around(Ram(width, depth)), tmp_path, steps=6)
