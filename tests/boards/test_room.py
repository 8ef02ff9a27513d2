"""Room on a part: what is counted in Verilog before synthesis is what yosys takes."""

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.board import ECP5_85, UP5K
from boards.room import block_rams, check_after, check_before, luts, memories, multipliers
from hw.emit import Placed, emit
from hw.measure.tools import find_yosys
from hw.memory import Ram
from hw.shell.uart_shell import uart_shell
from spec.eie.config import preset
from spec.errors import UserError
from spec.nm.config import preset as nm_preset

SHAPES = [(8, 64), (16, 64), (40, 32), (13, 512), (32, 512), (64, 512), (18, 1024), (9, 2048)]
SHAPES += [(33, 512), (8, 1024), (256, 4), (36, 300), (1, 16384), (64, 16)]


class Rams(wiring.Component):
    """Some memories, two of each."""

    def __init__(self, shapes):
        self.shapes = shapes
        super().__init__({"at": In(16), "word": In(256), "write": In(1), "o": Out(256)})

    def elaborate(self, platform):
        m = Module()
        o = 0
        for number, shape in enumerate(shape for shape in self.shapes for _ in range(2)):
            m.submodules[f"ram{number}"] = ram = Placed(Ram(*shape), f"ram_{shape[0]}x{shape[1]}")
            m.d.comb += [
                ram.write_enable.eq(self.write),
                ram.write_address.eq(self.at),
                ram.write_data.eq(self.word + number),
                ram.read_enable.eq(1),
                ram.read_address.eq(self.at >> 1),
            ]
            o = o ^ ram.read_data
        m.d.comb += self.o.eq(o)
        return m


@pytest.mark.unit
def test_memories_are_counted_wherever_they_stand():
    files = emit(Rams([(8, 64), (13, 512)]), "rams")
    assert memories(files, "rams") == {(8, 64): 2, (13, 512): 2}


@pytest.mark.unit
@pytest.mark.parametrize(
    ("shape", "bits", "count"),
    [
        ((36, 512), 18_432, 1),
        ((37, 512), 18_432, 2),
        ((64, 512), 18_432, 2),
        ((18, 1024), 18_432, 1),
        ((1, 16_384), 18_432, 1),
        ((16, 16), 18_432, 0),
        ((16, 256), 4_096, 1),
        ((17, 256), 4_096, 2),
        ((2, 2048), 4_096, 1),
        ((8, 8), 4_096, 0),
    ],
)
def test_block_rams_of_a_shape(shape, bits, count):
    assert block_rams(*shape, bits) == count


@pytest.mark.synth
@pytest.mark.parametrize(
    ("part", "family", "cell"),
    [
        (ECP5_85, "ecp5", "DP16KD"),
        (UP5K, "ice40", "SB_RAM40_4K"),
    ],
)
def test_yosys_takes_as_many(part, family, cell, tmp_path):
    for shape in SHAPES:
        folder = tmp_path / f"{shape[0]}x{shape[1]}"
        folder.mkdir()
        files = emit(Rams([shape]), "rams")
        for name, text in files.items():
            (folder / name).write_text(text)
        passes = [f"read_verilog {' '.join(files)}", f"synth_{family} -top rams"]
        find_yosys().passes([*passes, "tee -q -o cells.txt stat"], folder)
        words = (folder / "cells.txt").read_text().split()
        found = int(words[words.index(cell) - 1]) if cell in words else 0
        assert found == 2 * block_rams(*shape, part.block_ram_bits), shape


@pytest.mark.unit
def test_what_runs_out_is_said_with_how_much():
    config = preset("default", pes=4)
    files = emit(uart_shell([config], 60e6, 3_000_000), "top")
    with pytest.raises(UserError, match=r"takes \d+ block RAMs, iCE40UP5K has 30, \d+ too few"):
        check_before(UP5K, files, "top", [config])
    many = nm_preset("default")
    assert multipliers([config, many]) == 4 + many.slots
    assert multipliers([nm_preset("default", logic_multipliers=1)]) == many.slots / 2
    with pytest.raises(UserError, match="takes 5281 lookup tables, iCE40UP5K has 5280, 1 too few"):
        check_after(UP5K, 5281)
    check_after(UP5K, 5280)


@pytest.mark.unit
def test_lookup_tables_of_cells():
    cells = {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 99}
    assert luts(cells) == 10 + 6 + 8
