"""Arty A7: a Xilinx Artix-7; its project is written ready for Vivado."""

from amaranth_boards.arty_a7 import ArtyA7_35Platform, ArtyA7_100Platform

from boards.board import ARTIX_35, ARTIX_100, Board, Variant
from boards.clocks import XILINX7
from boards.command import run

BOARD = Board(
    name="arty",
    title="Arty A7",
    variants={
        "35": Variant(part=ARTIX_35, platform=ArtyA7_35Platform, preset="fpga32"),
        "100": Variant(part=ARTIX_100, platform=ArtyA7_100Platform, preset="fpga32"),
    },
    pll=XILINX7,
    is_simulated=False,
    clock_hz=100e6,
    baud=3_000_000,
    flash=("openFPGALoader", "--board", "arty_a7_{variant}t", "{file}"),
    store=("openFPGALoader", "--board", "arty_a7_{variant}t", "--write-flash", "{file}"),
)

if __name__ == "__main__":
    run(BOARD)
