"""ULX3S: an open-hardware board with an ECP5, whose USB socket is a serial port of 3 Mbaud."""

from amaranth_boards.ulx3s import (
    ULX3S_12F_Platform,
    ULX3S_25F_Platform,
    ULX3S_45F_Platform,
    ULX3S_85F_Platform,
)

from boards.board import ECP5_25, ECP5_45, ECP5_85, Board, Variant
from boards.clocks import ECP5
from boards.command import run

BOARD = Board(
    name="ulx3s",
    title="ULX3S",
    variants={
        "85F": Variant(part=ECP5_85, platform=ULX3S_85F_Platform, preset="fpga16"),
        "45F": Variant(part=ECP5_45, platform=ULX3S_45F_Platform, preset="fpga16"),
        "25F": Variant(part=ECP5_25, platform=ULX3S_25F_Platform, preset="fpga6"),
        "12F": Variant(part=ECP5_25, platform=ULX3S_12F_Platform, preset="fpga6"),
    },
    pll=ECP5,
    clock_hz=40e6,
    baud=3_000_000,
    flash=("openFPGALoader", "--board", "ulx3s", "{file}"),
    store=("openFPGALoader", "--board", "ulx3s", "--write-flash", "{file}"),
)

if __name__ == "__main__":
    run(BOARD)
