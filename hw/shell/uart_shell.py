"""The shell of boards without a processor: arrays behind a UART."""

from collections.abc import Sequence

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hw.shell.core import Core
from hw.shell.uart import UartReceiver, UartTransmitter, phase_step
from hw.shell.uart_link import QUEUE_WORDS, UartLink
from spec.config import Config


class UartShell(wiring.Component):
    """Registers and messages in frames (:mod:`spec.frames`) over two wires.

    Parameters
    ----------
    configs : sequence of EieConfig and NmConfig
        One engine, or one of each.
    step : int
        :func:`hw.shell.uart.phase_step`.
    queue_words : int
        That wait in each direction; a power of two.

    Members
    -------
    rx, tx
        What is received, what is sent; high when nothing is.
    busy, error : Out
        An array runs; there is an error.
    """

    def __init__(self, configs: Sequence[Config], step: int, queue_words: int = QUEUE_WORDS):
        self.configs = list(configs)
        self.step = step
        self.queue_words = queue_words
        super().__init__(
            {"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "error": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.step)
        m.submodules.transmitter = transmitter = UartTransmitter(self.step)
        m.submodules.link = link = UartLink(self.queue_words)
        m.submodules.core = core = Core(self.configs)

        # The line.
        connect(m, receiver.o, link.i)
        connect(m, link.o, transmitter.i)
        m.d.comb += [
            receiver.line.eq(self.rx),
            link.broken.eq(receiver.broken),
            self.tx.eq(transmitter.line),
        ]

        # The core.
        connect(m, link.access, core.access)
        connect(m, core.outcome, link.outcome)
        connect(m, link.words, core.i)
        connect(m, core.o, link.results)
        m.d.comb += [
            link.restart.eq(core.restart),
            core.dropped.eq(link.dropped),
            self.busy.eq(core.busy),
            self.error.eq(core.error),
        ]
        return m


def uart_shell(
    configs: Sequence[Config], clock_hz: float, baud: float, queue_words: int = QUEUE_WORDS
) -> UartShell:
    """The shell for a clock and a line.

    Raises
    ------
    UserError
        The clock does not suit the line.
    """
    return UartShell(configs, phase_step(clock_hz, baud), queue_words)
