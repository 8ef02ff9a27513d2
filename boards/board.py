"""What a board is: its platforms and parts, and the clock, baud rate and preset it runs with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from boards.clocks import Pll
from hw.shell.uart_link import QUEUE_WORDS
from spec.config import Config


@dataclass(frozen=True)
class Part:
    """What an FPGA has.

    Attributes
    ----------
    name : str
    luts : int
        Lookup tables of four inputs, or of six where these are what there is.
    block_rams : int
    block_ram_bits : int
        Of each.
    multipliers : int
    big_rams : int
        Single-port memories of 256 Kbit.
    """

    name: str
    luts: int
    block_rams: int
    block_ram_bits: int
    multipliers: int
    big_rams: int = 0


ECP5_85 = Part("LFE5U-85F", 83_640, 208, 18_432, 156)
ECP5_45 = Part("LFE5U-45F", 43_848, 108, 18_432, 72)
ECP5_25 = Part("LFE5U-25F", 24_288, 56, 18_432, 28)
"""Also what a 12F is, which is sold as half of it."""

UP5K = Part("iCE40UP5K", 5_280, 30, 4_096, 8, big_rams=4)
ARTIX_35 = Part("XC7A35T", 20_800, 50, 36_864, 90)
ARTIX_100 = Part("XC7A100T", 63_400, 135, 36_864, 240)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A size in which a board is sold.

    Attributes
    ----------
    part : Part
    platform : callable
        Makes the ``amaranth-boards`` platform.
    preset : str
        Of the EIE engine, that it is built with if nothing else is said.
    """

    part: Part
    platform: Callable[[], Any]
    preset: str


def _as_they_are(configs: Sequence[Config], files: Mapping[str, str]) -> dict[str, str]:
    return dict(files)


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Attributes
    ----------
    name, title : str
        As commands and people call it.
    variants : dict of Variant
        By size; the first is the default.
    pll : Pll
    is_simulated : bool
        There are models of the primitives at its pins, for a virtual board.
    clock_hz : float
        Of the design.
    baud : int
        Of the serial port.
    flash : tuple of str
        The command that loads a bitstream into the FPGA; ``{file}`` stands for it, ``{variant}``
        for the board's size.
    store : tuple of str
        The same, into the flash memory that it starts from.
    queue_words : int
        Of the queues of the link, each way.
    memories : callable
        The Verilog with memories replaced by those that the part has, if it has others; from the
        configurations and it.
    synthesis : str
        Options of yosys.
    leds : dict
        Which LED shows what of the shell, by number.
    """

    name: str
    title: str
    variants: dict[str, Variant]
    pll: Pll
    is_simulated: bool = True
    clock_hz: float
    baud: int
    flash: tuple[str, ...] = ()
    store: tuple[str, ...] = ()
    queue_words: int = QUEUE_WORDS
    memories: Callable[[Sequence[Config], Mapping[str, str]], dict[str, str]] = _as_they_are
    synthesis: str = ""
    leds: dict[int, str] = field(default_factory=lambda: {0: "busy", 1: "error"})
