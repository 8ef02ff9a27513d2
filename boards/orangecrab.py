"""OrangeCrab: an ECP5 on a feather; its serial port is an adapter at pins 0 (in) and 1 (out)."""

from collections.abc import Callable
from typing import Any

from amaranth.build import Attrs
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import LEDResources, UARTResource

from boards.board import ECP5_25, ECP5_85, Board, Variant
from boards.clocks import ECP5
from boards.command import run

_MORE = [
    UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),
    # Two colours of its light.
    *LEDResources(pins="K4 M3", invert=True, attrs=Attrs(IO_TYPE="LVCMOS33")),
]


def _with_more(make: Callable[[], Any]) -> Callable[[], Any]:
    """The platform with these, too."""

    def made() -> Any:
        platform = make()
        platform.add_resources(_MORE)
        return platform

    return made


_SMALL = _with_more(OrangeCrabR0_2_25FPlatform)
_LARGE = _with_more(OrangeCrabR0_2_85FPlatform)

BOARD = Board(
    name="orangecrab",
    title="OrangeCrab r0.2",
    variants={
        "25F": Variant(part=ECP5_25, platform=_SMALL, preset="fpga6"),
        "85F": Variant(part=ECP5_85, platform=_LARGE, preset="fpga16"),
    },
    pll=ECP5,
    clock_hz=48e6,
    baud=3_000_000,
    flash=("openFPGALoader", "--board", "orangeCrab", "{file}"),
    store=("openFPGALoader", "--board", "orangeCrab", "--write-flash", "{file}"),
)

if __name__ == "__main__":
    run(BOARD)
