"""ECPIX-5: a board that Skipstone does not bring, added in a file of one's own."""

from amaranth.build import Attrs
from amaranth_boards.ecpix5 import ECPIX585Platform
from amaranth_boards.resources import LEDResources

from boards.board import ECP5_85, Board, Variant
from boards.clocks import ECP5
from boards.command import run


def platform() -> ECPIX585Platform:
    """The platform as it is, and two single LEDs out of its coloured ones."""
    made = ECPIX585Platform()
    made.add_resources(LEDResources(pins="P21 R23", invert=True, attrs=Attrs(IO_TYPE="LVCMOS33")))
    return made


BOARD = Board(
    name="ecpix5",
    title="ECPIX-5",
    variants={"85F": Variant(part=ECP5_85, platform=platform, preset="fpga32")},
    pll=ECP5,
    clock_hz=60e6,  # made from the oscillator of the platform, exactly, or refused
    baud=3_000_000,
    flash=("openFPGALoader", "--board", "ecpix5", "{file}"),
    store=("openFPGALoader", "--board", "ecpix5", "--write-flash", "{file}"),
    leds={0: "busy", 1: "error"},
)

if __name__ == "__main__":
    run(BOARD)
