"""UART link: between the bytes of a line and the streams of a core."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.shell.deframe import BYTE_BITS, Deframe
from hw.shell.enframe import Enframe
from hw.shell.intake import bus_layout
from hw.shell.register_file import access_layout, outcome_layout
from hw.shell.uart_exchange import UartExchange
from hw.shell.uart_queue import UartQueue
from hw.shell.uart_reply import UartReply
from hw.streams import steady
from spec.registers.table import BITS

QUEUE_WORDS = 512


class UartLink(wiring.Component):
    """Answers frames (:mod:`spec.frames`). What comes broken is dropped, and counted.

    Words wait in two queues, so that an access to a register never waits behind them.

    Parameters
    ----------
    queue_words : int
        That each queue holds; a power of two.

    Members
    -------
    i : stream of bytes, always taken
    broken : In
        The line lost a byte.
    o : stream of bytes
    access, outcome, words, results
        To a core's ``access`` and ``i``, from its ``outcome`` and ``o``.
    restart : In
        Empties the queues.
    dropped : Out
        Frames that came broken, or that nobody understands.
    """

    def __init__(self, queue_words: int = QUEUE_WORDS):
        self.queue_words = queue_words
        super().__init__(
            {
                "i": In(steady(BYTE_BITS)),
                "broken": In(1),
                "o": Out(stream.Signature(BYTE_BITS)),
                "access": Out(stream.Signature(access_layout())),
                "outcome": In(stream.Signature(outcome_layout())),
                "words": Out(stream.Signature(bus_layout())),
                "results": In(stream.Signature(bus_layout())),
                "restart": In(1),
                "dropped": Out(BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.deframe = deframe = Deframe()
        m.submodules.exchange = exchange = UartExchange(self.queue_words)
        m.submodules.reply = reply = UartReply()
        m.submodules.enframe = enframe = Enframe()
        m.submodules.arriving = arriving = UartQueue(bus_layout(), self.queue_words)
        m.submodules.leaving = leaving = UartQueue(bus_layout(), self.queue_words)

        # Frames in.
        connect(m, flipped(self.i), deframe.i)
        m.d.comb += [
            deframe.broken.eq(self.broken),
            exchange.whole.eq(deframe.whole),
            exchange.length.eq(deframe.length),
            exchange.data.eq(deframe.data),
            deframe.address.eq(exchange.address),
            deframe.done.eq(exchange.done),
        ]
        drops = Signal()
        m.d.sync += [
            drops.eq(deframe.dropped | exchange.refused),
            self.dropped.eq(self.dropped + drops),
        ]

        # What they ask for.
        connect(m, exchange.access, flipped(self.access))
        connect(m, flipped(self.outcome), exchange.outcome)
        connect(m, exchange.o, arriving.i)
        connect(m, arriving.o, flipped(self.words))
        connect(m, flipped(self.results), leaving.i)
        m.d.comb += [
            exchange.taken.eq(arriving.level),
            exchange.waiting.eq(leaving.level),
            arriving.restart.eq(self.restart),
            leaving.restart.eq(self.restart),
        ]

        # Answers out.
        connect(m, exchange.reply, reply.i)
        connect(m, leaving.o, reply.words)
        connect(m, enframe.o, flipped(self.o))
        m.d.comb += [
            reply.again.eq(exchange.again),
            enframe.write_enable.eq(reply.write_enable),
            enframe.write_address.eq(reply.write_address),
            enframe.write_data.eq(reply.write_data),
            enframe.length.eq(reply.length),
            enframe.start.eq(reply.start),
            reply.busy.eq(enframe.busy),
        ]
        return m
