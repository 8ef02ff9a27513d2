"""The design of a board: its pins and its PLL around the shell with a UART."""

from collections.abc import Mapping, Sequence

from amaranth import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.board import Board
from boards.clocks import Settings
from hw.emit import emit
from hw.shell.uart_shell import uart_shell
from spec.config import Config

SHELL = "skipstone_uart"


def shell_of(board: Board, configs: Sequence[Config], clock_hz: float, baud: int) -> dict[str, str]:
    """Verilog of a shell with these arrays, the module :data:`SHELL`; text of each file."""
    files = emit(uart_shell(configs, clock_hz, baud, board.queue_words), SHELL)
    return board.memories(configs, files)


class Top(Elaboratable):
    """The shell's Verilog, emitted as it is for everyone, at the pins of a board.

    Parameters
    ----------
    board : Board
    shell : dict of str
        Verilog of the shell, as :func:`shell_of` gives it.
    settings : Settings
        Of the PLL.
    """

    def __init__(self, board: Board, shell: Mapping[str, str], settings: Settings):
        self.board = board
        self.settings = settings
        self.shell = shell

    def elaborate(self, platform):
        m = Module()
        self._make_clock(m, platform)

        # The shell.
        for name, text in self.shell.items():
            platform.add_file(name, text)
        told = {"busy": Signal(), "error": Signal()}
        uart = platform.request("uart", dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.shell = Instance(
            SHELL,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_rx=rx.i,
            o_tx=tx.o,
            **{f"o_{name}": signal for name, signal in told.items()},
        )

        # What it does, for the eye.
        for number, name in self.board.leds.items():
            led = io.Buffer("o", platform.request("led", number, dir="-"))
            m.submodules[f"led{number}"] = led
            m.d.comb += led.o.eq(told[name])
        return m

    def _make_clock(self, m: Module, platform) -> None:
        """The clock of the design; it is reset until that is steady."""
        board = self.board
        m.domains.sync = ClockDomain()
        reference = platform.default_clk_constraint.frequency
        pad, locked = platform.request(platform.default_clk, dir="-"), Signal()
        source = pad.io
        if not board.pll.takes_pad:
            m.submodules.oscillator = buffer = io.Buffer("i", pad)
            source = buffer.i
        made = board.pll.instances(self.settings, reference, source, ClockSignal(), locked)
        for number, instance in enumerate(made):
            m.submodules[f"pll{number}"] = instance
        m.submodules.reset = ResetSynchronizer(~locked)
